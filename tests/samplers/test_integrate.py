"""From given components, between any two times, forwards and backwards; where the steps lie."""

import numpy as np
import pytest

from keras_gud import oracle, samplers, schedules

COVARIANCE = np.array([[1.0, 0.7, 0.2], [0.7, 0.8, 0.1], [0.2, 0.1, 0.3]])


@pytest.fixture(scope="module")
def parts():
    schedule = schedules.Linear(a=(0.5, 1.0), gamma_denoise=-4.0, gamma_noise=4.0)
    schedule.adapt(variance=np.diag(COVARIANCE))
    return oracle.Gaussian(np.zeros(3), COVARIANCE), schedule


@pytest.mark.once
@pytest.mark.parametrize("name", ["adaptive", "rk4", "tsit5", "heun"])
def test_there_and_back(parts, rng, name):
    z = rng.normal(size=(6, 3)).astype("float32")
    sampler = samplers.get(name)
    noise = sampler.integrate(*parts, z, times=(0.0, 1.0), a=0.6)
    assert np.abs(noise - z).max() > 0.1
    back = sampler.integrate(*parts, noise, times=(1.0, 0.0), a=0.6)
    np.testing.assert_allclose(back, z, atol=2e-3)


@pytest.mark.once
def test_the_flow_of_a_gaussian_keeps_its_distribution(parts, rng):
    truth, schedule = parts
    root = np.linalg.cholesky(truth.marginal(schedule(0.0))[1])
    z = (rng.normal(size=(20000, 3)) @ root.T).astype("float32")
    noise = samplers.get("adaptive").integrate(truth, schedule, z, times=(0.0, 1.0))
    expected = truth.marginal(schedule(1.0))[1]
    # The flow is linear: the covariance of the images is the image of the sample covariance.
    assert np.abs(np.cov(noise.T) - expected).max() < 4.5 * np.sqrt(2.0 / 20000)


@pytest.mark.once
def test_parameters_batches_and_conditions_as_in_sampling(parts, rng):
    truth, schedule = parts
    z = rng.normal(size=(5, 3)).astype("float32")
    sampler, a = samplers.get("dpm++sde"), np.linspace(0.5, 1.0, 5)
    whole = sampler.integrate(truth, schedule, z, steps=10, seed=7, a=a)
    parts_ = [
        sampler.integrate(truth, schedule, z[i : i + 1], steps=10, seed=7, first=i, a=a[i])
        for i in range(5)
    ]
    np.testing.assert_allclose(np.concatenate(parts_), whole, atol=1e-4)
    batched = sampler.integrate(truth, schedule, z, steps=10, seed=7, a=a, batch_size=2)
    np.testing.assert_allclose(batched, whole, atol=1e-4)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ((1.0, 1.0), "two different numbers"),
        ((1.0, float("nan")), "two different numbers"),
        ((1.2, 0.0), r"numbers in \[0, 1\]"),
        ((0.0, 1.0), "Expected a Runge-Kutta sampler to go from data to noise"),
    ],
)
def test_bad_times(parts, times, message):
    with pytest.raises(ValueError, match=message):
        samplers.get("dpm++").integrate(*parts, np.zeros((1, 3)), times=times)


@pytest.mark.once
@pytest.mark.parametrize("spacing", sorted(samplers.SPACINGS))
def test_steps_lie_where_the_spacing_says(spacing):
    expected = {
        "uniform": [1.0, 0.75, 0.5, 0.25, 0.0],
        "quadratic": [1.0, 0.5625, 0.25, 0.0625, 0.0],
        "cosine": [1.0, 0.853553, 0.5, 0.146447, 0.0],
    }[spacing]
    schedule = schedules.Function(lambda t: -6.0 + 8.0 * t)
    schedule.adapt(variance=np.ones(1))
    # With eps = 0 the flow is z -> z alpha(s)/alpha(t), exactly: the states tell their times.
    sampler = samplers.DPMSolver(steps=4, order=1, spacing=spacing)
    start = np.ones((1, 1), "float32")
    _, path = sampler.integrate(lambda z, state: 0.0 * z, schedule, start, states=4)
    alpha_squared = (path[:, 0, 0] / path[-1, 0, 0]) ** 2 / (1.0 + np.exp(-6.0))
    times = (np.log(1.0 / alpha_squared - 1.0) + 6.0) / 8.0
    np.testing.assert_allclose(times, expected, atol=1e-3)
    copy = samplers.DPMSolver.from_config(sampler.get_config())
    assert copy.spacing == spacing


def test_unknown_spacing():
    with pytest.raises(ValueError, match="Did you mean 'quadratic'"):
        samplers.DPMSolver(spacing="quadrtic")
