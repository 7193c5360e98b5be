"""Checks of the arguments of an oracle; every error names the argument."""

import numpy as np

from keras_gud.core.types import ArrayLike, Shape
from keras_gud.diffusion.noising_state import NoisingState


def check_weights(weights: ArrayLike) -> np.ndarray:
    """Positive weights ``(k,)`` that sum to 1 within 1e-6, float64, normalised."""
    weights = np.asarray(weights, "float64")
    if weights.ndim != 1 or not weights.size:
        raise ValueError(
            "Expected `weights` of shape (k,), one for each mixture component. "
            f"Received: weights of shape {weights.shape}."
        )
    if not (np.isfinite(weights).all() and (weights > 0.0).all()):
        raise ValueError(f"Expected positive, finite `weights`. Received: weights={weights}.")
    if abs(weights.sum() - 1.0) > 1e-6:
        raise ValueError(f"Expected `weights` that sum to 1. Received: sum {weights.sum():g}.")
    return weights / weights.sum()


def check_finite(name: str, values: ArrayLike) -> np.ndarray:
    """The values in float64, or a `ValueError` if one is NaN or inf."""
    values = np.asarray(values, "float64")
    if not np.isfinite(values).all():
        raise ValueError(f"Expected a finite `{name}`. Received: NaN or inf.")
    return values


def check_covariance(name: str, covariance: ArrayLike, *shapes: Shape) -> np.ndarray:
    """Symmetric, positive semi-definite matrices of one of the shapes, float64.

    Asymmetry and negative eigenvalues up to 1e-6 of the largest entry count as rounding.
    """
    covariance = check_finite(name, covariance)
    if covariance.shape not in shapes:
        raise ValueError(
            f"Expected `{name}` of shape {' or '.join(map(str, shapes))} for {shapes[0][-1]} "
            f"components. Received: {name} of shape {covariance.shape}."
        )
    smallest = np.linalg.eigvalsh(covariance).min(-1)
    asymmetry = np.abs(covariance - np.swapaxes(covariance, -1, -2)).max((-1, -2))
    # Each matrix is judged on its own scale.
    tolerance = 1e-6 * np.abs(covariance).max((-1, -2))
    if (asymmetry > tolerance).any() or (smallest < -tolerance).any():
        raise ValueError(
            f"Expected a symmetric, positive semi-definite `{name}`. Received: smallest "
            f"eigenvalue {smallest.min():g}, asymmetry {asymmetry.max():g}."
        )
    return 0.5 * (covariance + np.swapaxes(covariance, -1, -2))


def check_mask(name: str, mask: ArrayLike, data_shape: Shape) -> np.ndarray:
    """A flat boolean mask over the components."""
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.shape != data_shape:
        raise ValueError(
            f"Expected `{name}` to be a boolean mask of shape {data_shape}. "
            f"Received: {name} of dtype {mask.dtype} and shape {mask.shape}."
        )
    return mask.ravel()


def check_shape(name: str, values: ArrayLike, shape: Shape) -> np.ndarray:
    """Finite values of this shape, float64."""
    values = np.asarray(values, "float64")
    if values.shape != shape:
        raise ValueError(
            f"Expected `{name}` of shape {shape}. Received: {name} of shape {values.shape}."
        )
    return check_finite(name, values)


def check_samples(name: str, values: ArrayLike, data_shape: Shape) -> np.ndarray:
    """Finite values ``(n, *data_shape)``, as float64 ``(n, d)``."""
    values = np.asarray(values, "float64")
    if values.ndim != 1 + len(data_shape) or values.shape[1:] != data_shape:
        raise ValueError(
            f"Expected `{name}` of shape (n, {str(data_shape)[1:-1].rstrip(',')}). "
            f"Received: {name} of shape {values.shape}."
        )
    return check_finite(name, values).reshape(len(values), -1)


def check_one_row(state: NoisingState) -> NoisingState:
    """The state, if it has one row: methods in NumPy take one state at a time."""
    rows = state.gamma.shape[0]
    if rows != 1:
        raise ValueError(f"Expected a `state` of one row. Received: a state of {rows} rows.")
    return state
