"""Embeddings of conditions: vectors, sequences that positions attend to, and images.

What they are given says whether the condition is there, in its last channel.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_gud.core.registry import PACKAGE, require_one_of
from keras_gud.core.types import BatchShape, Tensor

KINDS = ("vector", "sequence", "image")


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


@keras.saving.register_keras_serializable(package=PACKAGE)
class ConditionEmbedding(keras.layers.Layer):
    """All conditions of a network but labels, in the forms in which it takes them.

    Args:
        kinds: Dict from the names of conditions to their kinds, one of `KINDS`, in the order in
            which they are given.
        width: Width of the elements of sequences.
        embedding_dim: Width of the global vector.
        **kwargs: Arguments of `keras.layers.Layer`.

    Returns:
        Images, a list of tensors; what is added to the global vector, ``(batch, embedding_dim)`` or
        0; and the elements of all sequences with their mask, or `None`.

    Raises:
        ValueError: for an unknown kind.

    Example:
    >>> embed = ConditionEmbedding({"text": "sequence"}, width=16, embedding_dim=32)
    >>> images, vector, (elements, mask) = embed([ops.ones((2, 7, 5))])
    >>> tuple(elements.shape), tuple(mask.shape)
    ((2, 7, 16), (2, 7))
    """

    def __init__(
        self, kinds: Mapping[str, str], width: int, embedding_dim: int, **kwargs: Any
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32", "autocast": False})
        for kind in kinds.values():
            require_one_of("conditions", kind, KINDS)
        self.kinds, self.width, self.embedding_dim = dict(kinds), width, embedding_dim

    def build(self, input_shape: Sequence[BatchShape]) -> None:
        """Builds for the shapes of the conditions, in their order."""
        self.embeddings: list[keras.layers.Layer | None] = []
        self.image_channels = 0
        for kind, shape in zip(self.kinds.values(), input_shape, strict=True):
            layer = None
            if kind == "image":
                self.image_channels += int(shape[-1] or 0)
            elif kind == "vector":
                layer = VectorEmbedding(self.embedding_dim)
            else:
                layer = SequenceEmbedding(self.width, self.embedding_dim)
            if layer is not None:
                layer.build(shape)
            self.embeddings.append(layer)

    @property
    def context_shape(self) -> BatchShape | None:
        """Shape of the elements of all sequences, or `None` where there are none."""
        return (None, None, self.width) if "sequence" in self.kinds.values() else None

    def call(
        self, inputs: Sequence[Tensor]
    ) -> tuple[list[Tensor], Tensor | float, tuple[Tensor, Tensor] | None]:
        """See the class."""
        images, elements, masks, vector = [], [], [], 0.0
        for kind, embed, x in zip(self.kinds.values(), self.embeddings, inputs, strict=True):
            if embed is None:
                images.append(x)
            elif kind == "vector":
                vector = vector + embed(x)
            else:
                element, mask, mean = embed(x)
                elements.append(element)
                masks.append(mask)
                vector = vector + mean
        context = (ops.concatenate(elements, 1), ops.concatenate(masks, 1)) if elements else None
        return images, vector, context

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"kinds": self.kinds, "width": self.width, "embedding_dim": self.embedding_dim}
        return {**super().get_config(), **own}
