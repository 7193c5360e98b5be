"""The loss, its weights and the meaning of the output against NumPy."""

import numpy as np
import pytest
from keras import ops
from scipy.special import expit

from keras_gud.diffusion.loss import diffusion_nats, weighted_error
from keras_gud.diffusion.noising_state import NoisingState
from keras_gud.diffusion.prediction import (
    PREDICTIONS,
    eps_from_eps,
    eps_from_linear,
    eps_from_residual,
    eps_from_wiener,
    linear_eps,
)
from keras_gud.diffusion.weighting import likelihood_weight, min_snr_weight, unit_weight, v_weight


@pytest.fixture
def case(rng):
    """Gamma, its derivative (0 in one column), variance, z, eps and an output of a network."""
    gamma = rng.uniform(-6, 6, size=(200, 5))
    slope = rng.uniform(1, 20, size=(200, 5))
    slope[:, 2] = 0.0
    variance = rng.uniform(0.01, 2, size=5)
    z, eps, output = rng.normal(size=(3, 200, 5))
    return gamma, slope, variance, z, eps, output


def tensors(*values):
    return [ops.cast(v, "float32") for v in values]


def close(tensor, expected):
    np.testing.assert_allclose(ops.convert_to_numpy(tensor), expected, rtol=2e-4, atol=2e-5)


@pytest.mark.once
def test_predictions(case):
    gamma, slope, variance, z, _, output = case
    alpha2, sigma2 = expit(-gamma), expit(gamma)
    total = alpha2 * variance + sigma2
    state = NoisingState(*tensors(gamma, slope))
    arguments = *tensors(output, z), state, *tensors(variance)
    close(eps_from_eps(*arguments), output)
    close(eps_from_residual(*arguments), np.sqrt(sigma2) * z + output)
    wiener = np.sqrt(sigma2) * z / total + np.sqrt(alpha2 * variance / total) * output
    close(eps_from_wiener(*arguments), wiener)
    close(eps_from_linear(*arguments), np.sqrt(sigma2) * z / total + output)


@pytest.mark.once
@pytest.mark.parametrize("name", sorted(PREDICTIONS))
def test_the_right_output_gives_eps(name, case):
    """Each prediction's target, put in as the output, gives the noise back."""
    gamma, slope, variance, z0, eps, _ = case
    alpha, sigma = np.sqrt(expit(-gamma)), np.sqrt(expit(gamma))
    z = alpha * z0 + sigma * eps
    total = alpha**2 * variance + sigma**2
    linear = sigma * z / total
    scalar = alpha**2 * variance.mean() + sigma**2
    target = {
        "eps": eps,
        "residual": eps - sigma * z,
        "v": alpha * eps - sigma * z0,
        "x0": z0,
        "edm": (eps - sigma * z / scalar) / (alpha * np.sqrt(variance.mean() / scalar)),
        "linear": eps - linear,
        "wiener": (eps - linear) / np.sqrt(alpha**2 * variance / total),
    }[name]
    state = NoisingState(*tensors(gamma, slope))
    result = PREDICTIONS[name](*tensors(target, z), state, *tensors(variance))
    # In float32 the division by sigma = 0.05 costs two digits.
    np.testing.assert_allclose(ops.convert_to_numpy(result), eps, rtol=1e-3, atol=1e-4)


@pytest.mark.once
def test_weightings(case):
    gamma, slope, variance, *_ = case
    state, sigma_i = NoisingState(*tensors(gamma, slope)), tensors(variance)[0]
    snr = variance * np.exp(-gamma)
    close(unit_weight(state, sigma_i), np.ones_like(gamma))
    close(likelihood_weight(state, sigma_i), slope / 2)
    close(min_snr_weight(state, sigma_i), np.minimum(snr, 5) / snr)
    close(v_weight(state, sigma_i), 1 + np.exp(gamma))


@pytest.mark.once
def test_loss_leaves_frozen_components_out(case):
    gamma, slope, _variance, _, eps, guess = case
    state = NoisingState(*tensors(gamma, slope))
    weight = likelihood_weight(state, None)
    expected = np.where(slope > 0, slope / 2 * (eps - guess) ** 2, 0).sum(axis=1) / 5
    close(weighted_error(*tensors(eps, guess), state, weight), expected)
    close(diffusion_nats(*tensors(eps, guess), state), 5 * expected)
    unit = unit_weight(state, None)
    moved = guess.copy()
    moved[:, 2] += 100.0
    same = [weighted_error(*tensors(eps, g), state, unit) for g in (guess, moved)]
    np.testing.assert_array_equal(*(ops.convert_to_numpy(s) for s in same))


@pytest.mark.once
def test_the_linear_baseline_scores_its_closed_form(rng):
    """E |eps_i - sigma z_i/V|^2 = alpha^2 Sigma/V."""
    n, variance = 200_000, np.array([1.0, 0.2, 0.01])
    gamma = np.array([[-1.0, 0.5, 2.0]])
    state = NoisingState(*tensors(gamma, np.ones((1, 3))))
    z0, eps = rng.normal(size=(n, 3)) * np.sqrt(variance), rng.normal(size=(n, 3))
    z = state.add_noise(*tensors(z0, eps))
    error = eps - ops.convert_to_numpy(linear_eps(z, state, *tensors(variance)))
    expected = expit(-gamma[0]) * variance / (expit(-gamma[0]) * variance + expit(gamma[0]))
    np.testing.assert_allclose((error**2).mean(0), expected, rtol=0.02)
