"""Pieces that several schedules are made of."""

import numpy as np
from keras import ops

from keras_gud.core.arguments import check_numbers

# alpha = e^-40 and 1/alpha^2 = e^80 are numbers of float32, with some room for what they multiply.
MOST_GAMMA = 80.0


def squeeze(values: np.ndarray) -> np.ndarray:
    """Shrinks to length 1 every axis along which `values` is constant."""
    for axis in range(values.ndim):
        first = np.take(values, [0], axis=axis)
        if (values == first).all():
            values = first
    return values


def snap(u):
    """Puts values within rounding of 0 or 1 exactly there.

    XLA turns a division by a constant into a product, so that ``(1 - b)/(1 - b)`` may miss 1 by an
    ulp, and with it the end of the active interval.
    """
    u = ops.where(ops.abs(u) < 1e-6, 0.0, u)
    return ops.where(ops.abs(u - 1.0) < 1e-6, 1.0, u)


def clipped_line(u, low, high, slope):
    """``low + (high - low) clip(u, 0, 1)`` and its derivative `slope` on the closed interval.

    The derivative of `clip` at its kink differs between backends; here an interval is active
    with both of its ends.
    """
    u = snap(u)
    gamma = ops.clip(low + (high - low) * u, low, high)
    gamma = ops.where(u >= 1.0, high, gamma)  # low + (high - low) may miss high by an ulp
    active = ops.logical_and(u >= 0.0, u <= 1.0)
    return gamma, ops.where(active, slope, ops.zeros_like(slope))


def clip_curve(gamma, slope, low: float, high: float):
    """A curve clipped to finite end points, and its derivative, 0 where it is clipped."""
    active = ops.logical_and(gamma >= low, gamma <= high)
    return ops.clip(gamma, low, high), ops.where(active, slope, ops.zeros_like(slope))


def check_gamma_range(gamma_min: float, gamma_max: float):
    """Raises a `ValueError` unless gamma_min < gamma_max, both finite."""
    check_numbers(gamma_min=gamma_min, gamma_max=gamma_max)
    if not -np.inf < gamma_min < gamma_max < np.inf:
        raise ValueError(
            "Expected finite `gamma_min` < `gamma_max`. "
            f"Received: gamma_min={gamma_min}, gamma_max={gamma_max}."
        )


def check_size(gamma, name: str, params: dict):
    """Raises a `ValueError` for a gamma whose amplitudes float32 cannot hold."""
    if not np.abs(gamma).max() <= MOST_GAMMA:
        raise ValueError(
            f"Expected gamma from {-MOST_GAMMA:g} to {MOST_GAMMA:g}, where float32 holds the "
            f"amplitudes of signal and noise. Received: {name} with gamma from {gamma.min():g} to "
            f"{gamma.max():g}{f' for {params}' if params else ''}."
        )


def check_finite_gamma(gamma: np.ndarray, name: str):
    """Raises a `ValueError` unless all gamma are finite."""
    if not np.isfinite(gamma).all():
        raise ValueError(
            f"Expected a finite gamma(t) on [0, 1]. Received: {name} with "
            f"gamma={gamma[~np.isfinite(gamma)][0]}; clip it to finite end points."
        )


def check_monotone(t: np.ndarray, gamma: np.ndarray, name: str):
    """Raises a `ValueError` where gamma, ``(len(t), n)``, decreases."""
    fall = np.diff(gamma, axis=0)
    if fall.min() < -1e-4:
        at = t[np.unravel_index(fall.argmin(), fall.shape)[0]]
        raise ValueError(
            "Expected gamma(t) never to decrease from t = 0 (data) to t = 1 (noise). "
            f"Received: a {name} schedule that falls near t={at:.3f}."
        )
