"""Checks of gamma(t): finite, never decreasing, and of a size that float32 can work with."""

from typing import Any

import numpy as np

from keras_gud.core.arguments import check_numbers

# alpha = e^-40 and 1/alpha^2 = e^80 are numbers of float32, with some room for what they multiply.
MAX_GAMMA = 80.0


def check_gamma_range(gamma_min: float, gamma_max: float) -> None:
    """Raises a `ValueError` unless gamma_min < gamma_max, both finite."""
    check_numbers(gamma_min=gamma_min, gamma_max=gamma_max)
    if not -np.inf < gamma_min < gamma_max < np.inf:
        raise ValueError(
            "Expected finite `gamma_min` < `gamma_max`. "
            f"Received: gamma_min={gamma_min}, gamma_max={gamma_max}."
        )


def check_size(gamma: np.ndarray, schedule: str, params: dict[str, Any]) -> None:
    """Raises a `ValueError` for a gamma whose amplitudes float32 cannot hold.

    Args:
        gamma: Any shape.
        schedule: The schedule's name, for the message.
        params: Its parameters, for the message.
    """
    if not np.abs(gamma).max() <= MAX_GAMMA:
        raise ValueError(
            f"Expected gamma from {-MAX_GAMMA:g} to {MAX_GAMMA:g}, where float32 holds the "
            f"amplitudes of signal and noise. Received: {schedule} with gamma from {gamma.min():g} "
            f"to {gamma.max():g}{f' for {params}' if params else ''}."
        )


def check_finite_gamma(gamma: np.ndarray, schedule: str) -> None:
    """Raises a `ValueError` unless all gamma are finite; `schedule` is the name in its message."""
    if not np.isfinite(gamma).all():
        raise ValueError(
            f"Expected a finite gamma(t) on [0, 1]. Received: {schedule} with "
            f"gamma={gamma[~np.isfinite(gamma)][0]}; clip it to finite end points."
        )


def check_monotone(t: np.ndarray, gamma: np.ndarray, schedule: str) -> None:
    """Raises a `ValueError` where gamma decreases.

    Args:
        t: Times, ascending.
        gamma: Gamma at these times, ``(len(t), n)``.
        schedule: The schedule's name, for the message.
    """
    fall = np.diff(gamma, axis=0)
    if fall.min() < -1e-4:
        at = t[np.unravel_index(fall.argmin(), fall.shape)[0]]
        raise ValueError(
            "Expected gamma(t) never to decrease from t = 0 (data) to t = 1 (noise). "
            f"Received: a {schedule} schedule that falls near t={at:.3f}."
        )
