"""Scale and shift of each position by its own state (FiLM; Perez et al. 2018, arXiv:1709.07871)."""

from typing import Any

import keras
from keras import ops

from keras_gud.core.types import Tensor


def local_film(local: int | None, width: int, dtype: Any) -> keras.layers.Layer:
    """The built layer that `modulate` takes: from an embedding of a position to scale and shift.

    It does not start at zero: told of its own gamma from the first step on, a position in a hole is
    sooner told from one of the mean gamma.

    Args:
        local: Channels of the embedding.
        width: Channels of what is modulated.
        dtype: A dtype or a Keras dtype policy.
    """
    layer = keras.layers.Dense(2 * width, dtype=dtype)
    layer.build((None, local))
    return layer


def modulate(h: Tensor, film: keras.layers.Layer | None, local: Tensor | None) -> Tensor:
    """``h (1 + scale) + shift`` with scale and shift of each position; h itself without `film`.

    Args:
        h: ``(batch, *spatial, width)``.
        film: From `local_film`, or `None`.
        local: Embedding of each position's own state, ``(batch, *spatial, local)``.
    """
    if film is None:
        return h
    scale, shift = ops.split(ops.cast(film(local), h.dtype), 2, axis=-1)
    return h * (1.0 + scale) + shift
