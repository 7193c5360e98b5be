"""A transformer of patches, each of which is told its own gamma, for one to three axes."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_gud.backbones.attention import Attention, CrossAttention
from keras_gud.backbones.backbone import Backbone, require_spatial_axes
from keras_gud.backbones.blocks import call_block
from keras_gud.backbones.embedding import GammaMapEmbedding
from keras_gud.backbones.lora import AdaptableDense
from keras_gud.backbones.periodic import check_boundary, periodic_axes
from keras_gud.backbones.resampling import from_patches, patched, to_patches
from keras_gud.backbones.rotary import turns
from keras_gud.core.arguments import check_integer
from keras_gud.core.initial_values import RandomNormal
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import BatchShape, Shape, Tensor

# Values of a modulated block: shift, scale and gate, of the attention and of the MLP.
_MODULATIONS = 6
_EPSILON = 1e-6


@keras.saving.register_keras_serializable(package=PACKAGE)
class TransformerBlock(keras.layers.Layer):
    """Self-attention and an MLP with adaptive norms (DiT; Peebles and Xie 2022, arXiv:2212.09748).

    Both branches end in layers that start at zero, so an untrained block returns its input. Norms
    are modulated by the global vector, in every block by another layer, and by a scale and a shift
    of each position, which all blocks share (as in PixArt-alpha; Chen et al. 2023,
    arXiv:2310.00426).

    Args:
        heads: Number of heads; must divide the width.
        dropout: Dropout rate of both branches; 0 adds no dropout layer.
        seed: Integer seed of the dropout.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:
    >>> block = TransformerBlock(heads=2)
    >>> tuple(block(ops.ones((2, 9, 8)), ops.ones((2, 16))).shape)
    (2, 9, 8)
    """

    def __init__(self, heads: int, dropout: float = 0.0, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.heads, self.rate, self.seed = heads, dropout, seed

    def build(self, x_shape: BatchShape, vector_shape: BatchShape) -> None:
        """Builds for `x` ``(batch, N, width)`` and `vector` ``(batch, embedding_dim)``."""
        width, policy = x_shape[-1], self.dtype_policy
        self.attention = Attention(self.heads, dtype=policy)
        self.attention.build(x_shape)
        self.dense_in = AdaptableDense(4 * width, activation="gelu", dtype=policy)
        self.dense_in.build(x_shape)
        self.dense_out = AdaptableDense(width, kernel_initializer="zeros", dtype=policy)
        self.dense_out.build((None, None, 4 * width))
        self.film = keras.layers.Dense(_MODULATIONS * width, dtype="float32")
        self.film.build(vector_shape)
        self.dropout = None
        if self.rate > 0:
            self.dropout = keras.layers.Dropout(self.rate, seed=self.seed, dtype=policy)

    def call(
        self,
        x: Tensor,
        vector: Tensor,
        factor: Tensor | None = None,
        addend: Tensor | None = None,
        turn: tuple[Tensor, Tensor] | None = None,
        training: bool | None = None,
    ) -> Tensor:
        """The output of the block, of the shape and dtype of `x`.

        Args:
            x: ``(batch, N, width)``.
            vector: Global vector, float32 ``(batch, embedding_dim)``.
            factor: What modulated norms are multiplied by at each position, float32 ``(batch, N,
                width)``.
            addend: What is added to them then, the same shape.
            turn: As in `Attention`.
            training: As in Keras.
        """
        parts = ops.split(ops.expand_dims(self.film(vector), 1), _MODULATIONS, axis=-1)
        branches: tuple[Any, ...] = (
            (self.attention, {"turn": turn}, parts[:3]),
            (self._mlp, {}, parts[3:]),
        )
        for branch, others, (shift, scale, gate) in branches:
            h = branch(modulate(x, shift, scale, factor, addend), **others)
            if self.dropout is not None:
                h = self.dropout(h, training=training)
            x = x + ops.cast(1.0 + gate, x.dtype) * h
        return x

    def _mlp(self, x: Tensor) -> Tensor:
        return self.dense_out(self.dense_in(x))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = {"heads": self.heads, "dropout": self.rate, "seed": self.seed}
        return {**super().get_config(), **config}


def modulate(
    x: Tensor,
    shift: Tensor | float = 0.0,
    scale: Tensor | float = 0.0,
    factor: Tensor | None = None,
    addend: Tensor | None = None,
) -> Tensor:
    """``factor ((1 + scale) x/rms(x) + shift) + addend``, computed in float32.

    The norm is that of Zhang and Sennrich (2019, arXiv:1910.07467), over the last axis.

    Args:
        x: ``(batch, N, width)``.
        shift: Of an example: float32 ``(batch, 1, width)``, or a number.
        scale: As `shift`.
        factor: Of a position: float32 ``(batch, N, width)``; `None`: neither this nor `addend`.
        addend: As `factor`.
    """
    norm = ops.rms_normalization(ops.cast(x, "float32"), epsilon=_EPSILON)
    h = norm * (1.0 + scale) + shift
    return ops.cast(h if factor is None else factor * h + addend, x.dtype)


@keras.saving.register_keras_serializable(package=PACKAGE)
class DiT(Backbone):
    """Transformer of patches with adaptive norms, in which each patch knows its own noising state.

    Where components are pixels, columns, frames or channels, the network is given the gamma of
    every value (`gamma_map`), and the modulation of a patch is made from those of its own values:
    a free mask is a noising state like any other. Otherwise it is made from the global vector, a
    function of all tokens; and where there are several, as in bases whose components have no place
    (principal components, frequencies), they are appended to the sequence of patches, which attend
    to them, and dropped before the head. Positions are sums of one learned vector for each index of
    each axis; of periodic axes, rotations of queries and keys (`rotary`).

    Args:
        width: Channels of a patch.
        blocks: Number of blocks.
        heads: Heads of every attention layer; must divide `width`.
        patch: Edge of a patch, in positions. Sizes that it does not divide are filled up with
            zeros.
        boundary: As in `UNet`: data that are shifted along a periodic axis, by a multiple of
            `patch`, are the same data to the network.
        **kwargs: Arguments of `Backbone`, e.g. `embedding_dim` or ``dtype="mixed_bfloat16"``.

    Raises:
        ValueError: for numbers that are no integers >= 1, heads that do not divide the width,
            unknown boundaries, vectors, or periodic axes that the patch does not divide or for
            which heads have less than 4 channels each; the last three when built.

    Example:
    >>> network = DiT(width=16, blocks=1, heads=2)
    >>> tuple(network([ops.ones((2, 7, 10, 3)), ops.ones((2, 10, 2))]).shape)
    (2, 7, 10, 3)
    """

    def __init__(
        self,
        width: int = 128,
        blocks: int = 6,
        heads: int = 4,
        patch: int = 2,
        boundary: str | Sequence[str] = "zero",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.boundary = check_boundary(boundary)
        self.width = check_integer("width", width, 1)
        self.blocks = check_integer("blocks", blocks, 1)
        self.heads = check_integer("heads", heads, 1)
        self.patch = check_integer("patch", patch, 1)
        if self.width % self.heads:
            raise ValueError(
                f"Expected `heads` to divide `width`. Received: heads={heads}, width={width}."
            )

    def create_layers(
        self, data_shape: Shape, tokens_shape: BatchShape, vector_shape: BatchShape
    ) -> None:
        """Creates and builds stem, positions, blocks and head; see `Backbone.create_layers`."""
        require_spatial_axes(data_shape)
        policy, width = self.dtype_policy, self.width
        self.sizes = patched(data_shape[:-1], self.patch)
        values = self.patch ** len(self.sizes) * data_shape[-1]
        patches = math.prod(self.sizes)
        # A single token says no more than the global vector does.
        self.appended = 0 if self.gamma_map or tokens_shape[1] == 1 else tokens_shape[1]
        sequence: BatchShape = (None, patches + self.appended, width)
        self.stem = keras.layers.Dense(width, dtype=policy)
        self.stem.build((None, values // data_shape[-1] * self.channels_in))
        periodic = periodic_axes(self.boundary, data_shape[:-1], self.patch)
        self.turn = turns(self.sizes, periodic, width // self.heads, self.appended)
        self.positions = {
            axis: self.add_weight(
                shape=(size, width),
                initializer=RandomNormal(stddev=0.5),
                name=f"position_{axis}",
            )
            for axis, size in enumerate(self.sizes)
            if not periodic[axis]
        }
        if self.appended:
            self.token_stem = keras.layers.Dense(width, dtype=policy)
            self.token_stem.build(tokens_shape)
        if self.gamma_map:
            self.local = GammaMapEmbedding(width)
            gammas = values // data_shape[-1] * self.gamma_channels
            self.local.build((None, patches, gammas))
            self.local_film = keras.layers.Dense(2 * width, dtype="float32")
            self.local_film.build((None, width))
        self.transformer = []
        for i in range(self.blocks):
            block = TransformerBlock(self.heads, self.dropout, self.seed + i, dtype=policy)
            block.build(sequence, vector_shape)
            self.transformer.append(block)
        self.cross = []
        if self.context_shape is not None:
            self.cross = [CrossAttention(self.heads, dtype=policy) for _ in self.transformer]
            for attend in self.cross:
                attend.build(sequence, self.context_shape)
        self.film = keras.layers.Dense(2 * width, dtype="float32")
        self.film.build(vector_shape)
        self.head = keras.layers.Dense(values, kernel_initializer="zeros", dtype=policy)
        self.head.build(sequence)

    def transform(
        self,
        y: Tensor,
        tokens: Tensor,
        vector: Tensor,
        gamma: Tensor | None = None,
        training: bool | None = None,
        context: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Applies the blocks to the patches of y; see `Backbone.transform`.

        Args:
            y: ``(batch, *data_shape)``.
            tokens: Embedded tokens, which are appended where patches have no gamma of their own.
            vector: Global vector.
            gamma: See `Backbone.transform`.
            training: As in Keras.
            context: Elements of a condition, to which all attend before each block, and their mask.
        """
        spatial, remat = y.shape[1:-1], self.remat and bool(training)
        x = self.stem(self._sequence(y))
        if self.positions:
            x = x + ops.cast(self._position(), y.dtype)
        if self.appended:
            x = ops.concatenate([x, self.token_stem(tokens)], axis=1)
        local: tuple[Tensor, ...] = ()
        if gamma is not None:
            film = self.local_film(self.local(self._sequence(gamma)))
            scale, shift = ops.split(film, 2, axis=-1)
            local = 1.0 + scale, shift
        for i, block in enumerate(self.transformer):
            if context is not None:
                x = x + call_block(self.cross[i], modulate(x), *context, remat=remat)
            x = call_block(block, x, vector, *local, turn=self.turn, remat=remat, training=training)
        x = x[:, : math.prod(self.sizes)]
        shift, scale = ops.split(ops.expand_dims(self.film(vector), 1), 2, axis=-1)
        x = self.head(modulate(x, shift, scale))
        return from_patches(ops.reshape(x, (-1, *self.sizes, x.shape[-1])), self.patch, spatial)

    def _sequence(self, x: Tensor) -> Tensor:
        """The patches of data, ``(batch, N, values of a patch)``."""
        return ops.reshape(to_patches(x, self.patch), (-1, math.prod(self.sizes), self._values(x)))

    def _values(self, x: Tensor) -> int:
        return self.patch ** len(self.sizes) * x.shape[-1]

    def _position(self) -> Tensor:
        """A vector for every patch, ``(N, width)``."""
        total = 0.0
        for axis, table in self.positions.items():
            shape = [1] * len(self.sizes) + [self.width]
            shape[axis] = self.sizes[axis]
            total = total + ops.reshape(table, shape)
        return ops.reshape(ops.broadcast_to(total, (*self.sizes, self.width)), (-1, self.width))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"width": self.width, "blocks": self.blocks, "heads": self.heads}
        return {**super().get_config(), **own, "patch": self.patch, "boundary": self.boundary}
