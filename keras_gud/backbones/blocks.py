"""Building blocks of the U-Net for one, two or three spatial axes, channels last."""

from typing import Any

import keras
from keras import ops

from keras_gud.backbones.attention import SpatialAttention
from keras_gud.backbones.conv3d import Conv3D
from keras_gud.backbones.norm import GroupNorm
from keras_gud.backbones.resampling import fir_downsample, fir_upsample
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import BatchShape, Shape, Tensor

# The factor that gives the sum of a skip and a residual unit variance, if both have it.
RESCALE = 2**-0.5


_CONVOLUTIONS = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D, 3: Conv3D}


def convolution(x_shape: BatchShape, filters: int, dtype: Any, **kwargs: Any) -> keras.layers.Layer:
    """A built convolution of size 3 (same padding) for inputs ``(batch, *spatial, channels)``.

    Args:
        x_shape: Shape of the inputs, with one to three spatial axes.
        filters: Number of output channels.
        dtype: A dtype or a Keras dtype policy.
        **kwargs: Further arguments of the Keras layer.

    >>> tuple(convolution((None, 8, 6, 3), filters=16, dtype="float32", strides=2).kernel.shape)
    (3, 3, 3, 16)
    """
    layer = _CONVOLUTIONS[len(x_shape) - 2](
        filters, 3, padding="same", data_format="channels_last", dtype=dtype, **kwargs
    )
    layer.build(x_shape)
    return layer


def pointwise(x_shape: BatchShape, filters: int, dtype: Any) -> keras.layers.Layer:
    """A built convolution of size 1: a Dense, whose gradient is twice as fast on jax on a CPU."""
    layer = keras.layers.Dense(filters, dtype=dtype)
    layer.build(x_shape)
    return layer


def call_block(
    layer: keras.layers.Layer, *inputs: Tensor, remat: bool = False, **kwargs: Any
) -> Tensor:
    """Calls a layer that draws no random numbers.

    Args:
        layer: The layer.
        *inputs: Its inputs that gradients are taken of.
        remat: Whether to compute the layer again in the backward pass instead of keeping its
            intermediate values.
        **kwargs: Further arguments of the call.
    """
    if not remat:
        return layer(*inputs, **kwargs)
    return keras.remat(lambda *inputs: layer(*inputs, **kwargs))(*inputs)


@keras.saving.register_keras_serializable(package=PACKAGE)
class ResidualBlock(keras.layers.Layer):
    """Norm, SiLU, conv, FiLM norm, SiLU, dropout, conv, plus the input (Song et al. 2021).

    The last convolution starts at zero, so an untrained block equals its skip connection. FiLM
    (Perez et al. 2018, arXiv:1709.07871) takes scale and shift from the global noising-state
    vector.

    Args:
        width: Channels of the output.
        dropout: Dropout rate; 0 adds no dropout layer.
        seed: Integer seed of the dropout.
        resample: ``"down"`` or ``"up"`` halves or doubles the resolution inside the block, with a
            FIR filter (BigGAN blocks, as in NCSN++).
        rescale: Whether to scale the sum by 1/sqrt(2), so that variances do not grow with depth.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:
    >>> block = ResidualBlock(width=8)
    >>> tuple(block(ops.ones((2, 5, 4)), ops.ones((2, 16))).shape)
    (2, 5, 8)
    """

    def __init__(
        self,
        width: int,
        dropout: float = 0.0,
        seed: int = 0,
        resample: str | None = None,
        rescale: bool = False,
        **kwargs: Any,
    ) -> None:
        # Without autocast the vector stays float32; the convolutions cast their own inputs.
        super().__init__(autocast=False, **kwargs)
        self.width = width
        self.rate = dropout
        self.seed = seed
        self.resample = resample
        self.rescale = rescale

    def build(self, x_shape: BatchShape, vector_shape: BatchShape) -> None:
        """Builds for `x` ``(batch, *spatial, channels)``, `vector` ``(batch, embedding_dim)``."""
        policy = self.dtype_policy
        hidden_shape = (*x_shape[:-1], self.width)
        self.norm_in, self.norm_out = GroupNorm(), GroupNorm()
        self.norm_in.build(x_shape)
        self.norm_out.build(hidden_shape)
        self.film = keras.layers.Dense(2 * self.width, dtype="float32")
        self.film.build(vector_shape)
        self.conv_in = convolution(x_shape, self.width, policy)
        self.conv_out = convolution(hidden_shape, self.width, policy, kernel_initializer="zeros")
        self.skip = None
        if x_shape[-1] != self.width:
            self.skip = pointwise(x_shape, self.width, policy)
        self.dropout = None
        if self.rate > 0:
            self.dropout = keras.layers.Dropout(self.rate, seed=self.seed, dtype=policy)

    def call(
        self,
        x: Tensor,
        vector: Tensor,
        spatial: Shape | None = None,
        training: bool | None = None,
    ) -> Tensor:
        """The output of the block, ``(batch, *spatial, width)`` in the compute dtype.

        Args:
            x: ``(batch, *spatial, channels)``.
            vector: ``(batch, embedding_dim)``.
            spatial: The new spatial sizes; only with ``resample="up"``.
            training: As in Keras.
        """
        h = ops.silu(self.norm_in(x))
        if self.resample == "down":
            h, x = fir_downsample(h), fir_downsample(x)
        elif self.resample == "up":
            assert spatial is not None
            h, x = fir_upsample(h, spatial), fir_upsample(x, spatial)
        h = self.conv_in(h)
        h = ops.silu(self.norm_out(h, self.film(vector)))
        if self.dropout is not None:
            h = self.dropout(h, training=training)
        y = self.conv_out(h) + (x if self.skip is None else self.skip(x))
        return y * RESCALE if self.rescale else y

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "width": self.width,
            "dropout": self.rate,
            "seed": self.seed,
            "resample": self.resample,
            "rescale": self.rescale,
        }


