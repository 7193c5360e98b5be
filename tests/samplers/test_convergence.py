"""Orders of convergence, measured on the exact probability flow of a correlated Gaussian."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy.integrate import solve_ivp
from scipy.special import expit

from keras_gud import oracle, samplers, schedules
from keras_gud.process import NoisingState

COVARIANCE = np.array([[1.0, 0.5, 0.1], [0.5, 0.6, -0.2], [0.1, -0.2, 0.3]])
# Linear in t, and another one for every component.
GAMMA_0, GAMMA_1 = np.array([-4.0, -4.5, -5.0]), np.array([4.0, 5.0, 3.5])
SLOPE = GAMMA_1 - GAMMA_0


def exact_eps(z, gamma):
    """The denoiser of `oracle.Gaussian`, in NumPy and float64."""
    alpha, variance = np.sqrt(expit(-gamma)), expit(gamma)
    covariance = alpha[:, None] * COVARIANCE * alpha + np.diag(variance)
    return np.sqrt(variance) * np.linalg.solve(covariance, z.T).T


def solution(start):
    """The flow of paper eq. 25 from t = 1 to 0, by SciPy."""

    def velocity(t, z):
        gamma, z = GAMMA_0 + t * SLOPE, z.reshape(-1, 3)
        score = -exact_eps(z, gamma) / np.sqrt(expit(gamma))
        return (-0.5 * expit(gamma) * SLOPE * (z + score)).ravel()

    options = {"rtol": 1e-12, "atol": 1e-12, "method": "DOP853"}
    return solve_ivp(velocity, (1.0, 0.0), start.ravel(), **options).y[:, -1].reshape(start.shape)


def double(x):
    return ops.convert_to_tensor(np.asarray(x, "float64"))


def integrate(sampler, start, steps):
    """The sampler's own steps on float64 tensors; the loop around them knows float32 only."""

    def state_at(t):
        gamma = GAMMA_0 + float(t) * SLOPE
        return NoisingState(double(gamma[None]), double(SLOPE[None]))

    def denoiser(z, state):
        return double(exact_eps(ops.convert_to_numpy(z), ops.convert_to_numpy(state.gamma)[0]))

    z = double(start)
    memory = sampler.first_memory(z)
    for i in range(steps):
        clock = lambda k, i=i: double(min(steps - i - k, steps) / steps)  # noqa: E731
        z, memory = sampler.step(denoiser, state_at, z, memory, clock, None)
    return ops.convert_to_numpy(z)


CASES = {
    "order 1": (samplers.DPMSolver(order=1), 64, 1),
    "order 2": (samplers.DPMSolver(order=2), 64, 2),
    "order 3": (samplers.DPMSolver(order=3), 128, 3),
    "order 1 corrected": (samplers.DPMSolver(order=1, corrector=True), 64, 2),
    "order 2 corrected": (samplers.DPMSolver(order=2, corrector=True), 64, 3),
    "heun": (samplers.RungeKutta("heun"), 64, 2),
    "bogacki_shampine": (samplers.RungeKutta("bogacki_shampine"), 64, 3),
    "rk4": (samplers.RungeKutta("rk4"), 32, 4),
}


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="jax computes in float32 only")
@pytest.mark.parametrize("name", CASES)
def test_order_of_convergence(rng, name):
    sampler, steps, order = CASES[name]
    start = rng.normal(size=(8, 3))
    expected = solution(start)
    errors = [
        np.sqrt(np.mean((integrate(sampler, start, n) - expected) ** 2)) for n in (steps, 2 * steps)
    ]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.15), errors


@pytest.fixture(scope="module")
def parts():
    """The same process as library parts."""
    schedule = schedules.Linear(a=0.5, gamma_denoise=-4.0, gamma_noise=4.0)
    schedule.adapt(variance=np.diag(COVARIANCE))
    return oracle.Gaussian(np.zeros(3), COVARIANCE), schedule


# How near 40 steps of each come to 4000 of order 2, in the compiled float32 loop.
NEAR = {
    "ddim": 0.1,
    "dpm++": 0.01,
    "unipc": 0.002,
    "heun": 0.002,
    "bogacki_shampine": 1e-3,
    "rk4": 1e-3,
}


@pytest.mark.parametrize("name", NEAR)
def test_all_deterministic_samplers_approach_the_same_flow(parts, name):
    truth, schedule = parts
    expected = samplers.DPMSolver(order=2)(truth, schedule, n=32, seed=0, steps=4000)
    z = samplers.get(name)(truth, schedule, n=32, seed=0, steps=40)
    error = np.sqrt(np.mean((z - expected) ** 2))
    assert 0 < error < NEAR[name]
