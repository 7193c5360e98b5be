"""Attention by matrix products: among positions of the image, or from them to the noising state."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_gud.backbones.lora import AdaptableDense
from keras_gud.backbones.norm import GroupNorm
from keras_gud.backbones.rotary import rotated
from keras_gud.core.attention import dot_product_attention, softmax
from keras_gud.core.initial_values import RandomNormal
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import BatchShape, Tensor


@keras.saving.register_keras_serializable(package=PACKAGE)
class Attention(keras.layers.Layer):
    """Multi-head self-attention on sequences (Vaswani et al. 2017, arXiv:1706.03762).

    Not `keras.layers.MultiHeadAttention`, because `keras.ops.jvp` fails inside it on torch. The
    last projection starts at zero, so an untrained layer returns zeros.

    Args:
        heads: Number of heads; must divide the channels of the queries.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: when built on channels that `heads` does not divide.

    Example:
    >>> attend = Attention(heads=2)
    >>> tuple(attend(ops.ones((2, 9, 8))).shape)
    (2, 9, 8)
    """

    def __init__(self, heads: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads = heads

    def build(self, x_shape: BatchShape) -> None:
        """Builds for `x` ``(batch, N, channels)``."""
        self.create_projections(x_shape, x_shape)

    def create_projections(self, x_shape: BatchShape, source_shape: BatchShape) -> None:
        """Creates and builds the four dense layers; keys and values are made of the source."""
        width = x_shape[-1]
        if self.heads < 1 or width % self.heads:
            raise ValueError(
                "Expected the number of channels of an attention layer to be divisible by `heads`. "
                f"Received: heads={self.heads} with {width} channels."
            )
        self.query = AdaptableDense(width, use_bias=False, dtype=self.dtype_policy)
        self.key = AdaptableDense(width, use_bias=False, dtype=self.dtype_policy)
        self.value = AdaptableDense(width, dtype=self.dtype_policy)
        self.project = AdaptableDense(width, kernel_initializer="zeros", dtype=self.dtype_policy)
        self.query.build(x_shape)
        self.key.build(source_shape)
        self.value.build(source_shape)
        self.project.build(x_shape)

    def split_heads(self, x: Tensor) -> Tensor:
        """``(batch, N, channels)`` -> ``(batch, heads, N, channels / heads)``."""
        x = ops.reshape(x, (-1, x.shape[1], self.heads, x.shape[2] // self.heads))
        # With the heads in front the products below are plain batched matmuls: much faster on CPU.
        return ops.transpose(x, (0, 2, 1, 3))

    def call(self, x: Tensor, turn: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Attention among all positions; the result has the shape of `x`.

        Args:
            x: ``(batch, N, channels)``.
            turn: Rotations of queries and keys by position, `rotary.turns`.
        """
        query, key, value = (
            self.split_heads(layer(x)) for layer in (self.query, self.key, self.value)
        )
        if turn is not None:
            query, key = rotated(query, *turn), rotated(key, *turn)
        mixed = ops.transpose(dot_product_attention(query, key, value), (0, 2, 1, 3))
        return self.project(ops.reshape(mixed, (-1, *x.shape[1:])))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "heads": self.heads}


