"""Langevin corrections after each step."""

import numpy as np
import pytest
from keras import ops

from keras_gud import oracle, samplers, schedules

COVARIANCE = np.array([[1.0, 0.7, 0.2], [0.7, 0.8, 0.1], [0.2, 0.1, 0.3]])
N = 4000


@pytest.fixture(scope="module")
def parts():
    schedule = schedules.Linear(a=0.7, gamma_denoise=-4.0, gamma_noise=4.0)
    schedule.adapt(variance=np.diag(COVARIANCE))
    return oracle.Gaussian(np.zeros(3), COVARIANCE), schedule


def covariance_error(parts, **arguments):
    truth, schedule = parts
    sampler = samplers.PredictorCorrector(**arguments)
    z = sampler(truth, schedule, n=N, seed=1)
    return np.abs(np.cov(z.T) - truth.marginal(schedule(0.0))[1]).max()


@pytest.mark.once
def test_corrections_repair_a_predictor_of_too_few_steps(parts):
    plain = covariance_error(parts, steps=15, corrections=0)
    corrected = covariance_error(parts, steps=15, corrections=6, snr=0.3)
    assert plain > 0.2 > 0.12 > corrected


@pytest.mark.once
def test_many_steps_are_right(parts):
    # 4.5 standard errors of a covariance of unit size.
    assert covariance_error(parts, steps=200) < 4.5 * np.sqrt(2.0 / N)


@pytest.mark.once
def test_no_corrections_is_the_predictor(parts):
    plain = samplers.get("dpm++")(*parts, n=5, steps=10, seed=2)
    wrapped = samplers.PredictorCorrector("dpm++", corrections=0)(*parts, n=5, steps=10, seed=2)
    np.testing.assert_allclose(wrapped, plain, atol=1e-6)


def test_corrections_draw_noise_of_their_own(parts):
    sampler = samplers.PredictorCorrector(samplers.EulerMaruyama(), corrections=1)
    seen = []

    def draw(k=0):
        seen.append(k)
        return ops.zeros((2, 3))

    truth, schedule = parts
    z = ops.ones((2, 3))
    sampler.step(truth, schedule, z, (), lambda k: 0.5 - 0.1 * k, draw)
    assert seen == [0, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"predictor": "adaptive"}, "`predictor` with fixed steps"),
        ({"predictor": "ancestrl"}, "Did you mean 'ancestral'"),
        ({"corrections": -1}, "`corrections` to be an integer >= 0"),
        ({"snr": 0.0}, "`snr` to be a number > 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        samplers.PredictorCorrector(**arguments)
