"""The blocks of a U-Net at one resolution."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_gud.backbones.attention import SpatialAttention
from keras_gud.backbones.blocks import ResidualBlock, call_block
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import BatchShape, Tensor


@keras.saving.register_keras_serializable(package=PACKAGE)
class Level(keras.layers.Layer):
    """The residual blocks of one resolution, with attention after the first of them.

    Positions attend to the noising state, to the elements of a condition, and to each other.

    Where there are more tokens than positions along the longest axis, one dense layer reduces the
    tokens to that extent before the image attends to them (paper, appendix A).

    Args:
        width: Channels of the output.
        blocks: Number of residual blocks, at least 1.
        heads: Heads of the attention layers.
        cross_attention: Whether positions attend to the noising-state tokens, and to a condition.
        self_attention: Whether positions attend to each other.
        dropout: Dropout rate.
        seed: Integer seed; block i takes ``seed + i``.
        remat: Whether blocks are computed again in the backward pass.
        periodic: As in `convolution`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:
    >>> from keras import ops
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
        periodic: Sequence[bool] = (),
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
            "periodic": tuple(periodic),
        }

    def build(
        self,
        x_shape: BatchShape,
        tokens_shape: BatchShape,
        vector_shape: BatchShape,
        local_shape: BatchShape | None = None,
        context_shape: BatchShape | None = None,
    ) -> None:
        """Builds for the shapes of what `call` is given."""
        s, policy = self.settings, self.dtype_policy
        hidden_shape = (*x_shape[:-1], s["width"])
        self.residual = []
        for i in range(s["blocks"]):
            block = ResidualBlock(
                s["width"], s["dropout"], s["seed"] + i, periodic=s["periodic"], dtype=policy
            )
            block.build(hidden_shape if i else x_shape, vector_shape, local_shape)
            self.residual.append(block)
        self.cross = self.within = self.reduce = None
        extent = max(x_shape[1:-1])
        # With a single token or position the attention would be constant.
        if s["cross_attention"] and min(tokens_shape[1], extent) > 1:
            if tokens_shape[1] > extent:
                self.reduce = keras.layers.EinsumDense("btw,ts->bsw", (extent, None), dtype=policy)
                self.reduce.build(tokens_shape)
                tokens_shape = (None, extent, tokens_shape[2])
            self.cross = SpatialAttention(s["heads"], s["periodic"], dtype=policy)
            self.cross.build(hidden_shape, tokens_shape)
        self.context = None
        if s["cross_attention"] and context_shape is not None:
            self.context = SpatialAttention(s["heads"], s["periodic"], dtype=policy)
            self.context.build(hidden_shape, context_shape)
        if s["self_attention"] and extent > 1:
            self.within = SpatialAttention(s["heads"], s["periodic"], dtype=policy)
            self.within.build(hidden_shape)

    def call(
        self,
        x: Tensor,
        tokens: Tensor,
        vector: Tensor,
        local: Tensor | None = None,
        context: tuple[Tensor, Tensor] | None = None,
        training: bool | None = None,
    ) -> Tensor:
        """The output of the level, ``(batch, *spatial, width)`` in the compute dtype.

        Args:
            x: ``(batch, *spatial, channels)``.
            tokens: ``(batch, T, features)``.
            vector: ``(batch, embedding_dim)``.
            local: As in `ResidualBlock`.
            context: Elements of a condition and their mask, see `Backbone.transform`.
            training: As in Keras.
        """
        remat = self.settings["remat"] and bool(training)
        state = (vector,) if local is None else (vector, local)
        first, *others = self.residual
        x = call_block(first, x, *state, remat=remat, training=training)
        if self.cross is not None:
            tokens = tokens if self.reduce is None else self.reduce(tokens)
            x = call_block(self.cross, x, tokens, remat=remat)
        if self.context is not None:
            assert context is not None
            x = call_block(self.context, x, *context, remat=remat)
        if self.within is not None:
            x = call_block(self.within, x, remat=remat)
        for block in others:
            x = call_block(block, x, *state, remat=remat, training=training)
        return x

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), **self.settings}