@keras.saving.register_keras_serializable(package=PACKAGE)
class CrossAttention(Attention):
    """Multi-head attention from a long sequence to a few tokens.

    The usual function of the usual weights, with the products taken in another order: the
    projections of queries and outputs are applied to the tokens instead of the positions,
    ``(x Q) K^T = x (K Q^T)^T`` and ``(A V) P = A (V P)``. With T tokens and H heads a position then
    costs ``2 H T channels`` products instead of ``2 channels (channels + T)``, and no array as long
    as the sequence is transposed.

    Args:
        heads: Number of heads; must divide the channels of the queries.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: when built on channels that `heads` does not divide.

    Example:
    >>> attend = CrossAttention(heads=2)
    >>> tuple(attend(ops.ones((2, 9, 8)), ops.ones((2, 5, 16))).shape)
    (2, 9, 8)
    """

    # Other arguments than those of `Attention`: there is a second input.
    def build(  # type: ignore[override]
        self, x_shape: BatchShape, context_shape: BatchShape
    ) -> None:
        """Builds for `x` ``(batch, N, channels)`` and `context` ``(batch, T, features)``."""
        self.create_projections(x_shape, context_shape)

    def call(  # type: ignore[override]
        self, x: Tensor, context: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Attention from positions to `context`; the result has the shape of `x`.

        Args:
            x: ``(batch, N, channels)``.
            context: ``(batch, T, features)``.
            mask: ``(batch, T)``, 1 for tokens that count and 0 for others, or `None`.
        """
        width, heads = x.shape[-1], self.heads
        depth, count = width // heads, context.shape[1]
        query = ops.reshape(ops.cast(self.query.kernel, x.dtype), (width, heads, depth))
        project = ops.reshape(ops.cast(self.project.kernel, x.dtype), (heads, depth, width))
        key, value = (
            ops.reshape(layer(context), (-1, count, heads, depth))
            for layer in (self.key, self.value)
        )
        key = ops.einsum("bthd,chd->bcht", key, query) / math.sqrt(depth)
        value = ops.einsum("bthd,hdc->bhtc", value, project)
        logits = ops.matmul(x, ops.reshape(key, (-1, width, heads * count)))
        logits = ops.reshape(logits, (-1, x.shape[1], heads, count))
        weights = softmax(logits if mask is None else _masked(logits, mask))
        weights = ops.reshape(weights, (-1, x.shape[1], heads * count))
        attended = ops.matmul(weights, ops.reshape(value, (-1, heads * count, width)))
        return attended + ops.cast(self.project.bias, x.dtype)


def _masked(logits: Tensor, mask: Tensor) -> Tensor:
    """Logits ``(batch, N, heads, T)``, those of tokens that do not count too low to matter."""
    hidden = ops.reshape(1.0 - ops.cast(mask, "float32"), (-1, 1, 1, logits.shape[-1]))
    return logits - ops.cast(1e4 * hidden, logits.dtype)


@keras.saving.register_keras_serializable(package=PACKAGE)
class SpatialAttention(keras.layers.Layer):
    """Residual attention from the positions of an image, with a learned position embedding.

    Convolutions are the same at all positions, but with a column-wise schedule gamma differs from
    column to column: by the position embedding each position finds its own token. Along periodic
    axes the embedding is constant, so that no position is another than the others.

    Args:
        heads: Number of heads; must divide the channels.
        periodic: For each spatial axis whether it is periodic; `()`: none is.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:
    >>> attend = SpatialAttention(heads=2)
    >>> tuple(attend(ops.ones((2, 4, 4, 8)), ops.ones((2, 5, 16))).shape)
    (2, 4, 4, 8)
    """

    def __init__(self, heads: int = 1, periodic: Sequence[bool] = (), **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.heads, self.periodic = heads, tuple(periodic)

    def build(self, x_shape: BatchShape, context_shape: BatchShape | None = None) -> None:
        """Builds for `x` ``(batch, *spatial, channels)`` and `context` ``(batch, T, features)``.

        Without a context, positions attend to each other.
        """
        self.sizes = x_shape[1:-1]
        flat_shape = (None, math.prod(self.sizes), x_shape[-1])
        different = flat_shape[1:]
        if any(self.periodic):
            axes = zip(self.sizes, self.periodic, strict=True)
            different = (*(1 if periodic else size for size, periodic in axes), x_shape[-1])
        self.position = self.add_weight(
            shape=different,
            initializer=RandomNormal(stddev=1.0),
            name="position",
            autocast=False,
        )
        self.norm = GroupNorm()
        self.norm.build(flat_shape)
        if context_shape is None:
            self.attention = Attention(self.heads, dtype=self.dtype_policy)
            self.attention.build(flat_shape)
        else:
            self.attention = CrossAttention(self.heads, dtype=self.dtype_policy)
            self.attention.build(flat_shape, context_shape)

    def call(self, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Returns `x` plus the result of the attention, in the shape and dtype of `x`."""
        flat = ops.reshape(x, (-1, math.prod(self.sizes), x.shape[-1]))
        position = self.position
        if any(self.periodic):
            position = ops.broadcast_to(position, (*self.sizes, x.shape[-1]))
            position = ops.reshape(position, flat.shape[1:])
        query = self.norm(flat) + position
        if context is None:
            attended = self.attention(query)
        else:
            attended = self.attention(query, context, mask)
        return x + ops.reshape(attended, (-1, *x.shape[1:]))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "heads": self.heads, "periodic": self.periodic}
