"""Log-likelihoods by the probability flow against closed forms, term by term."""

import keras
import numpy as np
import pytest
from helpers.marks import once
from keras import ops

from keras_gud import bases, likelihood, oracle, priors, schedules
from keras_gud.core.counter_rng import sample_keys
from keras_gud.diffusion.noising_state import NoisingState
from keras_gud.likelihood import elbo
from keras_gud.likelihood.divergence import signs
from keras_gud.oracle.space import matrix_of

SHAPE = (2, 2, 2)
D = 8
SCHEDULES = {
    "linear a=1": lambda: schedules.Linear(a=1.0),
    "linear a=1.6": lambda: schedules.Linear(a=1.6),
    "columns": lambda: schedules.Sequential(b=0.5, over=1),
    "one after another": lambda: schedules.Sequential(b=0.9, over=1),
    "cosine": schedules.Cosine,
    "vp": schedules.VP,
    "hierarchical": lambda: schedules.Hierarchical(a=0.4, b=0.3),
    "frequency": lambda: schedules.Linear(ordering="frequency"),
    "warped": lambda: schedules.TimeWarp(schedules.Sequential(b=0.3, over=0), power=0.5),
}
CASES = [
    ("pixel", "isotropic", "columns"),
    ("pixel", "matching", "one after another"),
    ("pixel", "isotropic", "cosine"),
    ("pixel", "isotropic", "warped"),
    ("haar", "matching", "hierarchical"),
    ("fourier", "isotropic", "frequency"),
    ("fourier", "matching", "linear a=1"),
    ("dct", "isotropic", "linear a=1.6"),
    ("channel", "isotropic", "vp"),
]


def bits(nats):
    return nats / (D * np.log(2.0))


def data_moments():
    rng = np.random.default_rng(1)
    root = rng.normal(size=(D, D)) / 3.0
    return rng.normal(size=SHAPE), root @ root.T + 0.05 * np.eye(D)


def make(basis, prior, schedule):
    """The oracle of the components, and an adapted schedule."""
    mean, covariance = data_moments()
    basis, prior = bases.get(basis), priors.get(prior)
    basis.build((None, *SHAPE))
    u = matrix_of(basis)
    variance = basis.symmetrize(np.diag(u @ covariance @ u.T).reshape(SHAPE))
    prior.adapt((u @ mean.ravel()).reshape(SHAPE), variance)
    schedule = SCHEDULES[schedule]()
    schedule.adapt(np.asarray(prior.variance), np.asarray(prior.data_variance), basis.coordinates)
    return oracle.Gaussian.from_data_space(mean, covariance, basis, prior), schedule


@pytest.mark.parametrize(
    ("basis", "prior", "schedule"), once(CASES, but=[("haar", "matching", "hierarchical")])
)
def test_exact_trace_is_the_density_at_t_0(basis, prior, schedule):
    truth, schedule = make(basis, prior, schedule)
    z = truth.sample(20, schedule(0.0), seed=2)
    terms = likelihood.log_prob(truth, schedule, z, trace="exact")
    exact = truth.log_prob(z, schedule(0.0))
    assert np.abs(bits(terms["log_prob"] - exact)).max() < 1e-3
    np.testing.assert_allclose(terms["log_prob"], terms["start"] + terms["divergence"], rtol=1e-12)
    assert (terms["standard_error"] == 0.0).all()


@pytest.fixture(scope="module")
def columns():
    return make("pixel", "isotropic", "columns")


@pytest.mark.once
def test_a_mixture():
    """No longer linear; the start is then the moment-matched Gaussian, not the exact marginal."""
    rng = np.random.default_rng(3)
    means = rng.normal(size=(2, *SHAPE))
    truth = oracle.Mixture([0.3, 0.7], means, 0.3 * np.eye(D))
    wide = schedules.Linear(a=1.0, gamma_denoise=-6.0, gamma_noise=9.0)
    wide.adapt(np.ones(SHAPE))
    z = truth.sample(20, wide(0.0), seed=4)
    # One example lies where the flow parts between both means: its error is 40 times the solver's.
    got = likelihood.log_prob(truth, wide, z, trace="exact", rtol=1e-5, atol=1e-5)["log_prob"]
    assert np.abs(bits(got - truth.log_prob(z, wide(0.0)))).max() < 1e-3


