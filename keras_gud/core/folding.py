"""Blocks of positions as channels (space to depth), and back, of arrays and of tensors.

    (g_1 f_1, g_2 f_2, c)  <->  (g_1, g_2, f_1 f_2 c)

Values are moved, none is changed.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops


def module_of(x: Any) -> Any:
    """The functions for an array, `numpy`, or for a tensor, `keras.ops`."""
    return np if isinstance(x, np.ndarray) else ops


def fold(x: Any, factors: Sequence[int]) -> Any:
    """Each block of positions becomes the channels of one position.

    Args:
        x: ``(batch, *spatial, channels)``, an array or a tensor.
        factors: The sizes of a block, which divide the spatial ones.

    Returns:
        ``(batch, *spatial/factors, prod(factors) * channels)``.

    >>> fold(np.arange(4).reshape(1, 4, 1), (2,)).tolist()
    [[[0, 1], [2, 3]]]
    """
    if math.prod(factors) == 1:
        return x
    n, xp = len(factors), module_of(x)
    grid = [size // f for size, f in zip(x.shape[1:-1], factors, strict=True)]
    pairs = [m for pair in zip(grid, factors, strict=True) for m in pair]
    x = xp.reshape(x, (-1, *pairs, x.shape[-1]))
    x = xp.transpose(x, (0, *range(1, 2 * n, 2), *range(2, 2 * n + 1, 2), 2 * n + 1))
    return xp.reshape(x, (-1, *grid, math.prod(factors) * x.shape[-1]))


def unfold(x: Any, factors: Sequence[int]) -> Any:
    """The inverse of `fold`.

    >>> unfold(np.array([[[0, 1], [2, 3]]]), (2,)).tolist()
    [[[0], [1], [2], [3]]]
    """
    if math.prod(factors) == 1:
        return x
    n, xp, grid = len(factors), module_of(x), x.shape[1:-1]
    channels = x.shape[-1] // math.prod(factors)
    x = xp.reshape(x, (-1, *grid, *factors, channels))
    x = xp.transpose(x, (0, *(i for k in range(1, n + 1) for i in (k, k + n)), 2 * n + 1))
    return xp.reshape(x, (-1, *(g * f for g, f in zip(grid, factors, strict=True)), channels))
