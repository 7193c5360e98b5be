"""A residual MLP for data without spatial axes."""

from typing import Any

import keras
from keras import ops

from keras_gud.backbones.backbone import Backbone
from keras_gud.backbones.blocks import call_block
from keras_gud.backbones.lora import AdaptableDense
from keras_gud.backbones.norm import GroupNorm
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import BatchShape, Shape, Tensor


@keras.saving.register_keras_serializable(package=PACKAGE)
class DenseBlock(keras.layers.Layer):
    """FiLM norm, SiLU, dense, SiLU, dropout, dense, plus the input, of shape ``(batch, width)``.

    The last layer starts at zero, so an untrained block returns its input.

    Args:
        dropout: Dropout rate; 0 adds no dropout layer.
        seed: Integer seed of the dropout.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:
    >>> tuple(DenseBlock()(ops.ones((2, 8)), ops.ones((2, 16))).shape)
    (2, 8)
    """

    def __init__(self, dropout: float = 0.0, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.rate = dropout
        self.seed = seed

    def build(self, x_shape: BatchShape, vector_shape: BatchShape) -> None:
        """Builds for `x` ``(batch, width)`` and `vector` ``(batch, embedding_dim)``."""
        width, policy = x_shape[-1], self.dtype_policy
        self.norm = GroupNorm()
        self.norm.build(x_shape)
        self.film = keras.layers.Dense(2 * width, dtype="float32")
        self.film.build(vector_shape)
        self.dense_in = AdaptableDense(width, activation="silu", dtype=policy)
        self.dense_in.build(x_shape)
        self.dense_out = AdaptableDense(width, kernel_initializer="zeros", dtype=policy)
        self.dense_out.build(x_shape)
        self.dropout = None
        if self.rate > 0:
            self.dropout = keras.layers.Dropout(self.rate, seed=self.seed, dtype=policy)

    def call(self, x: Tensor, vector: Tensor, training: bool | None = None) -> Tensor:
        """The output of the block, ``(batch, width)`` in the compute dtype."""
        h = self.dense_in(ops.silu(self.norm(x, self.film(vector))))
        if self.dropout is not None:
            h = self.dropout(h, training=training)
        return x + self.dense_out(h)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "dropout": self.rate, "seed": self.seed}


@keras.saving.register_keras_serializable(package=PACKAGE)
class MLP(Backbone):
    """Residual MLP with FiLM from the noising state, for vectors ``(batch, features)``.

    Every feature has its own weights, which can pick its own gamma from the global vector: no
    attention is needed.

    Args:
        width: Width of the hidden layers.
        blocks: Number of residual blocks.
        **kwargs: Arguments of `Backbone`, e.g. `embedding_dim` or ``dtype="mixed_bfloat16"``.

    Raises:
        ValueError: when built on data that are not vectors.

    Example:
    >>> network = MLP(width=32, blocks=2)
    >>> tuple(network([ops.ones((2, 5)), ops.ones((2, 5, 2))]).shape)
    (2, 5)
    """

    def __init__(
        self,
        width: int = 256,
        blocks: int = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.width = width
        self.blocks = blocks

    def create_layers(
        self, data_shape: Shape, tokens_shape: BatchShape, vector_shape: BatchShape
    ) -> None:
        """Creates and builds the layers; see `Backbone.create_layers`."""
        if len(data_shape) != 1:
            raise ValueError(
                "Expected vectors of shape (batch, features); use `UNet` for data with spatial "
                f"axes. Received: data_shape={data_shape}."
            )
        policy, hidden_shape = self.dtype_policy, (None, self.width)
        self.stem = keras.layers.Dense(self.width, dtype=policy)
        self.stem.build((None, data_shape[-1] + self.gamma_channels))
        self.residual = []
        for i in range(self.blocks):
            block = DenseBlock(self.dropout, self.seed + i, dtype=policy)
            block.build(hidden_shape, vector_shape)
            self.residual.append(block)
        self.norm = GroupNorm()
        self.norm.build(hidden_shape)
        self.head = keras.layers.Dense(data_shape[0], kernel_initializer="zeros", dtype=policy)
        self.head.build(hidden_shape)

    def transform(
        self,
        y: Tensor,
        tokens: Tensor,
        vector: Tensor,
        gamma: Tensor | None = None,
        training: bool | None = None,
        context: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Applies the blocks; see `Backbone.transform`. Of a `context` it knows the mean alone."""
        x, remat = self.stem(self.with_gamma(y, gamma)), self.remat and bool(training)
        for block in self.residual:
            x = call_block(block, x, vector, remat=remat, training=training)
        return self.head(ops.silu(self.norm(x)))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "width": self.width, "blocks": self.blocks}