@pytest.mark.once
def test_hutchinson_is_unbiased_and_reports_its_error(columns):
    truth, schedule = columns
    z = truth.sample(400, schedule(0.0), seed=5)
    exact = truth.log_prob(z, schedule(0.0))
    terms = likelihood.log_prob(truth, schedule, z, trace="hutchinson", probes=4)
    error = terms["log_prob"] - exact
    assert abs(error.mean()) < 3.0 * error.std() / np.sqrt(len(z))
    # Of few probes, the spread estimates the error on average.
    ratio = np.mean(terms["standard_error"] ** 2) / np.mean(error**2)
    assert 0.7 < ratio < 1.4
    single = likelihood.log_prob(truth, schedule, z, trace="hutchinson")
    assert np.isnan(single["standard_error"]).all()
    error_of_one = single["log_prob"] - exact
    assert abs(error_of_one.mean()) < 3.0 * error_of_one.std() / np.sqrt(len(z))
    more = likelihood.log_prob(truth, schedule, z, trace="hutchinson", probes=16)
    assert (more["log_prob"] - exact).std() < 0.65 * error.std()


@pytest.mark.once
def test_probes_belong_to_their_example():
    probes = np.asarray(ops.convert_to_numpy(signs(sample_keys(1, 4), 2, (3,))))
    assert probes.shape == (2, 4, 3)
    assert set(np.unique(probes)) == {-1.0, 1.0}
    alone = np.asarray(ops.convert_to_numpy(signs(sample_keys(1, 1, 2), 2, (3,))))
    np.testing.assert_array_equal(alone[:, 0], probes[:, 2])


@pytest.mark.once
def test_batches_seeds_and_progress_change_nothing(columns, capsys):
    truth, schedule = columns
    z = truth.sample(7, schedule(0.0), seed=6)
    flow = likelihood.FlowLikelihood(trace="hutchinson")
    whole = flow(truth, schedule, z, seed=3)["log_prob"]
    capsys.readouterr()
    parts = flow(truth, schedule, z, seed=3, batch_size=3, progress=True)["log_prob"]
    assert "300 of 300 parts" in capsys.readouterr().out
    np.testing.assert_allclose(parts, whole, atol=5e-3)
    assert len(flow.statistics) == 3
    assert all(counts["accepted"] > 5 for counts in flow.statistics)
    one = flow(truth, schedule, z[5:6], seed=3, first=5)["log_prob"]
    np.testing.assert_allclose(one, whole[5:6], atol=5e-3)
    assert np.abs(flow(truth, schedule, z, seed=4)["log_prob"] - whole).max() > 0.01


@pytest.mark.once
def test_the_prior_as_start_is_another_density(columns):
    truth, schedule = columns
    z = truth.sample(5, schedule(0.0), seed=7)
    matched = likelihood.log_prob(truth, schedule, z, trace="exact")
    prior = likelihood.log_prob(truth, schedule, z, trace="exact", start="prior")
    np.testing.assert_allclose(matched["divergence"], prior["divergence"], atol=1e-5)
    assert 1e-4 < np.abs(matched["start"] - prior["start"]).max() < 1.0


@pytest.mark.once
@pytest.mark.parametrize("known", [0, 1])
def test_each_factor_of_a_chain(columns, known):
    """log p(x) = log p(x_K) + log p(x_U | x_K), K a column: each against its closed form."""
    truth, schedule = columns
    given = np.zeros(SHAPE, bool)
    given[:, known] = True
    z = truth.sample(12, schedule(0.0), seed=8)
    conditional = likelihood.log_prob(truth, schedule, z, trace="exact", given=given)["log_prob"]
    whole = likelihood.log_prob(truth, schedule, z, trace="exact")["log_prob"]
    noised = oracle.Gaussian(*truth.marginal(schedule(0.0)))
    exact_known = noised.restricted(given).log_prob(z[:, given])
    exact = noised.log_prob(z) - exact_known
    assert np.abs(bits(conditional - exact)).max() < 1e-3
    assert np.abs(bits(whole - conditional - exact_known)).max() < 1e-3
    # A mask that broadcasts is the same mask.
    narrow = given[:1, :, :1]
    again = likelihood.log_prob(truth, schedule, z, trace="exact", given=narrow)["log_prob"]
    np.testing.assert_allclose(again, conditional, atol=1e-4)


@pytest.mark.once
def test_invariance_under_a_change_of_basis():
    """The same data in two bases, standard diffusion in both: one density."""
    results = []
    mean, covariance = data_moments()
    rng = np.random.default_rng(9)
    x = rng.multivariate_normal(mean.ravel(), covariance, size=6).reshape(-1, *SHAPE)
    for name in ("pixel", "haar"):
        basis, prior = bases.get(name), priors.Isotropic()
        basis.build((None, *SHAPE))
        prior.adapt(np.asarray(basis(mean[None].astype("float32")))[0], np.ones(SHAPE))
        truth = oracle.Gaussian.from_data_space(mean, covariance, basis, prior)
        schedule = schedules.VP()
        schedule.adapt(np.ones(SHAPE))
        z = prior(basis(x.astype("float32")))
        results.append(likelihood.log_prob(truth, schedule, z, trace="exact")["log_prob"])
    np.testing.assert_allclose(bits(results[0]), bits(results[1]), atol=1e-3)


