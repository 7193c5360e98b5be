"""Gamma at each position of the data, for networks that take it as an image (`gamma_map`).

A value of the data takes part in one component where components are values, and in one of each
scale where they are wavelets. Its gammas are given to the network at its position, from the
coarsest scale to the finest; where every component is spread over all data, their mean.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from keras import ops

from keras_gud import backend
from keras_gud.core.data_shape import spatial_shape
from keras_gud.core.types import ArrayLike, Tensor


def count_scales(bases: Iterable[Any]) -> int:
    """The number of gammas that a network is given for each value, which serves all these bases.

    >>> from keras_gud.bases import get
    >>> haar = get("haar", levels=2); haar.build((None, 8, 8, 1))
    >>> count_scales([haar, get("pixel")]), count_scales([get("dct")])
    (3, 1)
    """
    return max(1, *(basis.n_scales for basis in bases))


def local_gamma(basis: Any, gamma: Tensor, batch: int | Tensor, n_scales: int) -> Tensor:
    """The gammas of each position of the data.

    Args:
        basis: The basis of the components.
        gamma: Broadcasts against ``(batch, *data_shape)``.
        batch: Size of the batch.
        n_scales: From `count_scales`. For a basis of fewer scales the coarsest one is repeated.

    Returns:
        ``(batch, *spatial, n_scales * channels)``; ``(batch, n_scales * features)`` for vectors.
    """
    shape = (batch, *basis.data_shape)
    if basis.n_scales == 0:
        mean = ops.mean(gamma, axis=tuple(range(1, len(gamma.shape))), keepdims=True)
        return ops.broadcast_to(mean, (*shape[:-1], n_scales * shape[-1]))
    found = basis.gamma_by_scale(ops.broadcast_to(gamma, shape))
    missing = [found[..., : shape[-1]]] * (n_scales - basis.n_scales)
    return ops.concatenate([*missing, found], axis=-1) if missing else found


def varies_in_space(basis: Any, values: ArrayLike) -> bool:
    """Whether a state that is a function of some values of the components varies between positions.

    Args:
        basis: The built basis.
        values: Of each component, broadcastable against `data_shape`: a coordinate, say.
    """
    values = ops.convert_to_numpy(values).astype("float32")
    if basis.n_scales == 0 or np.ptp(values) == 0:
        return False
    values = np.broadcast_to(values, (1, *basis.data_shape))
    # Compiled as one: on jax every single operation would be a program of its own.
    by_scale = backend.compile(basis.gamma_by_scale)
    found = backend.to_numpy(by_scale(backend.from_numpy(values)))[0]
    axes = tuple(range(len(spatial_shape(basis.data_shape))))
    return bool((np.ptp(found, axis=axes) > 0).any())
