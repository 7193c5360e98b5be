"""NCSN++, conditioned on the noising state through its time embedding (paper, appendix B)."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_gud.backbones.attention import SpatialAttention
from keras_gud.backbones.backbone import Backbone, registry, require_spatial_axes
from keras_gud.backbones.blocks import RESCALE, ResidualBlock, call_block, convolution
from keras_gud.backbones.embedding import ProxyTimeEmbedding
from keras_gud.backbones.norm import GroupNorm
from keras_gud.backbones.periodic import check_boundary, periodic_axes
from keras_gud.backbones.resampling import level_sizes, max_levels
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import BatchShape, Shape, Tensor

# Self-attention up to this many positions (16 x 16), as in Song et al. 2021.
ATTENTION_POSITIONS = 256


@keras.saving.register_keras_serializable(package=PACKAGE)
class NCSNpp(Backbone):
    """NCSN++ (Song et al. 2021, arXiv:2011.13456) with the changes of the paper's appendix B.

    Its tokens have the mean of gamma over all components as last column (`mean_gamma`). BigGAN
    residual blocks that resample inside with a FIR filter, skips scaled by 1/sqrt(2), a skip
    from every block, self-attention at 16 x 16 positions and fewer. The mean of gamma replaces
    time, beside an embedding of gamma; there is no cross-attention. The embedding gives scale and
    shift (FiLM), where the original adds it as a bias.

    Args:
        widths: Channels per level, the finest first.
        blocks: Residual blocks per level on the way down; one more on the way up.
        heads: Heads of every attention layer; must divide the widths of its level.
        boundary: As in `UNet`.
        **kwargs: Arguments of `Backbone`, e.g. `embedding_dim` or ``dtype="mixed_bfloat16"``.

    Raises:
        ValueError: for empty widths or unknown boundaries; when built, for vectors, sizes that
            cannot be halved as often as asked, or periodic ones that 2 does not divide as often.

    Example:
    >>> network = NCSNpp(widths=(8, 16), blocks=1)
    >>> tuple(network([ops.ones((2, 7, 10, 3)), ops.ones((2, 10, 2))]).shape)
    (2, 7, 10, 3)
    """

    mean_gamma = True

    def __init__(
        self,
        widths: Sequence[int] = (128, 256, 256, 256),
        blocks: int = 4,
        heads: int = 1,
        boundary: str | Sequence[str] = "zero",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.boundary = check_boundary(boundary)
        self.widths, self.blocks, self.heads = tuple(widths), blocks, heads
        if not self.widths or blocks < 1:
            raise ValueError(
                "Expected at least one width and one block. "
                f"Received: widths={widths}, blocks={blocks}."
            )

    def create_embedding(self) -> keras.layers.Layer:
        """The mean of gamma as time, concatenated with an embedding of gamma."""
        return ProxyTimeEmbedding(self.embedding_dim)

    def create_layers(
        self, data_shape: Shape, tokens_shape: BatchShape, vector_shape: BatchShape
    ) -> None:
        """Creates and builds the way down and the way up; see `Backbone.create_layers`."""
        require_spatial_axes(data_shape)
        self.sizes = level_sizes(data_shape[:-1], len(self.widths))
        self.vector_shape, self.block_count = vector_shape, 0
        last = len(self.widths) - 1
        channels = self.widths[0]
        entering = (None, *data_shape[:-1], self.channels_in + self.gamma_channels)
        self.periodic = periodic_axes(self.boundary, data_shape[:-1], 2**last)
        self.stem = convolution(entering, channels, self.dtype_policy, self.periodic)
        self.down, self.shrink, self.up, self.grow = [], [], [], []
        skips = [channels]
        for i, width in enumerate(self.widths):
            inputs = [channels] + [width] * (self.blocks - 1)
            self.down.append([self._stage(i, c, width) for c in inputs])
            skips += [width] * self.blocks
            channels = width
            if i < last:
                self.shrink.append(self._block(i, width, width, "down"))
                skips.append(width)
        self.middle: list[Any] = [
            self._stage(last, channels, channels),
            self._block(last, channels, channels),
        ]
        for i in reversed(range(last + 1)):
            stages = []
            for _ in range(self.blocks + 1):
                stages.append(self._stage(i, channels + skips.pop(), self.widths[i]))
                channels = self.widths[i]
            self.up.append(stages)
            if i > 0:
                self.grow.append(self._block(i, channels, channels, "up"))
        final = (None, *self.sizes[0], channels)
        self.norm = GroupNorm()
        self.norm.build(final)
        self.head = convolution(
            final, data_shape[-1], self.dtype_policy, self.periodic, kernel_initializer="zeros"
        )

    def _block(
        self, level: int, channels: int, width: int, resample: str | None = None
    ) -> ResidualBlock:
        """A built residual block, with a dropout seed of its own."""
        self.block_count += 1
        block = ResidualBlock(
            width,
            self.dropout,
            self.seed + self.block_count,
            resample=resample,
            rescale=True,
            periodic=self.periodic,
            dtype=self.dtype_policy,
        )
        block.build((None, *self.sizes[level], channels), self.vector_shape)
        return block

    def _stage(self, level: int, channels: int, width: int) -> list[keras.layers.Layer | None]:
        """A residual block and, where there are few positions, self-attention (else `None`)."""
        attend = None
        if math.prod(self.sizes[level]) <= ATTENTION_POSITIONS:
            attend = SpatialAttention(self.heads, self.periodic, dtype=self.dtype_policy)
            attend.build((None, *self.sizes[level], width))
        return [self._block(level, channels, width), attend]

    def transform(
        self,
        y: Tensor,
        tokens: Tensor,
        vector: Tensor,
        gamma: Tensor | None = None,
        training: bool | None = None,
        context: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Applies the levels down and up; see `Backbone.transform`.

        Of a `context` it knows the mean alone.
        """
        remat = self.remat and bool(training)

        def call(block: ResidualBlock, x: Tensor, **kwargs: Any) -> Tensor:
            return call_block(block, x, vector, remat=remat, training=training, **kwargs)

        def run(stage: Sequence[Any], x: Tensor) -> Tensor:
            block, attend = stage
            x = call(block, x)
            return x if attend is None else call_block(attend, x, remat=remat) * RESCALE

        skips = [self.stem(self.with_gamma(y, gamma))]
        for i, stages in enumerate(self.down):
            for stage in stages:
                skips.append(run(stage, skips[-1]))
            if i < len(self.shrink):
                skips.append(call(self.shrink[i], skips[-1]))
        first, second = self.middle
        x = call(second, run(first, skips[-1]))
        for i, stages in enumerate(self.up):
            for stage in stages:
                x = run(stage, ops.concatenate([x, skips.pop()], axis=-1))
            if i < len(self.grow):
                size = self.sizes[len(self.widths) - 2 - i]
                x = call(self.grow[i], x, spatial=size)
        return self.head(ops.silu(self.norm(x)))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "widths": self.widths,
            "blocks": self.blocks,
            "heads": self.heads,
            "boundary": self.boundary,
        }


@registry.register("ncsnpp")
def _for_shape(data_shape: Shape | None = None, **kwargs: Any) -> NCSNpp:
    """The network of the paper's appendix B: 4 levels of 4 blocks, about 75M parameters."""
    arguments = {"widths": (128, 256, 256, 256), "blocks": 4, "embedding_dim": 512, **kwargs}
    if data_shape is not None and len(data_shape) > 1:
        arguments["widths"] = arguments["widths"][: max_levels(data_shape[:-1])]
    return NCSNpp(**arguments)
