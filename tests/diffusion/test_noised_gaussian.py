"""Gaussian components on tensors: one covariance for all rows, one for each, and leading axes."""

import numpy as np
import pytest
from helpers.marks import once
from keras import ops
from scipy.stats import multivariate_normal

from keras_gud.diffusion import noised_gaussian
from keras_gud.diffusion.noising_state import NoisingState

D, BATCH = 4, 5


def to_numpy(x):
    return ops.convert_to_numpy(x)


def covariances(rng, *leading):
    factors = rng.normal(size=(*leading, D, 2 * D))
    return (factors @ np.swapaxes(factors, -1, -2) / D).astype("float32")


@pytest.mark.parametrize("rows", once([1, BATCH], but=[BATCH]))
@pytest.mark.parametrize("leading", [(), pytest.param((3,), marks=pytest.mark.once)])
def test_densities_scores_and_solutions_row_by_row(rng, rows, leading):
    covariance = covariances(rng, *leading, rows)
    mean = rng.normal(size=(*leading, rows, D)).astype("float32")
    z = rng.normal(size=(BATCH, D)).astype("float32")
    tensors = [ops.convert_to_tensor(x) for x in (z, mean, covariance)]
    score, density = map(to_numpy, noised_gaussian.score_and_log_density(*tensors))
    solution = to_numpy(noised_gaussian.solve(tensors[2], tensors[0] - tensors[1]))
    np.testing.assert_allclose(to_numpy(noised_gaussian.log_density(*tensors)), density, rtol=1e-5)
    for index in np.ndindex(*leading, BATCH):
        row = (*index[:-1], min(index[-1], rows - 1))
        inverse = np.linalg.inv(covariance[row].astype("float64"))
        expected = inverse @ (z[index[-1]] - mean[row])
        np.testing.assert_allclose(solution[index], expected, atol=2e-4)
        np.testing.assert_allclose(score[index], -expected, atol=2e-4)
        reference = multivariate_normal(mean[row], covariance[row]).logpdf(z[index[-1]])
        assert density[index] == pytest.approx(reference, abs=2e-4)


@pytest.mark.once
def test_independent_components_against_numpy(rng):
    z, variance = rng.normal(size=(5, 2, 3)), rng.uniform(0.1, 2.0, size=(2, 3))
    given = np.array([[True, False, False], [False, True, False]])
    terms = -0.5 * (z**2 / variance + np.log(2.0 * np.pi * variance))
    tensors = [ops.convert_to_tensor(values.astype("float32")) for values in (z, variance)]
    for mask, expected in ((None, terms), (given, np.where(given, 0.0, terms))):
        density = to_numpy(noised_gaussian.diagonal_log_density(*tensors, mask))
        np.testing.assert_allclose(density, expected.sum(axis=(1, 2)), rtol=1e-5)


@pytest.mark.once
@pytest.mark.parametrize("rows", [1, BATCH])
def test_draws_are_the_triangular_map(rng, rows):
    covariance, mean = covariances(rng, rows), rng.normal(size=(rows, D)).astype("float32")
    noise = rng.normal(size=(BATCH, D)).astype("float32")
    z = to_numpy(noised_gaussian.draw(*map(ops.convert_to_tensor, (noise, mean, covariance))))
    for i in range(BATCH):
        row = min(i, rows - 1)
        expected = mean[row] + np.linalg.cholesky(covariance[row].astype("float64")) @ noise[i]
        np.testing.assert_allclose(z[i], expected, atol=1e-5)


def test_moments_of_fields_that_broadcast(rng):
    """Gamma differs along one axis of two only, and between rows."""
    gamma = rng.normal(size=(3, 2, 1)).astype("float32")
    mean, covariance = rng.normal(size=D), covariances(rng)
    got = noised_gaussian.moments(
        NoisingState(ops.convert_to_tensor(gamma)), mean, covariance, (2, 2)
    )
    for i, row in enumerate(np.repeat(gamma[:, :, 0], 2, axis=1)):
        alpha = np.sqrt(1.0 / (1.0 + np.exp(row)))
        expected = alpha[:, None] * covariance * alpha + np.diag(1.0 - alpha**2)
        np.testing.assert_allclose(to_numpy(got[0])[i], alpha * mean, atol=1e-6)
        np.testing.assert_allclose(to_numpy(got[1])[i], expected, atol=1e-6)


def test_the_floor_is_for_singular_covariances_alone():
    """It follows the scale of each component, and leaves one that does not vary alone."""
    scales = np.array([1e-3, 1.0, 1e3])
    regular = np.outer(scales, scales) * (0.5 + 0.5 * np.eye(3))
    singular = np.outer(scales, scales)
    assert (noised_gaussian.floor(regular) == 0.0).all()
    ratio = noised_gaussian.floor(singular) / scales**2
    np.testing.assert_allclose(ratio, ratio[0])
    assert 0.0 < ratio[0] < 2e-6
    np.testing.assert_array_equal(noised_gaussian.floor(np.diag([0.0, 1.0])), 0.0)


@pytest.mark.parametrize("d", [2, 30])
def test_a_floor_lets_float32_factorise_a_singular_covariance(rng, d):
    vector = rng.normal(size=d)
    singular = np.outer(vector, vector)
    state = NoisingState(ops.full((1, 1), -20.0))
    least = noised_gaussian.floor(singular)
    mean, covariance = noised_gaussian.moments(state, np.zeros(d), singular, (d,), least)
    assert np.isfinite(
        to_numpy(noised_gaussian.log_density(ops.zeros((1, d)), mean, covariance))
    ).all()
    # Where sigma^2 is above the floor, nothing is changed.
    state = NoisingState(ops.full((1, 1), -9.0))
    floored = noised_gaussian.moments(state, np.zeros(d), singular, (d,), least)[1]
    plain = noised_gaussian.moments(state, np.zeros(d), singular, (d,))[1]
    np.testing.assert_array_equal(to_numpy(floored), to_numpy(plain))
