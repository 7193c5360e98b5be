"""Closed-form models against quadrature, SciPy, finite differences, and Bayes' rule."""

import itertools

import numpy as np
import pytest
from keras import ops
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import multivariate_normal

from keras_gud import backend, bases, likelihood, oracle, priors, samplers, schedules
from keras_gud.core import counter_rng
from keras_gud.diffusion.noising_state import NoisingState

SHAPE = (2, 1)
WEIGHTS = np.array([0.5, 0.3, 0.2])
MEANS = np.array([[-1.0, 0.5], [1.2, 0.3], [0.2, -1.5]])
COVARIANCES = np.array(
    [[[0.4, 0.2], [0.2, 0.3]], [[0.1, 0.0], [0.0, 0.6]], [[0.2, -0.1], [-0.1, 0.2]]]
)
GAMMA = np.array([-1.3, 0.6])
ALPHA, SIGMA = np.sqrt(expit(-GAMMA)), np.sqrt(expit(GAMMA))


def to_numpy(x):
    return ops.convert_to_numpy(x)


def state_of(gamma, data_shape=SHAPE):
    """A state from gammas ``(d,)`` or, one for each row, ``(batch, d)``."""
    gamma = np.asarray(gamma, "float32").reshape(-1, *data_shape)
    return NoisingState(ops.convert_to_tensor(gamma))


STATE = state_of(GAMMA)


@pytest.fixture(scope="module")
def mixture():
    return oracle.Mixture(WEIGHTS, MEANS.reshape(3, *SHAPE), COVARIANCES)


@pytest.fixture(scope="module")
def normal():
    return oracle.Gaussian(MEANS[0].reshape(SHAPE), COVARIANCES[0])


@pytest.fixture(params=["mixture", "normal"])
def truth(request):
    return request.getfixturevalue(request.param)


def clean_density(truth, z0):
    """By SciPy; z0 ``(..., d)``."""
    parts = zip(truth.weights, truth.means, truth.covariances, strict=True)
    return sum(w * multivariate_normal(m.ravel(), c).pdf(z0) for w, m, c in parts)


def expectation(truth, z):
    """E[eps | z], E[z0 | z] and Cov[z0 | z] at STATE, by sums over a grid of clean components."""
    axis = np.linspace(-7.0, 7.0, 1401)
    z0 = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    eps = (z - ALPHA * z0) / SIGMA
    weight = clean_density(truth, z0) * np.exp(-0.5 * (eps**2).sum(-1))
    weight /= weight.sum()
    mean = weight @ z0
    return weight @ eps, mean, (z0 - mean).T @ ((z0 - mean) * weight[:, None])


# -- densities and denoisers ---------------------------------------------------------------------


@pytest.mark.once
def test_log_prob_clean_and_noised(truth, rng):
    z = rng.normal(size=(6, *SHAPE))
    expected = np.log(clean_density(truth, z.reshape(6, 2)))
    np.testing.assert_allclose(truth.log_prob(z), expected, rtol=1e-10)
    noised = sum(
        w
        * multivariate_normal(
            ALPHA * m.ravel(), np.outer(ALPHA, ALPHA) * c + np.diag(SIGMA**2)
        ).pdf(z[..., 0])
        for w, m, c in zip(truth.weights, truth.means, truth.covariances, strict=True)
    )
    np.testing.assert_allclose(truth.log_prob(z, STATE), np.log(noised), rtol=1e-5)


@pytest.mark.once
@pytest.mark.parametrize("z", [[0.3, -0.4], [-1.5, 1.0], [3.0, -2.5]])
def test_eps_and_posterior_against_sums_over_a_grid(truth, z):
    eps, mean, covariance = expectation(truth, np.array(z))
    z = np.reshape(z, SHAPE)
    got = to_numpy(truth(z[None].astype("float32"), STATE))
    assert got.shape == (1, *SHAPE)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got.ravel(), eps, atol=2e-5)
    posterior = truth.posterior(z, STATE)
    assert type(posterior) is type(truth)
    np.testing.assert_allclose(posterior.mean.ravel(), mean, atol=1e-5)
    np.testing.assert_allclose(posterior.covariance, covariance, atol=1e-5)