@pytest.mark.once
def test_the_divergence_from_the_prior_is_that_of_gaussians():
    """By the textbook's formula for N(alpha z0, sigma^2) and N(0, 1), in NumPy."""
    gamma, z0 = np.array([[-1.0, 0.5, 4.0]]), np.array([[1.0, -2.0, 0.3], [0.0, 0.5, 3.0]])
    variance = 1.0 / (1.0 + np.exp(-gamma))
    mean = np.sqrt(1.0 - variance) * z0
    expected = (-0.5 * np.log(variance) + 0.5 * (variance + mean**2) - 0.5).sum(axis=1)
    state = NoisingState(ops.convert_to_tensor(gamma.astype("float32")))
    found = elbo.prior_kl(ops.convert_to_tensor(z0.astype("float32")), state)
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, rtol=1e-5)


@pytest.mark.once
def test_the_bound_is_never_above_and_the_same_on_every_path():
    """In expectation; two paths between the same end points."""
    truth = make("pixel", "isotropic", "columns")[0]
    bounds = []
    for b in (0.0, 0.6):
        schedule = schedules.Sequential(b=b, over=1, gamma_min=-6.0, gamma_max=5.0)
        schedule.adapt(np.ones(SHAPE))
        z0 = truth.sample(2000, seed=10).astype("float32")
        keys, index = sample_keys(0, 2000), ops.arange(2000, dtype="int32")
        parts = likelihood.negative_elbo(
            truth, schedule, ops.convert_to_tensor(z0), keys, index, 32, schedule.resolve({})
        )
        bounds.append(sum(np.asarray(ops.convert_to_numpy(part)) for part in parts.values()))
    difference = bounds[0] - bounds[1]
    assert abs(difference.mean()) < 4.0 * difference.std() / np.sqrt(2000)
    loss = bounds[0] + truth.log_prob(z0)
    assert loss.mean() > -3.0 * loss.std() / np.sqrt(2000)
    assert bits(loss.mean()) < 0.05


@pytest.mark.once
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"trace": "exakt"}, ValueError, "Did you mean 'exact'"),
        ({"probes": 0}, ValueError, "`probes` to be an integer >= 1"),
        ({"rtol": 0.0}, ValueError, "`rtol` to be a number > 0"),
        ({"atol": -1.0}, ValueError, "`atol` to be a number > 0"),
        ({"method": "rk4"}, ValueError, "`method` to be one of"),
        ({"start": "end"}, ValueError, "`start` to be one of"),
        ({"given": np.ones(SHAPE, bool)}, ValueError, "True everywhere"),
        ({"given": np.ones(SHAPE)}, ValueError, "boolean array"),
        ({"given": np.ones(3, bool)}, ValueError, "broadcasts to"),
        ({"bb": 0.5}, ValueError, "Did you mean 'b'"),
        pytest.param({"steps": 3}, RuntimeError, "within steps=3 tries", marks=pytest.mark.once),
    ],
)
def test_bad_arguments(columns, arguments, error, message):
    truth, schedule = columns
    with pytest.raises(error, match=message):
        likelihood.log_prob(truth, schedule, np.zeros((2, *SHAPE)), **arguments)


@pytest.mark.once
def test_nan_in_the_states(columns):
    z = np.zeros((3, *SHAPE))
    z[1, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="first in example 1"):
        likelihood.log_prob(*columns, z)


@pytest.mark.once
@pytest.mark.parametrize("gamma", once([-20.0, 20.0], but=[-20.0]))
def test_extreme_ends_stay_finite(gamma):
    schedule = schedules.Function(lambda t: min(gamma, 0.0) + abs(gamma) * t)
    schedule.adapt(np.ones(SHAPE))
    truth = oracle.Gaussian(np.zeros(SHAPE), np.eye(D) * 0.5 + 0.5)
    if gamma < 0:
        # At gamma = -20 the density is one with a spread of 5e-5 around the data.
        z = truth.sample(3, schedule(0.0), seed=1)
        got = likelihood.log_prob(truth, schedule, z, trace="exact")
    else:
        got = likelihood.log_prob(truth, schedule, np.zeros((3, *SHAPE)), trace="exact")
    assert np.isfinite(got["log_prob"]).all()


def test_new_weights_take_effect():
    schedule = schedules.VP()
    schedule.adapt(np.ones(SHAPE))

    class Scaled:
        def __init__(self):
            self.weight = keras.Variable(1.0)
            self.variables, self.data_shape = [self.weight], SHAPE

        def __call__(self, z, state):
            return state.sigma * z * self.weight

    denoiser, flow = Scaled(), likelihood.FlowLikelihood()
    z = np.ones((2, *SHAPE))
    before = flow(denoiser, schedule, z)["log_prob"]
    denoiser.weight.assign(0.9)
    assert np.abs(flow(denoiser, schedule, z)["log_prob"] - before).max() > 0.1
