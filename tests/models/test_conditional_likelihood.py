"""`log_prob(x, given=...)` of a model with an exact denoiser, against the closed form."""

import math

import numpy as np
import pytest
from helpers.marks import once
from helpers.one_weight import OneWeightPerValue
from keras import ops
from scipy.stats import multivariate_normal

import keras_gud
from keras_gud import oracle, schedules
from keras_gud.oracle.space import matrix_of

SHAPE, D = (4, 4, 1), 16
CASES = {
    "haar": ("isotropic", "band", lambda labels: labels["band"] <= 1),
    "dct": ("matching", "frequency", lambda labels: labels["frequency"] < 0.3),
    "fourier": ("isotropic", "frequency", lambda labels: labels["frequency"] < 0.3),
}


def data_moments():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(D, D)) / 4.0
    return rng.normal(size=D), root @ root.T + 0.1 * np.eye(D)


def data(n, seed=1):
    mean, covariance = data_moments()
    x = np.random.default_rng(seed).multivariate_normal(mean, covariance, size=n)
    return x.reshape(-1, *SHAPE).astype("float32")


@pytest.fixture(scope="module", params=once(CASES, but=["haar"]))
def exact(request):
    """A model whose denoiser is that of the Gaussian, and a mask of whole groups."""
    prior, over, choose = CASES[request.param]
    schedule = schedules.Sequential(b=0.4, over=over)
    model = keras_gud.GUD(
        request.param, prior, schedule, OneWeightPerValue(), data_scale="range", seed=0
    )
    model.adapt(data(200), verbose=0)
    mean, covariance = data_moments()
    parts = model.basis, model.prior
    truth = oracle.Gaussian.from_data_space(mean.reshape(SHAPE), covariance, *parts)
    truth.in_view = lambda view: truth
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras_gud.GUD, "denoiser", property(lambda self: truth))
        yield model, choose(model.basis.coordinates)


one_basis = pytest.mark.parametrize("exact", ["haar"], indirect=True)  # each solve is compiled


def closed_form(model, x, given):
    """log p of the components y = U x that are not given, conditional on those that are.

    In the data's units, with the noise that the state at t = 0 has: exp(gamma(0)) S^2.
    """
    u, (mean, covariance) = matrix_of(model.basis), data_moments()
    gamma = ops.convert_to_numpy(model.schedule(0.0).gamma)[0].astype("float64")
    scale = ops.convert_to_numpy(model.prior.scale).astype("float64")
    noise = np.broadcast_to(np.exp(gamma) * scale**2, SHAPE).ravel()
    y, mean = x.reshape(-1, D) @ u.T, u @ mean
    covariance = u @ covariance @ u.T + np.diag(noise)
    known = np.broadcast_to(given, SHAPE).ravel()
    inner = np.linalg.solve(covariance[np.ix_(known, known)], covariance[np.ix_(known, ~known)])
    rest = covariance[np.ix_(~known, ~known)] - covariance[np.ix_(~known, known)] @ inner
    expected = mean[~known] + (y[:, known] - mean[known]) @ inner
    return multivariate_normal(cov=(rest + rest.T) / 2.0).logpdf(y[:, ~known] - expected)


def test_groups_given_the_others(exact):
    model, given = exact
    assert 2 <= given.sum() <= D - 2
    x = data(6, seed=2)
    terms = model.log_prob(x, given=given)
    expected = closed_form(model, x, given)
    left = D - given.sum()
    assert (np.abs(terms["log_prob"] - expected) < 2e-3 * left).all()
    assert (terms["standard_error"] == 0.0).all()  # so few components: the exact trace
    # What the given ones say is much: without them the density is another.
    assert np.abs(expected - closed_form(model, x, np.zeros(SHAPE, bool))).max() > 1.0
    bits = model.bits_per_dim(x, given=given)
    np.testing.assert_allclose(bits, -terms["log_prob"] / (left * math.log(2.0)), rtol=1e-12)


