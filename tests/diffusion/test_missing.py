"""States of data with gaps: what is missing says nothing and carries no loss."""

import numpy as np
import pytest
from keras import ops

from keras_gud import bases, oracle, schedules
from keras_gud.core import counter_rng
from keras_gud.diffusion import missing
from keras_gud.likelihood import negative_elbo

COVARIANCE = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.3], [0.0, 0.3, 1.0]])


def cosine():
    schedule = schedules.get("cosine")
    schedule.adapt(variance=np.ones(3))
    return schedule


def test_what_is_missing_stays_at_the_end_of_the_path():
    mask = ops.convert_to_tensor([[True, False, False], [False, False, True]])
    path, schedule = missing.WithoutMissing(cosine(), mask), cosine()
    for t in (0.0, 0.3, 1.0):
        state, plain = path(t), schedule(t)
        gamma, slope = (ops.convert_to_numpy(v) for v in (state.gamma, state.dgamma_dt))
        hidden = ops.convert_to_numpy(mask)
        assert (gamma[hidden] == ops.convert_to_numpy(schedule(1.0).gamma).max()).all()
        assert (slope[hidden] == 0.0).all()
        assert (gamma[~hidden] == ops.convert_to_numpy(plain.gamma).max()).all()
        assert (slope[~hidden] == ops.convert_to_numpy(plain.dgamma_dt).max()).all()


@pytest.mark.once
def test_what_is_missing_has_the_variance_of_its_component():
    noise = np.random.default_rng(0).normal(size=(4000, 2)).astype("float32")
    mask = np.array([True, False])[None].repeat(4000, axis=0)
    variance = np.array([[9.0, 1.0]], "float32")
    filled = missing.fill(*map(ops.convert_to_tensor, (7.0 * mask[:, ::-1], mask, noise, variance)))
    filled = ops.convert_to_numpy(filled)
    assert filled[:, 0].std() == pytest.approx(3.0, rel=0.05)
    assert (filled[:, 1] == 7.0).all()


@pytest.mark.once
@pytest.mark.parametrize("names", [["dct"], ["channel"], ["pixel", "haar"]])
def test_components_must_be_single_values(names):
    with pytest.raises(ValueError, match=rf"(?i)basis='pixel'.*Received.*{names[-1]}"):
        missing.check_bases([bases.get(name) for name in names])
    missing.check_bases([bases.Pixel()])


@pytest.mark.once
@pytest.mark.parametrize("known", [[0], [1, 2], [0, 2]])
def test_the_bound_is_that_of_the_others_alone(known):
    """With the exact denoiser, its mean is the entropy of the marginal."""
    rng, n = np.random.default_rng(0), 4000
    z0 = rng.multivariate_normal(np.zeros(3), COVARIANCE, n).astype("float32")
    mask = np.ones((n, 3), bool)
    mask[:, known] = False
    tensors = ops.convert_to_tensor(z0), ops.convert_to_tensor(mask)
    keys = counter_rng.sample_keys(0, n, 0)
    filled = missing.fill(*tensors, counter_rng.normal(keys, -1, (3,)), ops.ones(3))
    counted = ops.convert_to_tensor((~mask).astype("float32"))
    path = missing.WithoutMissing(cosine(), tensors[1])
    truth = oracle.Gaussian(np.zeros(3), COVARIANCE)
    parts = truth, path, filled, keys, ops.arange(n), 32, {}
    terms = negative_elbo(*parts, counted=counted)
    bound = sum(ops.convert_to_numpy(term).astype("float64") for term in terms.values())
    marginal = COVARIANCE[np.ix_(known, known)]
    entropy = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * marginal)[1]
    error = bound.std() / np.sqrt(n)
    assert bound.mean() == pytest.approx(entropy, abs=4 * error)
