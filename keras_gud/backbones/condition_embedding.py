"""Embeddings of conditions: vectors, and sequences that positions attend to.

What they are given says whether the condition is there, in its last channel.
"""

from typing import Any

import keras
from keras import ops

from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import BatchShape, Tensor


@keras.saving.register_keras_serializable(package=PACKAGE)
class VectorEmbedding(keras.layers.Layer):
    """Embeds a vector to be added to the global one; zero before training, in float32.

    Args:
        embedding_dim: Width of the global vector.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:
    >>> tuple(VectorEmbedding(embedding_dim=32)(ops.ones((2, 5))).shape)
    (2, 32)
    """

    def __init__(self, embedding_dim: int, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.embedding_dim = embedding_dim

    def build(self, input_shape: BatchShape) -> None:
        """Builds for vectors ``(batch, k)``."""
        dim = self.embedding_dim
        self.hidden = keras.layers.Dense(dim, activation="silu", dtype="float32")
        self.hidden.build((None, input_shape[-1]))
        self.out = keras.layers.Dense(dim, kernel_initializer="zeros", dtype="float32")
        self.out.build((None, dim))

    def call(self, x: Tensor) -> Tensor:
        """``(batch, embedding_dim)``."""
        return self.out(self.hidden(x))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "embedding_dim": self.embedding_dim}


@keras.saving.register_keras_serializable(package=PACKAGE)
class SequenceEmbedding(keras.layers.Layer):
    """Embeds the elements of a sequence, each by itself; in float32.

    Args:
        width: Width of the embedding of an element.
        embedding_dim: Width of the global vector.
        **kwargs: Arguments of `keras.layers.Layer`.

    Returns:
        Embedded elements ``(batch, length, width)``, a mask of those that count ``(batch,
        length)``, and an embedding of their mean, ``(batch, embedding_dim)``, zero before training.

    Example:
    >>> elements, mask, mean = SequenceEmbedding(width=16, embedding_dim=32)(ops.ones((2, 7, 5)))
    >>> tuple(elements.shape), tuple(mask.shape), tuple(mean.shape)
    ((2, 7, 16), (2, 7), (2, 32))
    """

    def __init__(self, width: int, embedding_dim: int, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.width, self.embedding_dim = width, embedding_dim

    def build(self, input_shape: BatchShape) -> None:
        """Builds for sequences ``(batch, length, k)``; other lengths are taken too."""
        shape = (None, None, self.width)
        self.element = keras.layers.Dense(self.width, activation="silu", dtype="float32")
        self.element.build((None, None, input_shape[-1]))
        self.norm = keras.layers.LayerNormalization(dtype="float32")
        self.norm.build(shape)
        self.mean = VectorEmbedding(self.embedding_dim)
        self.mean.build((None, self.width + 1))

    def call(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See the class."""
        mask = x[..., -1]
        elements = self.norm(self.element(x))
        there = ops.expand_dims(mask, -1)
        count = ops.sum(there, axis=1)
        mean = ops.sum(elements * there, axis=1) / ops.maximum(count, 1.0)
        some = ops.cast(count > 0.0, "float32")
        return elements, mask, self.mean(ops.concatenate([mean, some], axis=-1))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"width": self.width, "embedding_dim": self.embedding_dim}
        return {**super().get_config(), **own}
