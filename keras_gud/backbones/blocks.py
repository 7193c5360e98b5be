"""Building blocks of the U-Net for one, two or three spatial axes, channels last."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_gud.backbones.conv3d import Conv3D
from keras_gud.backbones.film import local_film, modulate
from keras_gud.backbones.norm import GroupNorm
from keras_gud.backbones.periodic import PeriodicConvolution
from keras_gud.backbones.resampling import fir_downsample, fir_upsample
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import BatchShape, Shape, Tensor

_CONVOLUTIONS = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D, 3: Conv3D}
# The factor that gives the sum of a skip and a residual unit variance, if both have it.
RESCALE = 2**-0.5


def convolution(
    x_shape: BatchShape,
    filters: int,
    dtype: Any,
    periodic: Sequence[bool] = (),
    **kwargs: Any,
) -> keras.layers.Layer:
    """A built convolution of size 3 (same padding) for inputs ``(batch, *spatial, channels)``.

    Args:
        x_shape: Shape of the inputs, with one to three spatial axes.
        filters: Number of output channels.
        dtype: A dtype or a Keras dtype policy.
        periodic: For each spatial axis whether it is periodic; `()`: none is.
        **kwargs: Further arguments of the layer: `strides`, `kernel_initializer`.

    >>> tuple(convolution((None, 8, 6, 3), filters=16, dtype="float32", strides=2).kernel.shape)
    (3, 3, 3, 16)
    """
    layer: keras.layers.Layer
    if any(periodic):
        layer = PeriodicConvolution(filters, periodic, dtype=dtype, **kwargs)
    else:
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
    vector and then, where the block is built for one, from an embedding of each position's own
    state.

    Args:
        width: Channels of the output.
        dropout: Dropout rate; 0 adds no dropout layer.
        seed: Integer seed of the dropout.
        resample: ``"down"`` or ``"up"`` halves or doubles the resolution inside the block, with a
            FIR filter (BigGAN blocks, as in NCSN++).
        rescale: Whether to scale the sum by 1/sqrt(2), so that variances do not grow with depth.
        periodic: As in `convolution`.
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
        periodic: Sequence[bool] = (),
        **kwargs: Any,
    ) -> None:
        # Without autocast the vector stays float32; the convolutions cast their own inputs.
        super().__init__(autocast=False, **kwargs)
        self.width = width
        self.rate = dropout
        self.seed = seed
        self.resample = resample
        self.rescale = rescale
        self.periodic = tuple(periodic)

    def build(
        self,
        x_shape: BatchShape,
        vector_shape: BatchShape,
        local_shape: BatchShape | None = None,
    ) -> None:
        """Builds for the shapes of what `call` is given."""
        policy = self.dtype_policy
        hidden_shape = (*x_shape[:-1], self.width)
        self.norm_in, self.norm_out = GroupNorm(), GroupNorm()
        self.norm_in.build(x_shape)
        self.norm_out.build(hidden_shape)
        self.film = keras.layers.Dense(2 * self.width, dtype="float32")
        self.film.build(vector_shape)
        self.local_film = None
        if local_shape is not None:
            self.local_film = local_film(local_shape[-1], self.width, policy)
        self.conv_in = convolution(x_shape, self.width, policy, self.periodic)
        self.conv_out = convolution(
            hidden_shape, self.width, policy, self.periodic, kernel_initializer="zeros"
        )
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
        local: Tensor | None = None,
        spatial: Shape | None = None,
        training: bool | None = None,
    ) -> Tensor:
        """The output of the block, ``(batch, *spatial, width)`` in the compute dtype.

        Args:
            x: ``(batch, *spatial, channels)``.
            vector: ``(batch, embedding_dim)``.
            local: ``(batch, *spatial, local)`` at the resolution of the output, where the block was
                built for it.
            spatial: The new spatial sizes; only with ``resample="up"``.
            training: As in Keras.
        """
        h = ops.silu(self.norm_in(x))
        if self.resample == "down":
            h, x = (fir_downsample(part, self.periodic) for part in (h, x))
        elif self.resample == "up":
            assert spatial is not None
            h, x = (fir_upsample(part, spatial, self.periodic) for part in (h, x))
        h = self.conv_in(h)
        h = self.norm_out(h, self.film(vector))
        h = ops.silu(modulate(h, self.local_film, local))
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
            "periodic": self.periodic,
        }
