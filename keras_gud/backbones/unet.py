"""The U-Net of the paper's appendix A, for one to three spatial axes and any sizes."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_gud.backbones.backbone import Backbone, require_spatial_axes
from keras_gud.backbones.blocks import convolution, pointwise
from keras_gud.backbones.embedding import GammaMapEmbedding
from keras_gud.backbones.film import local_film, modulate
from keras_gud.backbones.level import Level
from keras_gud.backbones.norm import GroupNorm
from keras_gud.backbones.periodic import check_boundary, periodic_axes
from keras_gud.backbones.resampling import (
    downsample,
    from_patches,
    level_sizes,
    patched,
    to_patches,
    upsample,
)
from keras_gud.core.arguments import check_integer
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import BatchShape, Shape, Tensor

# Cross-attention is on by default up to this many positions (16 x 16).
ATTENTION_POSITIONS = 256
# Dropout layers of each level take their seeds from a range of this length.
SEED_STRIDE = 1000
# Channels of the embedding of a position's own gamma.
LOCAL_WIDTH = 32


@keras.saving.register_keras_serializable(package=PACKAGE)
class UNet(Backbone):
    """U-Net with FiLM and cross-attention to the noising state.

    After the paper's appendix A and Song et al. 2021 (arXiv:2011.13456). Down-sampling is a
    strided convolution (sizes rounded up), up-sampling repeats positions and crops to the size of
    the skip connection, so odd and non-square sizes work. The coarsest level has cross-attention to
    the tokens and self-attention. With `gamma_map`, gamma enters as further channels, and every
    residual block and the head are modulated at each position by that position's own gamma.

    Args:
        widths: Channels per level, the finest first.
        blocks: Residual blocks per level and direction.
        attention_levels: Indices of levels with cross-attention to the tokens, beside the coarsest.
            `None`: those with at most 256 positions.
        heads: Heads of every attention layer; must divide the widths of its level.
        patch: Edge of the blocks of positions that enter and leave the network as channels of one
            position. With 2, everything between costs a quarter for images, so that it can be
            wider.
        boundary: ``"zero"``, or ``"periodic"`` for data that go on at their other end, for all
            spatial axes or one for each. The network then sees data that are shifted along such an
            axis, by a multiple of the coarsest stride, as the same data.
        **kwargs: Arguments of `Backbone`, e.g. `embedding_dim` or ``dtype="mixed_bfloat16"``.

    Raises:
        ValueError: for empty widths, unknown levels or boundaries, vectors, sizes that cannot be
            halved as often as asked, or periodic ones that the coarsest stride does not divide;
            the last three when built.

    Example:
    >>> network = UNet(widths=(8, 16), blocks=1)
    >>> tuple(network([ops.ones((2, 7, 10, 3)), ops.ones((2, 10, 2))]).shape)
    (2, 7, 10, 3)
    """

    def __init__(
        self,
        widths: Sequence[int] = (32, 64),
        blocks: int = 2,
        attention_levels: Sequence[int] | None = None,
        heads: int = 2,
        patch: int = 1,
        boundary: str | Sequence[str] = "zero",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.widths = tuple(widths)
        self.blocks = blocks
        self.attention_levels = None if attention_levels is None else tuple(attention_levels)
        self.heads = heads
        self.patch = check_integer("patch", patch, 1)
        self.boundary = check_boundary(boundary)
        if not self.widths or blocks < 1:
            raise ValueError(
                "Expected at least one width and one block. "
                f"Received: widths={widths}, blocks={blocks}."
            )
        if not set(self.attention_levels or ()) <= set(range(len(self.widths))):
            raise ValueError(
                f"Expected `attention_levels` to be indices of {len(self.widths)} widths. "
                f"Received: attention_levels={attention_levels}."
            )

    def has_cross_attention(self, level: int, spatial: Shape) -> bool:
        """Whether `level`, of sizes `spatial`, has cross-attention to the tokens."""
        if level == len(self.widths) - 1:
            return True
        if self.attention_levels is None:
            return math.prod(spatial) <= ATTENTION_POSITIONS
        return level in self.attention_levels

    def create_layers(
        self, data_shape: Shape, tokens_shape: BatchShape, vector_shape: BatchShape
    ) -> None:
        """Creates and builds stem, levels and head; see `Backbone.create_layers`."""
        require_spatial_axes(data_shape)
        policy, widths = self.dtype_policy, self.widths
        spatial = data_shape[:-1]
        self.sizes = level_sizes(patched(spatial, self.patch), len(widths))
        values = self.patch ** len(spatial)  # of a channel in one patch
        coarsest = len(widths) - 1
        periodic = periodic_axes(self.boundary, spatial, self.patch * 2**coarsest)

        def level(i: int, channels: int, direction: int) -> Level:
            layer = Level(
                widths[i],
                self.blocks,
                self.heads,
                cross_attention=self.has_cross_attention(i, self.sizes[i]),
                self_attention=i == coarsest,
                dropout=self.dropout,
                seed=self.seed + SEED_STRIDE * (2 * i + direction),
                remat=self.remat,
                periodic=periodic,
                dtype=policy,
            )
            local = shape(i, LOCAL_WIDTH) if self.gamma_map else None
            # What is attended to on the way down is in the skips; twice would cost twice.
            context = self.context_shape if direction == 0 else None
            layer.build(shape(i, channels), tokens_shape, vector_shape, local, context)
            return layer

        def shape(i: int, channels: int) -> BatchShape:
            return (None, *self.sizes[i], channels)

        input_channels = (widths[0], *widths[:-1])
        gammas = values * self.gamma_channels
        entering = shape(0, values * self.channels_in + gammas)
        self.stem = convolution(entering, widths[0], policy, periodic)
        self.local_film = None
        if self.gamma_map:
            self.local = GammaMapEmbedding(LOCAL_WIDTH)
            self.local.build(shape(0, gammas))
            self.local_film = local_film(LOCAL_WIDTH, widths[0], policy)
        self.down = [level(i, input_channels[i], 0) for i in range(len(widths))]
        self.shrink = [
            convolution(shape(i, widths[i]), widths[i], policy, periodic, strides=2)
            for i in range(coarsest)
        ]
        # Channels are reduced at the coarse size, where it is cheap, before positions are repeated.
        self.narrow = [
            pointwise(shape(i + 1, widths[i + 1]), widths[i], policy) for i in range(coarsest)
        ]
        self.up = [level(i, 2 * widths[i], 1) for i in range(coarsest)]
        self.norm = GroupNorm()
        self.norm.build(shape(0, widths[0]))
        leaving = values * data_shape[-1]
        self.head = convolution(
            shape(0, widths[0]), leaving, policy, periodic, kernel_initializer="zeros"
        )

    def transform(
        self,
        y: Tensor,
        tokens: Tensor,
        vector: Tensor,
        gamma: Tensor | None = None,
        training: bool | None = None,
        context: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Applies the levels down and up; see `Backbone.transform`."""
        spatial, local = y.shape[1:-1], self._local_states(gamma)
        x, skips = self.stem(to_patches(self.with_gamma(y, gamma), self.patch)), []
        for i, shrink in enumerate(self.shrink):
            x = self.down[i](x, tokens, vector, local[i], context, training=training)
            skips.append(x)
            x = shrink(x)
        x = self.down[-1](x, tokens, vector, local[-1], context, training=training)
        for i in reversed(range(len(skips))):
            x = upsample(self.narrow[i](x), self.sizes[i])
            x = ops.concatenate([x, skips[i]], axis=-1)
            x = self.up[i](x, tokens, vector, local[i], context, training=training)
        x = self.head(ops.silu(modulate(self.norm(x), self.local_film, local[0])))
        return from_patches(x, self.patch, spatial)

    def _local_states(self, gamma: Tensor | None) -> list[Tensor | None]:
        """The embedding of each position's gamma at every level; `None` without gamma."""
        if gamma is None:
            return [None] * len(self.widths)
        states = [self.local(to_patches(gamma, self.patch))]
        while len(states) < len(self.widths):
            states.append(downsample(states[-1]))
        return states

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "widths": self.widths,
            "blocks": self.blocks,
            "attention_levels": self.attention_levels,
            "heads": self.heads,
            "patch": self.patch,
            "boundary": self.boundary,
        }
