"""The product of attention, in the form that is fast and has the derivatives that are taken."""

import math

from keras import ops

from keras_gud import backend
from keras_gud.core.types import Tensor


def dot_product_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """``softmax(Q K^T / sqrt(depth)) V``, the softmax in float32.

    Where the backend has one program for it, that is taken: the weights, as many as pairs of
    positions, are then never in memory. Of it no directional derivative (`keras.ops.jvp`) can be
    taken; products one after another are, then. Both are equal but for rounding.

    Args:
        query: ``(batch, heads, N, depth)``.
        key: ``(batch, heads, T, depth)``.
        value: ``(batch, heads, T, depth)``.

    Returns:
        Tensor ``(batch, heads, N, depth)``.

    Example:

    >>> tuple(dot_product_attention(*[ops.ones((2, 4, n, 8)) for n in (9, 5, 5)]).shape)
    (2, 4, 9, 8)
    """
    if backend.fuses_attention(query, key, value):
        # Keras has the heads behind the positions; on torch, the only case, that moves no numbers.
        parts = (ops.transpose(x, (0, 2, 1, 3)) for x in (query, key, value))
        return ops.transpose(ops.dot_product_attention(*parts), (0, 2, 1, 3))
    logits = ops.einsum("bhnd,bhtd->bhnt", query, key) / math.sqrt(query.shape[-1])
    return ops.einsum("bhnt,bhtd->bhnd", softmax(logits), value)


def softmax(logits: Tensor) -> Tensor:
    """Softmax over the last axis, computed in float32."""
    return ops.cast(ops.softmax(ops.cast(logits, "float32"), axis=-1), logits.dtype)
