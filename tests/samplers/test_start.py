"""Where sampling starts: with the moments of noised data, or from the prior."""

import numpy as np
import pytest

from keras_gud import oracle, samplers, schedules

MEAN = np.array([2.0, -1.0, 0.0])
COVARIANCE = np.array([[1.5, 0.9, 0.0], [0.9, 0.8, 0.1], [0.0, 0.1, 0.3]])
N = 4000


@pytest.fixture(scope="module")
def parts():
    schedule = schedules.Sequential(b=(0.0, 0.5), over=0, gamma_min=-6.0, gamma_max=1.0)
    schedule.adapt(variance=np.diag(COVARIANCE))
    return oracle.Gaussian(MEAN, COVARIANCE), schedule


def at_start(parts, start, n=N, **params):
    _, path = samplers.DPMSolver(steps=1)(*parts, n=n, seed=0, states=1, start=start, **params)
    return path[0]


@pytest.mark.once
def test_matched_has_the_moments_of_noised_data(parts):
    truth, schedule = parts
    z = at_start(parts, "matched", b=0.3)
    mean, covariance = truth.marginal(schedule(1.0, b=0.3))
    spread = np.sqrt(np.diag(covariance) / N)
    assert np.abs((z.mean(0) - mean) / spread).max() < 4.5
    variance = np.diag(covariance)
    error = np.sqrt((np.outer(variance, variance) + covariance**2) / N)
    assert np.abs((np.cov(z.T) - covariance) / error).max() < 4.5


@pytest.mark.once
def test_matched_takes_one_parameter_for_each_sample(parts):
    z = at_start(parts, "matched", n=3, b=np.array([0.0, 0.2, 0.4]))
    np.testing.assert_allclose(z, at_start(parts, "matched", n=3, b=0.4), atol=1e-5)


@pytest.mark.once
def test_prior_is_standard_normal_whatever_the_data(parts):
    z = at_start(parts, "prior")
    assert np.abs(z.mean(0)).max() < 4.5 / np.sqrt(N)
    assert np.abs(np.cov(z.T) - np.eye(3)).max() < 4.5 * np.sqrt(2 / N)


@pytest.mark.once
def test_a_denoiser_that_knows_nothing_of_its_data_starts_from_the_prior(parts):
    truth, schedule = parts

    def denoiser(z, state):
        return truth(z, state)

    path = samplers.DPMSolver(steps=1)(denoiser, schedule, 5, shape=(3,), seed=0, states=1)[1]
    np.testing.assert_array_equal(path[0], at_start(parts, "prior", n=5))


@pytest.mark.once
def test_a_matched_start_removes_the_error_of_the_prior(parts):
    """The flow carries the start's error to the end; with few steps of a good solver it is all."""
    truth, schedule = parts
    mean, covariance = truth.marginal(schedule(0.0))

    def error(start):
        sampler = samplers.DPMSolver(order=2, corrector=True)
        z = sampler(truth, schedule, n=N, steps=60, seed=1, start=start)
        return np.abs(z.mean(0) - mean).max(), np.abs(np.cov(z.T) - covariance).max()

    matched, prior = error("matched"), error("prior")
    assert matched[0] < 0.1 < 0.5 < prior[0]
    assert matched[1] < 0.15


def test_unknown_start(parts):
    with pytest.raises(ValueError, match="Expected `start` to be one of.*'zero'"):
        at_start(parts, "zero", n=1)