@pytest.mark.once
@one_basis
def test_the_others_have_no_say(exact):
    """Conditional, not joint: another value of what is given is another mean of the rest."""
    model, given = exact
    x = data(1, seed=3)
    u = matrix_of(model.basis)
    moved = (x.reshape(D) + u.T @ (3.0 * given.ravel())).reshape(x.shape).astype("float32")
    both = np.concatenate([x, moved])
    got = model.log_prob(both, given=given)["log_prob"]
    np.testing.assert_allclose(got, closed_form(model, both, given), atol=0.03)
    assert abs(got[0] - got[1]) > 0.1


@pytest.mark.once
@one_basis
def test_nothing_given_is_the_joint_density(exact):
    model, _ = exact
    x, nothing = data(3, seed=4), np.zeros(SHAPE, bool)
    joint = model.log_prob(x, given=nothing)["log_prob"]
    assert np.abs(joint - closed_form(model, x, nothing)).max() < 0.03


BAD = {
    "all": (np.ones(SHAPE, bool), "`given` to leave some components. Received: True everywhere"),
    "all at once": (True, "True everywhere"),
    "integers": (np.ones(SHAPE, int), "`given` to be a boolean array.*dtype int"),
    "floats": (np.full(SHAPE, 0.5), "`given` to be a boolean array.*dtype float64"),
    "a name": ("band", "`given` to be a boolean array"),
    "indices": ([0, 1], r"boolean array that broadcasts to \(4, 4, 1\).*dtype int"),
    "another shape": (np.zeros((3, 4, 1), bool), r"broadcasts to \(4, 4, 1\).*\(3, 4, 1\)"),
    "a batch": (np.zeros((2, *SHAPE), bool), r"broadcasts to \(4, 4, 1\).*\(2, 4, 4, 1\)"),
    "without channels": (np.eye(4, dtype=bool), r"broadcasts to \(4, 4, 1\).*\(4, 4\)"),
    "ragged": ([[True], [True, False]], "`given` to be a boolean array"),
}


@pytest.mark.once
@one_basis
@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("call", ["log_prob", "bits_per_dim"])
def test_bad_masks(exact, call, what):
    model, _ = exact
    given, message = BAD[what]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        getattr(model, call)(data(2), given=given)


@pytest.mark.once
@one_basis
def test_a_mask_must_not_split_a_group(exact):
    model, _ = exact
    groups = np.broadcast_to(ops.convert_to_numpy(model.schedule.groups), SHAPE)
    largest = groups == np.bincount(groups.ravel()).argmax()
    split = largest.copy()
    split[tuple(np.argwhere(largest)[0])] = False
    message = f"whole groups .* splits 1 of {groups.max() + 1} groups"
    with pytest.raises(ValueError, match=message):
        model.log_prob(data(2), given=split)
    assert np.isfinite(model.log_prob(data(2), given=largest)["log_prob"]).all()


@pytest.mark.once
def test_any_columns_of_a_table_given_any_others(monkeypatch):
    """Where the network is told the gamma of every value, groups may be split."""
    monkeypatch.setattr(OneWeightPerValue, "gamma_map", True, raising=False)
    covariance = np.array([[1.0, 0.9], [0.9, 1.0]])
    x = np.random.default_rng(0).multivariate_normal([0.0, 0.0], covariance, 200)
    model = keras_gud.GUD(
        schedule="cosine", backbone=OneWeightPerValue(), region=["inpaint"], data_scale="none"
    )
    model.adapt(x, verbose=0)
    truth = oracle.Gaussian(-ops.convert_to_numpy(model.prior.mean), covariance)
    truth.in_view = lambda view: truth
    monkeypatch.setattr(keras_gud.GUD, "denoiser", property(lambda self: truth))
    got = model.log_prob(x[:4], given=[True, False])["log_prob"]
    noised = covariance + np.exp(-10.0) * np.eye(2)
    slope = noised[0, 1] / noised[0, 0]
    rest = multivariate_normal(cov=noised[1, 1] - slope * noised[0, 1])
    np.testing.assert_allclose(got, rest.logpdf(x[:4, 1] - slope * x[:4, 0]), atol=0.01)