@pytest.mark.once
@pytest.mark.parametrize("gamma", [-6.0, -2.0, 1.0, 5.0])
def test_eps_in_one_dimension_against_quadrature(gamma):
    truth = oracle.Mixture([0.25, 0.75], [[-2.0], [1.0]], [[[0.05]], [[0.6]]])
    alpha, sigma = np.sqrt(expit(-gamma)), np.sqrt(expit(gamma))
    z = np.array([-2.2, -0.4, 0.1, 1.7])

    def integrate(z, power):
        def integrand(eps):
            density = clean_density(truth, (z - sigma * eps) / alpha)
            return eps**power * np.exp(-0.5 * eps**2) * density

        centres = sorted((z - alpha * m) / sigma for m in (-2.0, 1.0))
        return quad(
            integrand, -12.0, 12.0, points=[np.clip(c, -11, 11) for c in centres], limit=200
        )[0]

    expected = [integrate(value, 1) / integrate(value, 0) for value in z]
    got = to_numpy(truth(z[:, None].astype("float32"), state_of([gamma], (1,))))
    np.testing.assert_allclose(got[:, 0], expected, atol=2e-4)


@pytest.mark.once
def test_score_against_finite_differences(truth, rng):
    z = rng.normal(size=(7, *SHAPE))
    score = to_numpy(truth.score(z.astype("float32"), STATE))
    for i in range(2):
        step = 1e-5 * np.eye(2)[i].reshape(SHAPE)
        slope = (truth.log_prob(z + step, STATE) - truth.log_prob(z - step, STATE)) / 2e-5
        np.testing.assert_allclose(score[:, i, 0], slope, atol=2e-5)


def test_one_state_for_each_row(truth, rng):
    z = rng.normal(size=(5, *SHAPE)).astype("float32")
    gamma = rng.uniform(-6.0, 4.0, size=(5, 2))
    together = to_numpy(truth(z, state_of(gamma)))
    alone = [to_numpy(truth(z[i : i + 1], state_of(gamma[i])))[0] for i in range(5)]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    mask = np.array([[True], [False]])
    for given in (None, mask):
        together = to_numpy(truth.log_start(z, state_of(gamma), given))
        alone = [truth.log_start(z[i : i + 1], state_of(gamma[i]), given) for i in range(5)]
        np.testing.assert_allclose(together, [float(value[0]) for value in alone], atol=1e-4)


@pytest.mark.once
def test_a_mixture_of_equals_is_the_gaussian(normal, rng):
    z = rng.normal(size=(5, *SHAPE)).astype("float32")
    expected = to_numpy(normal(z, STATE))
    for k in (1, 3):
        # One covariance is shared by all.
        same = oracle.Mixture(np.full(k, 1 / k), np.stack([normal.mean] * k), normal.covariance)
        np.testing.assert_allclose(to_numpy(same(z, STATE)), expected, atol=2e-6)
        np.testing.assert_allclose(same.covariance, normal.covariance, atol=1e-12)


# -- Bayes ---------------------------------------------------------------------------------------


@pytest.mark.once
def test_posterior_times_evidence_is_the_joint_density(truth, rng):
    z, z0 = rng.normal(size=SHAPE), rng.normal(size=(4, *SHAPE))
    joint = truth.log_prob(z0) + multivariate_normal(cov=np.diag(SIGMA**2)).logpdf(
        (z - ALPHA.reshape(SHAPE) * z0)[..., 0]
    )
    got = truth.posterior(z, STATE).log_prob(z0) + truth.log_prob(z[None], STATE)
    np.testing.assert_allclose(got, joint, atol=1e-5)


@pytest.mark.once
@pytest.mark.parametrize("given", [[True, False], [False, True]])
def test_conditional_times_marginal_is_the_joint_density(truth, rng, given):
    given = np.array(given).reshape(SHAPE)
    z0 = rng.normal(size=(4, *SHAPE))
    known = truth.restricted(given)
    assert known.data_shape == (1,)
    assert type(known) is type(truth)
    for row, joint in zip(z0, truth.log_prob(z0), strict=True):
        rest = truth.conditional(given, row[given])
        assert rest.data_shape == (1,)
        got = rest.log_prob(row[~given][None]) + known.log_prob(row[given][None])
        np.testing.assert_allclose(got, joint, atol=1e-9)


@pytest.mark.once
def test_nothing_given_is_the_oracle_itself(mixture, rng):
    z0 = rng.normal(size=(4, 2))
    rest = mixture.conditional(np.zeros(SHAPE, bool), [])
    np.testing.assert_allclose(rest.log_prob(z0), mixture.log_prob(z0[..., None]))


