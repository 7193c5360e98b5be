"""The contract of a sampler, for every registered one, on denoisers that are exact."""

import keras
import numpy as np
import pytest

from keras_gud import oracle, samplers, schedules

NAMES = sorted(samplers.registry.factories)
COVARIANCE = np.array([[1.0, 0.7, 0.2], [0.7, 0.8, 0.1], [0.2, 0.1, 0.3]])
# How near two halves of a path come to the whole; 0.03 for a sampler that is not named here.
HALVES = dict.fromkeys(
    ("adaptive", "bogacki_shampine", "dpm++", "heun", "rk4", "tsit5", "unipc"), 2e-3
)


@pytest.fixture(scope="module")
def parts():
    schedule = schedules.Linear(a=(0.5, 1.0), gamma_denoise=-4.0, gamma_noise=4.0)
    schedule.adapt(variance=np.diag(COVARIANCE))
    return oracle.Gaussian(np.zeros(3), COVARIANCE), schedule


@pytest.fixture(scope="module", params=NAMES, name="sampler")
def _sampler(request):
    """One of each for all tests, so that its loop is compiled once for the same parts."""
    sampler = samplers.get(request.param)
    sampler.name = request.param
    return sampler


def steps(sampler, n):
    """The argument `steps`, but for samplers that choose their own: theirs is a limit."""
    return {"steps": n} if sampler.fixed_steps else {}


def test_config_seeds_batches_and_pieces(sampler, parts):
    """The memory of a multistep method crosses the pieces in which the loop is run."""
    how = {"seed": 3, **steps(sampler, 12)}
    whole = sampler(*parts, n=5, **how)
    assert whole.shape == (5, 3)
    assert whole.dtype == np.float32
    assert np.isfinite(whole).all()
    assert np.abs(sampler(*parts, n=5, **how | {"seed": 4}) - whole).max() > 0.1
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(sampler))
    assert type(copy) is type(sampler)
    assert copy.get_config() == sampler.get_config()
    pieces, _ = copy(*parts, n=5, **how, states=6, batch_size=2)
    # An adaptive batch shares its steps, which differ within the tolerance.
    np.testing.assert_allclose(pieces, whole, atol=1e-4 if steps(sampler, 1) else 1e-3)


@pytest.mark.once
def test_a_copy_gives_the_same_bits(sampler, parts):
    how = {"n": 5, "seed": 3, **steps(sampler, 12)}
    copy = type(sampler).from_config(sampler.get_config())
    np.testing.assert_array_equal(copy(*parts, **how), sampler(*parts, **how))


@pytest.mark.once
def test_mean_and_covariance_of_the_samples(sampler, parts):
    """Those of the data noised to gamma(0), within sampling error and what 100 steps leave."""
    truth, schedule = parts
    n = 4000
    z = sampler(truth, schedule, n=n, seed=0, **steps(sampler, 100))
    mean, expected = truth.marginal(schedule(0.0))
    variance = np.diag(expected)
    assert (np.abs(z.mean(0) - mean) < 4.5 * np.sqrt(variance / n)).all()
    error = np.sqrt((np.outer(variance, variance) + expected**2) / n)
    assert (np.abs(np.cov(z.T) - expected) < 4.5 * error + 0.06).all()


@pytest.mark.once
def test_a_path_in_two_halves(sampler, parts):
    """z(1) to z(1/2) to z(0): a sampler of the flow meets its whole path, others draw anew."""
    how = steps(sampler, 40)
    _, path = sampler(*parts, n=4, seed=3, states=2, **how)
    first = sampler.integrate(*parts, path[0], times=(1.0, 0.5), seed=3, **how)
    second, again = (
        sampler.integrate(*parts, first, times=(0.5, 0.0), seed=seed, **how) for seed in (4, 5)
    )
    assert np.isfinite(second).all()
    if np.array_equal(again, second):
        assert not sampler.stochastic
        tolerance = HALVES.get(sampler.name, 0.03)
        np.testing.assert_allclose(first, path[1], atol=tolerance)
        np.testing.assert_allclose(second, path[2], atol=tolerance)
    else:
        assert np.abs(again - second).max() > 0.05
        assert np.abs(second - path[2]).max() > 0.05


def test_frozen_components_stay_bit_exact(sampler):
    schedule = schedules.Sequential(b=0.9, over=0)
    schedule.adapt(variance=np.ones(4))
    truth = oracle.Gaussian(np.zeros(4), np.eye(4) * 0.5 + 0.5)
    _, path = sampler(truth, schedule, n=8, **steps(sampler, 40), states=40, seed=0)
    gamma = np.stack([np.asarray(schedule(1.0 - i / 40).gamma)[0] for i in range(41)])
    frozen = gamma[1:] == gamma[:-1]
    assert 0.5 < frozen.mean() < 0.95
    moved = np.abs(np.diff(path, axis=0)).max(axis=1) > 0
    if getattr(sampler, "corrector", False):
        # The last step of a component is corrected at the beginning of the next one.
        assert moved[~frozen].all()
        frozen[1:] &= frozen[:-1]
        assert not moved[frozen].any()
    else:
        np.testing.assert_array_equal(moved, ~frozen)


@pytest.mark.once
def test_extreme_gammas_stay_finite(sampler):
    schedule = schedules.Function(lambda t: -20.0 + 40.0 * t)
    schedule.adapt(variance=np.ones(2))
    truth = oracle.Gaussian(np.zeros(2), [[1.0, 0.5], [0.5, 1.0]])
    assert np.isfinite(sampler(truth, schedule, n=4, **steps(sampler, 5), seed=0)).all()