@keras.saving.register_keras_serializable(package=PACKAGE)
class Level(keras.layers.Layer):
    """The residual blocks of one resolution, with attention after the first of them.

    Where there are more tokens than positions along the longest axis, one dense layer reduces the
    tokens to that extent before the image attends to them (paper, appendix A).

    Args:
        width: Channels of the output.
        blocks: Number of residual blocks, at least 1.
        heads: Heads of the attention layers.
        cross_attention: Whether positions attend to the noising-state tokens.
        self_attention: Whether positions attend to each other.
        dropout: Dropout rate.
        seed: Integer seed; block i takes ``seed + i``.
        remat: Whether blocks are computed again in the backward pass.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:
    >>> level = Level(width=8, cross_attention=True)
    >>> tuple(level(ops.ones((2, 5, 4)), ops.ones((2, 3, 8)), ops.ones((2, 16))).shape)
    (2, 5, 8)
    """

    def __init__(
        self,
        width: int,
        blocks: int = 1,
        heads: int = 1,
        cross_attention: bool = False,
        self_attention: bool = False,
        dropout: float = 0.0,
        seed: int = 0,
        remat: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.settings: dict[str, Any] = {
            "width": width,
            "blocks": blocks,
            "heads": heads,
            "cross_attention": cross_attention,
            "self_attention": self_attention,
            "dropout": dropout,
            "seed": seed,
            "remat": remat,
        }

    def build(
        self, x_shape: BatchShape, tokens_shape: BatchShape, vector_shape: BatchShape
    ) -> None:
        """Builds for features `x`, embedded tokens and the global vector."""
        s, policy = self.settings, self.dtype_policy
        hidden_shape = (*x_shape[:-1], s["width"])
        self.residual = []
        for i in range(s["blocks"]):
            block = ResidualBlock(s["width"], s["dropout"], s["seed"] + i, dtype=policy)
            block.build(hidden_shape if i else x_shape, vector_shape)
            self.residual.append(block)
        self.cross = self.within = self.reduce = None
        extent = max(x_shape[1:-1])
        # With a single token or position the attention would be constant.
        if s["cross_attention"] and min(tokens_shape[1], extent) > 1:
            if tokens_shape[1] > extent:
                self.reduce = keras.layers.EinsumDense("btw,ts->bsw", (extent, None), dtype=policy)
                self.reduce.build(tokens_shape)
                tokens_shape = (None, extent, tokens_shape[2])
            self.cross = SpatialAttention(s["heads"], dtype=policy)
            self.cross.build(hidden_shape, tokens_shape)
        if s["self_attention"] and extent > 1:
            self.within = SpatialAttention(s["heads"], dtype=policy)
            self.within.build(hidden_shape)

    def call(
        self, x: Tensor, tokens: Tensor, vector: Tensor, training: bool | None = None
    ) -> Tensor:
        """The output of the level, ``(batch, *spatial, width)`` in the compute dtype.

        Args:
            x: ``(batch, *spatial, channels)``.
            tokens: ``(batch, T, features)``.
            vector: ``(batch, embedding_dim)``.
            training: As in Keras.
        """
        remat = self.settings["remat"] and bool(training)
        first, *others = self.residual
        x = call_block(first, x, vector, remat=remat, training=training)
        if self.cross is not None:
            tokens = tokens if self.reduce is None else self.reduce(tokens)
            x = call_block(self.cross, x, tokens, remat=remat)
        if self.within is not None:
            x = call_block(self.within, x, remat=remat)
        for block in others:
            x = call_block(block, x, vector, remat=remat, training=training)
        return x

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), **self.settings}