@pytest.mark.once
def test_a_component_that_is_ruled_out_keeps_its_place():
    truth = oracle.Mixture([0.5, 0.5], [[-10.0], [10.0]], [[[1e-4]], [[1e-4]]])
    posterior = truth.posterior([10.0], state_of([-12.0], (1,)))
    assert posterior.weights.shape == (2,)
    assert 0.0 < posterior.weights[0] < 1e-300
    assert np.isfinite(
        to_numpy(posterior(np.zeros((1, 1), "float32"), state_of([0.0], (1,))))
    ).all()


# -- samples and starts --------------------------------------------------------------------------


def assert_moments(z, mean, covariance):
    """Means and covariances within 4.5 standard errors, which the samples tell themselves."""
    n, z = len(z), z.reshape(len(z), -1)
    rest = z - mean.ravel()
    assert np.abs(rest.mean(0) / (z.std(0) / np.sqrt(n))).max() < 4.5
    products = rest[:, :, None] * rest[:, None, :]
    assert np.abs((products.mean(0) - covariance) / (products.std(0) / np.sqrt(n))).max() < 4.5


@pytest.mark.once
@pytest.mark.parametrize("state", [None, STATE], ids=["clean", "noised"])
def test_samples_have_the_moments_and_the_entropy(truth, state):
    n = 20000
    z = truth.sample(n, state, seed=1)
    assert z.shape == (n, *SHAPE)
    np.testing.assert_array_equal(z, truth.sample(n, state, seed=1))
    moments = (truth.mean, truth.covariance) if state is None else truth.marginal(state)
    assert_moments(z, *moments)
    # The entropy tells a mixture from the Gaussian of its moments: E log p against a grid.
    axis = np.linspace(-7.0, 7.0, 701)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, *SHAPE)
    log_p = truth.log_prob(grid, state)
    expected = np.sum(np.exp(log_p) * log_p) * (axis[1] - axis[0]) ** 2
    values = truth.log_prob(z, state)
    assert abs(values.mean() - expected) < 4.5 * values.std() / np.sqrt(n)


@pytest.mark.once
def test_start_has_the_moments_of_noised_data(truth, rng):
    z = to_numpy(truth.start(rng.normal(size=(20000, *SHAPE)).astype("float32"), STATE))
    assert_moments(z, *truth.marginal(STATE))


@pytest.mark.once
def test_log_start_against_scipy(truth, rng):
    z = rng.normal(size=(6, *SHAPE)).astype("float32")
    mean, covariance = truth.marginal(STATE)
    mean, flat = mean.ravel(), z.reshape(6, 2)
    joint = multivariate_normal(mean, covariance).logpdf(flat)
    first = multivariate_normal(mean[:1], covariance[:1, :1]).logpdf(flat[:, 0])
    mask = np.array([[True], [False]])
    for given, expected in [(None, joint), (mask, joint - first), (mask | ~mask, 0.0 * joint)]:
        got = to_numpy(truth.log_start(z, STATE, given))
        np.testing.assert_allclose(got, expected, atol=2e-5)
    np.testing.assert_allclose(to_numpy(truth.log_start(z, STATE, mask & ~mask)), joint, atol=2e-5)


@pytest.mark.once
def test_a_sampler_finds_the_mixture(mixture):
    schedule = schedules.Sequential(b=0.4, over=0, gamma_min=-6.0, gamma_max=4.0)
    schedule.adapt(variance=np.diag(mixture.covariance).reshape(SHAPE))
    n = 2000
    z = samplers.EulerMaruyama(steps=300)(mixture, schedule, n=n, seed=0)
    first = schedule(0.0)
    assert_moments(z, *mixture.marginal(first))
    values, exact = (
        mixture.log_prob(z, first),
        mixture.log_prob(mixture.sample(50000, first), first),
    )
    # 0.01 nats for the error of 300 steps.
    assert abs(values.mean() - exact.mean()) < 4.5 * exact.std() / np.sqrt(n) + 0.01


# -- the variational bound -----------------------------------------------------------------------


def diffusion_by_quadrature(truth, schedule, kinks):
    """``1/2 int sum_i dgamma_i/dt (1 - sigma_i^2 (Cov^-1)_ii) dt`` of a Gaussian."""

    def integrand(t):
        state = schedule(t)
        gamma, slope = (
            np.broadcast_to(to_numpy(field)[0], truth.data_shape).ravel().astype("float64")
            for field in (state.gamma, state.dgamma_dt)
        )
        alpha, variance = np.sqrt(expit(-gamma)), expit(gamma)
        covariance = alpha[:, None] * truth.covariance * alpha + np.diag(variance)
        return 0.5 * np.sum(slope * (1.0 - variance * np.diag(np.linalg.inv(covariance))))

    ends = [0.0, *kinks, 1.0]
    pieces = itertools.pairwise(ends)
    return sum(quad(integrand, a + 1e-6, b - 1e-6, epsabs=1e-4, epsrel=1e-5)[0] for a, b in pieces)


