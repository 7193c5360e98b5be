"""Attention by einsum: over positions of the image, or from them to the noising state."""

import math

import keras
from keras import ops

from keras_gud.backbones.norm import GroupNorm
from keras_gud.registry import PACKAGE


@keras.saving.register_keras_serializable(package=PACKAGE)
class Attention(keras.layers.Layer):
    """Multi-head attention on sequences (Vaswani et al. 2017, arXiv:1706.03762).

    Not `keras.layers.MultiHeadAttention`, because `keras.ops.jvp` fails inside it on torch. The
    last projection starts at zero, so an untrained layer returns zeros.

    Args:
        heads: Number of heads; must divide the channels of the queries.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: when built on channels that `heads` does not divide.

    Example:
    >>> attend = Attention(heads=2)
    >>> tuple(attend(ops.ones((2, 9, 8)), ops.ones((2, 5, 16))).shape)
    (2, 9, 8)
    """

    def __init__(self, heads: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.heads = heads

    def build(self, x_shape, context_shape=None):
        """Builds for `x` ``(batch, N, channels)`` and `context` ``(batch, T, features)``."""
        width = x_shape[-1]
        if self.heads < 1 or width % self.heads:
            raise ValueError(
                "Expected the number of channels of an attention layer to be divisible by `heads`. "
                f"Received: heads={self.heads} with {width} channels."
            )
        source = x_shape if context_shape is None else context_shape
        self.query = keras.layers.Dense(width, use_bias=False, dtype=self.dtype_policy)
        self.key = keras.layers.Dense(width, use_bias=False, dtype=self.dtype_policy)
        self.value = keras.layers.Dense(width, dtype=self.dtype_policy)
        self.project = keras.layers.Dense(
            width, kernel_initializer="zeros", dtype=self.dtype_policy
        )
        self.query.build(x_shape)
        self.key.build(source)
        self.value.build(source)
        self.project.build(x_shape)

    def split(self, x):
        """``(batch, N, channels)`` -> ``(batch, heads, N, channels / heads)``."""
        x = ops.reshape(x, (-1, x.shape[1], self.heads, x.shape[2] // self.heads))
        # With the heads in front the products below are plain batched matmuls: much faster on CPU.
        return ops.transpose(x, (0, 2, 1, 3))

    def call(self, x, context=None):
        """Attends from `x` to `context`, or to `x` itself; returns the shape of `x`."""
        source = x if context is None else context
        query, key = self.split(self.query(x)), self.split(self.key(source))
        logits = ops.einsum("bhnd,bhtd->bhnt", query, key) / math.sqrt(query.shape[-1])
        # Half precision is too coarse for a softmax over many positions.
        weights = ops.softmax(ops.cast(logits, "float32"), axis=-1)
        value = self.split(self.value(source))
        mixed = ops.einsum("bhnt,bhtd->bhnd", ops.cast(weights, value.dtype), value)
        mixed = ops.transpose(mixed, (0, 2, 1, 3))
        return self.project(ops.reshape(mixed, (-1, *x.shape[1:])))

    def get_config(self):
        """The arguments of the constructor."""
        return {**super().get_config(), "heads": self.heads}


@keras.saving.register_keras_serializable(package=PACKAGE)
class SpatialAttention(keras.layers.Layer):
    """Residual attention from the positions of an image, with a learned position embedding.

    Convolutions do not know where they are, but with a column-wise schedule gamma differs from
    column to column: the position embedding lets each position look up its own token.

    Args:
        heads: Number of heads.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:
    >>> attend = SpatialAttention(heads=2)
    >>> tuple(attend(ops.ones((2, 4, 4, 8)), ops.ones((2, 5, 16))).shape)
    (2, 4, 4, 8)
    """

    def __init__(self, heads: int = 1, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.heads = heads

    def build(self, x_shape, context_shape=None):
        """Builds for `x` ``(batch, *spatial, channels)`` and `context` ``(batch, T, features)``."""
        flat_shape = (None, math.prod(x_shape[1:-1]), x_shape[-1])
        self.position = self.add_weight(
            shape=flat_shape[1:],
            initializer=keras.initializers.RandomNormal(stddev=1.0),
            name="position",
            autocast=False,
        )
        self.norm = GroupNorm()
        self.norm.build(flat_shape)
        self.attention = Attention(self.heads, dtype=self.dtype_policy)
        self.attention.build(flat_shape, context_shape)

    def call(self, x, context=None):
        """Returns `x` plus what its positions found; same shape and dtype as `x`."""
        flat = ops.reshape(x, (-1, *self.position.shape))
        found = self.attention(self.norm(flat) + self.position, context)
        return x + ops.reshape(found, (-1, *x.shape[1:]))

    def get_config(self):
        """The arguments of the constructor."""
        return {**super().get_config(), "heads": self.heads}
