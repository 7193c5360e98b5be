"""Coordinates that components have in every basis, and the shape of what they decide."""

import numpy as np

from keras_gud.core.types import Coordinates


def variance_coordinates(variance: np.ndarray) -> Coordinates:
    """The coordinates ``"variance"``, ``"log_variance"`` and ``"rank"`` (0: the largest).

    Args:
        variance: Of the data's components.

    >>> variance_coordinates(np.array([0.5, 2.0]))["rank"].tolist()
    [1, 0]
    """
    order = np.argsort(-variance, axis=None, kind="stable")
    rank = np.empty(variance.size, int)
    rank[order] = np.arange(variance.size)
    with np.errstate(divide="ignore"):
        log_variance = np.log(variance)
    return {
        "variance": variance,
        "log_variance": log_variance,
        "rank": rank.reshape(variance.shape),
    }


def squeeze(values: np.ndarray) -> np.ndarray:
    """Shrinks to length 1 every axis along which `values` is constant."""
    for axis in range(values.ndim):
        first = np.take(values, [0], axis=axis)
        if (values == first).all():
            values = first
    return values