PATHS = {
    "in order": (lambda: schedules.Sequential(b=0.5, over=0, gamma_min=-6.0, gamma_max=3.0), [0.5]),
    "together": (lambda: schedules.Function(lambda t: -6.0 + 9.0 * t**2), []),
}


@pytest.mark.once
@pytest.mark.parametrize("path", PATHS)
def test_the_bound_of_a_gaussian_on_every_path(normal, path):
    make, kinks = PATHS[path]
    schedule = make()
    schedule.adapt(variance=np.diag(normal.covariance).reshape(SHAPE))
    terms = normal.negative_elbo(schedule)
    assert set(terms) == {"prior", "diffusion", "reconstruction"}
    assert terms["diffusion"] == pytest.approx(
        diffusion_by_quadrature(normal, schedule, kinks), abs=1e-3
    )
    # The ends are the same on all paths, and so are the terms.
    information = [
        0.5 * np.linalg.slogdet(np.eye(2) + np.exp(-gamma) * normal.covariance)[1]
        for gamma in (-6.0, 3.0)
    ]
    assert terms["diffusion"] == pytest.approx(information[0] - information[1], abs=1e-5)
    one = oracle.Mixture([1.0], normal.mean[None], normal.covariance)
    assert one.negative_elbo(schedule) == pytest.approx(terms)


@pytest.mark.once
def test_the_bound_is_above_the_entropy_and_near_it(normal):
    schedule = schedules.Function(lambda t: -12.0 + 24.0 * t)
    schedule.adapt(variance=np.diag(normal.covariance).reshape(SHAPE))
    entropy = 0.5 * np.linalg.slogdet(2.0 * np.pi * np.e * normal.covariance)[1]
    assert 0.0 < sum(normal.negative_elbo(schedule).values()) - entropy < 1e-3


@pytest.mark.once
@pytest.mark.parametrize("gamma_min", [-5.0, 0.0])
def test_the_bound_of_samples_has_the_expected_terms(truth, gamma_min):
    schedule = schedules.Sequential(b=0.5, over=0, gamma_min=gamma_min, gamma_max=3.0)
    schedule.adapt(variance=np.diag(truth.covariance).reshape(SHAPE))
    n = 4000
    expected = truth.negative_elbo(schedule, n=20000, seed=2)
    error = expected.pop("standard_error", 0.0)
    z0 = truth.sample(n, seed=5).astype("float32")

    @backend.compile
    def terms(z0, keys, index):
        return likelihood.negative_elbo(truth, schedule, z0, keys, index, 50, schedule.resolve({}))

    got = terms(z0, counter_rng.sample_keys(0, n), np.arange(n, dtype="int32"))
    assert set(got) == set(expected)
    for name, values in got.items():
        values = to_numpy(values)
        spread = np.hypot(values.std() / np.sqrt(n), error if name == "diffusion" else 0.0)
        assert abs(values.mean() - expected[name]) < 4.5 * spread + 1e-4, name


@pytest.mark.once
def test_the_standard_error_is_that_of_the_estimate(mixture):
    schedule = schedules.Function(lambda t: -1.0 + 4.0 * t)
    schedule.adapt(variance=np.ones(SHAPE))
    draws = [mixture.negative_elbo(schedule, n=200, seed=seed) for seed in range(100)]
    spread = np.std([terms["diffusion"] for terms in draws])
    stated = np.mean([terms["standard_error"] for terms in draws])
    assert spread == pytest.approx(stated, rel=4.5 / np.sqrt(200))


# -- derivatives, extremes, other spaces ---------------------------------------------------------


def test_jvp_inside_a_compiled_loop(truth, rng):
    z = rng.normal(size=(4, *SHAPE)).astype("float32")
    tangent = rng.normal(size=z.shape).astype("float32")

    @backend.compile
    def derivative(z, tangent):
        def body(i, total):
            return total + ops.jvp(lambda x: truth(x, STATE), (z,), (tangent,))[1]

        return ops.fori_loop(0, 2, body, ops.zeros_like(z))

    def at(step):
        return to_numpy(truth(z + 0.02 * step * tangent, STATE))

    # Central differences of order 4.
    expected = (8.0 * (at(1.0) - at(-1.0)) - (at(2.0) - at(-2.0))) / (12.0 * 0.02)
    np.testing.assert_allclose(to_numpy(derivative(z, tangent)), 2.0 * expected, atol=1e-3)


