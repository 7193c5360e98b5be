"""Linear resizing along an axis, as a matrix."""

import numpy as np

from keras_gud.core.types import Array


def resizing_weights(size: int, new_size: int) -> Array:
    """The matrix ``(size, new_size)`` of linear resizing along one axis, float32.

    Positions are centres of cells. From more to fewer, each new position is a mean over the old
    ones around it, weighted by a triangle.

    >>> resizing_weights(2, 4).T.tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    ratio = size / new_size
    centre = (np.arange(new_size) + 0.5) * ratio - 0.5
    distance = np.abs(np.arange(size)[:, None] - np.clip(centre, 0, size - 1))
    weights = np.maximum(0.0, 1.0 - distance / max(1.0, ratio))
    return (weights / weights.sum(axis=0)).astype("float32")
