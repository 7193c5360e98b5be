"""Profiles of power-function averages: closed forms against direct sums."""

import numpy as np
import pytest

from keras_gud.training.power_profile import WIDEST, coefficients, exponent, inner_products

pytestmark = pytest.mark.once
STEPS = 4000


def profile(t, k, n=STEPS):
    """p(tau; t, k) integrated over each of n steps, as a sum of that many weights."""
    edges = np.minimum(np.arange(n + 1) / t, 1.0) ** (k + 1)
    return np.diff(edges)


@pytest.mark.parametrize("width", [0.01, 0.05, 0.1, 0.2, WIDEST])
def test_width_is_the_standard_deviation(width):
    weights, tau = profile(STEPS, exponent(width)), (np.arange(STEPS) + 0.5) / STEPS
    mean = weights @ tau
    assert weights.sum() == pytest.approx(1.0)
    assert (weights @ (tau - mean) ** 2) ** 0.5 == pytest.approx(width, rel=1e-3)


@pytest.mark.parametrize("width", [0.0, -0.1, 0.3, np.nan, "wide"])
def test_other_widths_are_refused(width):
    with pytest.raises(ValueError, match="Expected `width`"):
        exponent(width)


def test_inner_products_are_those_of_direct_sums():
    t, k = np.array([1000.0, 2500.0, 4000.0]), np.array([6.9, 1.0, 16.97])
    profiles = [profile(*each) for each in zip(t, k, strict=True)]
    direct = np.array([[a @ b for b in profiles] for a in profiles])
    np.testing.assert_allclose(inner_products(t[:, None], k[:, None], t, k), direct, rtol=1e-4)


@pytest.mark.parametrize("width", [0.03, 0.07, 0.15])
def test_coefficients_are_the_best_that_sum_up_to_one(width):
    steps, widths = [1000, 2500, 4000], [0.05, 0.1]
    found, error = coefficients(steps, widths, 4000, width)
    columns = np.stack([profile(t, exponent(w)) for t in steps for w in widths], axis=1)
    target = profile(4000, exponent(width))
    # The last coefficient is what the others leave of 1.
    free = columns[:, :-1] - columns[:, -1:]
    best = np.linalg.lstsq(free, target - columns[:, -1], rcond=None)[0]
    np.testing.assert_allclose(found.ravel(), np.append(best, 1 - best.sum()), rtol=2e-3)
    left = np.linalg.norm(columns @ found.ravel() - target) / np.linalg.norm(target)
    assert error == pytest.approx(left, rel=1e-2)


def test_many_averages_leave_a_small_error_and_do_not_amplify_rounding():
    steps = list(range(100, 4900, 100))
    for width in (0.03, 0.07, 0.2):
        found, error = coefficients(steps, [0.05, 0.1], 4800, width)
        assert found.sum() == pytest.approx(1.0)
        assert error < 0.02
        assert np.abs(found).sum() < 20