@pytest.mark.once
def test_jvp_of_a_gaussian_is_linear_algebra(normal, rng):
    for state in (STATE, state_of(np.stack([GAMMA] * 3))):
        tangent = rng.normal(size=(3, *SHAPE)).astype("float32")
        at = ops.zeros((3, *SHAPE)), ops.convert_to_tensor(tangent)
        got = ops.jvp(lambda x, s=state: normal(x, s), at[:1], at[1:])[1]
        inverse = np.linalg.inv(normal.marginal(STATE)[1])
        expected = SIGMA * (tangent[..., 0] @ inverse)
        np.testing.assert_allclose(to_numpy(got)[..., 0], expected, atol=1e-5)


@pytest.mark.once
@pytest.mark.parametrize(
    "gammas",
    [pytest.param(g, marks=pytest.mark.once) for g in [(-20.0, -20.0), (20.0, 20.0)]]
    + [(-20.0, 20.0)],
)
def test_extreme_gammas(truth, gammas):
    state = state_of(gammas)
    z = np.concatenate([truth.sample(50, state), 8.0 * np.ones((1, *SHAPE))]).astype("float32")
    for values in (truth(z, state), truth.score(z, state), truth.log_start(z, state)):
        assert np.isfinite(to_numpy(values)).all()
    assert np.isfinite(to_numpy(truth.start(z, state))).all()
    assert np.isfinite(truth.log_prob(z, state)).all()
    # Pure noise is its own estimate; of a clean component nothing is noise.
    eps = to_numpy(truth(z[:50], state))[..., 0]
    for i, gamma in enumerate(gammas):
        np.testing.assert_allclose(eps[:, i], z[:50, i, 0] if gamma > 0 else 0.0, atol=2e-3)


@pytest.mark.once
def test_a_singular_covariance_is_a_model_too():
    truth = oracle.Mixture([0.5, 0.5], [[0.0, 0.0], [1.0, 1.0]], np.ones((2, 2)))
    z = truth.sample(20)
    assert np.abs(z[:, 0] - z[:, 1]).max() < 1e-12
    for gamma in (-20.0, 0.0, 20.0):
        assert np.isfinite(to_numpy(truth(z, state_of([gamma, gamma], (2,))))).all()
    with pytest.raises(ValueError, match="positive definite"):
        truth.log_prob(z)


@pytest.mark.once
def test_data_space(rng):
    """The density of data is that of their components times |d z0/d phi|."""
    shape, d = (4, 2), 8
    means = rng.normal(size=(2, *shape))
    factors = rng.normal(size=(2, d, 2 * d))
    covariances = factors @ np.swapaxes(factors, 1, 2) / d
    basis = bases.Compose(
        [bases.ChannelMix([[0.6, 0.8], [-0.8, 0.6]]), bases.get("haar", levels=2)]
    )
    basis.build((None, *shape))
    plain = oracle.Mixture.from_data_space([0.4, 0.6], means, covariances, basis)
    prior = priors.get("matching")
    prior.adapt(plain.mean, np.diag(plain.covariance).reshape(shape))
    truth = oracle.Mixture.from_data_space([0.4, 0.6], means, covariances, basis, prior)
    np.testing.assert_allclose(np.diag(truth.covariance), 1.0, atol=1e-5)
    np.testing.assert_allclose(truth.mean, 0.0, atol=1e-5)

    phi = rng.normal(size=(5, *shape)).astype("float32")
    got = truth.log_prob(to_numpy(prior(basis(phi)))) + float(prior.log_det())
    expected = oracle.Mixture([0.4, 0.6], means, covariances).log_prob(phi)
    np.testing.assert_allclose(got, expected, atol=1e-4)
    one = oracle.Gaussian.from_data_space(means[0], covariances[0], basis, prior)
    np.testing.assert_allclose(one.mean, truth.means[0])
    np.testing.assert_allclose(one.covariance, truth.covariances[0])


# -- bad input -----------------------------------------------------------------------------------

TWO = np.eye(2)
UNBUILT = bases.get("pixel")
NAN = np.array([[1.0, np.nan], [np.nan, 1.0]])
ROWS = state_of(np.zeros((3, 2)))


@pytest.mark.once
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: oracle.Mixture([0.5, 0.6], TWO, TWO), "`weights` that sum to 1.*1.1"),
        (lambda: oracle.Mixture([1.5, -0.5], TWO, TWO), "positive, finite `weights`"),
        (lambda: oracle.Mixture([np.nan, 1.0], TWO, TWO), "positive, finite `weights`"),
        (lambda: oracle.Mixture([], TWO, TWO), "`weights` of shape"),
        (lambda: oracle.Mixture([1.0], TWO, TWO), "`means` of shape.*k=1.*(2, 2)"),
        (lambda: oracle.Mixture([1.0], [0.0], TWO), "`means` of shape"),
        (lambda: oracle.Mixture([1.0], NAN[:1], TWO), "finite `means`"),
        (lambda: oracle.Mixture([0.5, 0.5], TWO, np.eye(3)), "`covariances` of shape.*(3, 3)"),
        (lambda: oracle.Mixture([0.5, 0.5], TWO, NAN), "finite `covariances`"),
        (lambda: oracle.Mixture([0.5, 0.5], TWO, [TWO, -TWO]), "positive semi-definite"),
        (lambda: oracle.Gaussian([0, 0], [[1.0, 0.1], [0.0, 1.0]]), "asymmetry 0.1"),
        (lambda: oracle.Gaussian([0, 0], -1e-8 * TWO), "positive semi-definite `covariance`"),
        (lambda: oracle.Gaussian([0, np.inf], TWO), "finite `mean`"),
        (lambda: oracle.Gaussian(0.0, [[1.0]]), "`mean` of shape"),
        (lambda: oracle.Gaussian.from_data_space([0, 0], TWO, UNBUILT), "built `basis`"),
    ],
)
def test_bad_models(call, message):
    with pytest.raises(ValueError, match=f"Expected.*{message}.*|Received.*{message}") as error:
        call()
    assert "Received" in str(error.value)


@pytest.mark.once
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: t.log_prob(np.zeros(SHAPE)), "`z` of shape \\(n, 2, 1\\)"),
        (lambda t: t.log_prob(np.full((1, *SHAPE), np.nan)), "finite `z`"),
        (lambda t: t.posterior(np.zeros(2), STATE), "`z` of shape \\(2, 1\\)"),
        (lambda t: t.posterior(np.zeros(SHAPE), ROWS), "`state` of one row.*3 rows"),
        (lambda t: t.marginal(ROWS), "`state` of one row"),
        (lambda t: t.restricted([0, 1]), "`mask` to be a boolean mask of shape \\(2, 1\\)"),
        (lambda t: t.restricted(np.zeros(SHAPE, bool)), "`mask` to keep"),
        (lambda t: t.conditional([True, False], [1.0]), "`given` to be a boolean mask"),
        (lambda t: t.conditional(np.ones(SHAPE, bool), [1.0, 2.0]), "`given` to leave"),
        (lambda t: t.conditional(np.eye(2, 1) > 0, [1.0, 2.0]), "`values` of shape \\(1,\\)"),
        (lambda t: t.log_start(np.zeros((1, *SHAPE)), STATE, [True]), "`given` to be a boolean"),
        (lambda t: t.negative_elbo(schedules.VP()), "VP schedule to know its components"),
        (lambda t: t.negative_elbo(schedules.Linear(a=(0.5, 1.0)), aa=1.0), "Did you mean 'a'"),
    ],
)
def test_bad_questions(mixture, call, message):
    with pytest.raises(ValueError, match=message) as error:
        call(mixture)
    assert "Expected" in str(error.value)


@pytest.mark.once
def test_a_singular_component_cannot_be_observed_exactly():
    truth = oracle.Gaussian([0.0, 0.0], np.diag([0.0, 1.0]))
    with pytest.raises(ValueError, match="positive definite"):
        truth.conditional([True, False], [0.0])


@pytest.mark.once
def test_parameters_of_a_family_are_numbers():
    schedule = schedules.Linear(a=(0.0, 1.0))
    schedule.adapt(variance=np.array([1.0, 0.2]))
    truth = oracle.Gaussian([0.0, 0.0], [[1.0, 0.1], [0.1, 0.2]])
    values = [truth.negative_elbo(schedule, a=a)["diffusion"] for a in (0.1, 0.9)]
    assert abs(values[0] - values[1]) > 1e-3
    with pytest.raises(ValueError, match="one row"):
        truth.negative_elbo(schedule, a=np.array([0.1, 0.9]))
