"""Embeddings of the noising state and of class labels (paper, appendix A)."""

import math
from typing import Any

import keras
from keras import ops

from keras_gud.core.initial_values import RandomNormal
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import BatchShape, Tensor

# gamma has a range of about (-10, 10); the periods are twice that range and less.
GAMMA_SCALE = 10.0
PERIODS = (40.0, 20.0, 10.0, 5.0)


def gamma_features(gamma: Tensor) -> Tensor:
    """Scaled gamma and its sine and cosine at four periods: ``(..., 1)`` -> ``(..., 9)``."""
    angles = gamma * ops.convert_to_tensor([2 * math.pi / n for n in PERIODS], "float32")
    return ops.concatenate([gamma / GAMMA_SCALE, ops.sin(angles), ops.cos(angles)], axis=-1)


@keras.saving.register_keras_serializable(package=PACKAGE)
class Mixer(keras.layers.Layer):
    """One MLP-Mixer layer (Tolstikhin et al. 2021, arXiv:2105.01601) on ``(batch, T, width)``.

    An MLP over the tokens, then one over the channels, each after a layer norm and added to its
    input.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:
    >>> tuple(Mixer()(ops.ones((2, 8, 16))).shape)
    (2, 8, 16)
    """

    def build(self, input_shape: BatchShape) -> None:
        """Builds for ``(batch, T, width)``; T must be known."""
        _, count, width = input_shape
        self.token_norm, self.channel_norm = (_layer_norm(input_shape) for _ in range(2))
        self.token_mix = [_dense(width, count, "silu"), _dense(count, width)]
        self.channel_mix = [_dense(2 * width, width, "silu"), _dense(width, 2 * width)]

    def call(self, x: Tensor) -> Tensor:
        """The mixed tokens, of the shape of `x`."""
        h = ops.transpose(self.token_norm(x), (0, 2, 1))
        x = x + ops.transpose(self.token_mix[1](self.token_mix[0](h)), (0, 2, 1))
        return x + self.channel_mix[1](self.channel_mix[0](self.channel_norm(x)))


@keras.saving.register_keras_serializable(package=PACKAGE)
class NoisingStateEmbedding(keras.layers.Layer):
    """Embeds the noising state with MLP-Mixer layers (paper, appendix A).

    Inputs are tokens ``(batch, T, F)``: column 0 is gamma, the others are coordinates in about
    [-1, 1]. T is fixed when the layer is built. Computes in float32 whatever the global policy is,
    since bfloat16 has only three significant digits for gamma.

    Args:
        width: Width of a token's embedding.
        embedding_dim: Width of the global embedding.
        mixers: Number of MLP-Mixer layers.
        **kwargs: Arguments of `keras.layers.Layer`.

    Returns:
        Embedded tokens ``(batch, T, width)`` and a global vector ``(batch, embedding_dim)``, a
        function of the mean *and* of every token, so that it distinguishes paths with the same mean
        of gamma.

    Example:
    >>> embed = NoisingStateEmbedding(width=16, embedding_dim=32, mixers=2)
    >>> tokens, vector = embed(ops.zeros((2, 8, 3)))
    >>> tuple(tokens.shape), tuple(vector.shape)
    ((2, 8, 16), (2, 32))
    """

    # Channels per token in the flattened state: keeps its Dense small where T is large.
    bottleneck = 4

    def __init__(self, width: int, embedding_dim: int, mixers: int = 1, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.width = width
        self.embedding_dim = embedding_dim
        self.mixer_count = mixers

    def build(self, input_shape: BatchShape) -> None:
        """Builds for tokens ``(batch, T, F)``."""
        _, self.count, features = input_shape
        shape = (None, self.count, self.width)
        self.token_in = _dense(self.width, features + 2 * len(PERIODS), "silu")
        self.mixers = [Mixer(dtype="float32") for _ in range(self.mixer_count)]
        for mixer in self.mixers:
            mixer.build(shape)
        self.norm = _layer_norm(shape)
        self.squeeze = _dense(self.bottleneck, self.width)
        self.merge = _dense(self.embedding_dim, self.width + self.count * self.bottleneck, "silu")
        self.vector_out = _dense(self.embedding_dim, self.embedding_dim, "silu")

    def call(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The embedded tokens and the global vector."""
        gamma, coordinates = tokens[..., :1], tokens[..., 1:]
        x = self.token_in(ops.concatenate([gamma_features(gamma), coordinates], axis=-1))
        for mixer in self.mixers:
            x = mixer(x)
        x = self.norm(x)
        flat = ops.reshape(self.squeeze(x), (-1, self.count * self.bottleneck))
        vector = self.merge(ops.concatenate([ops.mean(x, axis=1), flat], axis=-1))
        return x, self.vector_out(vector)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "width": self.width,
            "embedding_dim": self.embedding_dim,
            "mixers": self.mixer_count,
        }


@keras.saving.register_keras_serializable(package=PACKAGE)
class GammaMapEmbedding(keras.layers.Layer):
    """Embeds the gamma of the values of each position; in float32 whatever the policy is.

    Args:
        width: Width of the embedding.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:
    >>> tuple(GammaMapEmbedding(width=16)(ops.zeros((2, 7, 7, 4))).shape)
    (2, 7, 7, 16)
    """

    def __init__(self, width: int, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.width = width

    def build(self, input_shape: BatchShape) -> None:
        """Builds for gamma ``(batch, *positions, values)``."""
        values = input_shape[-1]
        assert values is not None
        self.dense = _dense(self.width, 1 + 2 * len(PERIODS) + values, "silu")

    def call(self, gamma: Tensor) -> Tensor:
        """``(batch, *positions, width)``, made of the mean over the values and of each of them."""
        mean = gamma_features(ops.mean(gamma, axis=-1, keepdims=True))
        return self.dense(ops.concatenate([mean, gamma / GAMMA_SCALE], axis=-1))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "width": self.width}


@keras.saving.register_keras_serializable(package=PACKAGE)
class LabelEmbedding(keras.layers.Embedding):
    """A vector for each class and one for the null label, in float32 whatever the policy is.

    Args:
        classes: Number of classes; labels are 0 .. classes - 1 and the null label is `classes`.
        embedding_dim: Width of the vectors.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:
    >>> tuple(LabelEmbedding(classes=10, embedding_dim=32)(ops.array([3, 10])).shape)
    (2, 32)
    """

    def __init__(self, classes: int, embedding_dim: int, **kwargs: Any) -> None:
        # Small, so that before training all labels have nearly the same effect.
        initializer = RandomNormal(stddev=0.02)
        kwargs = {**kwargs, "dtype": "float32"}
        super().__init__(classes + 1, embedding_dim, initializer, **kwargs)
        self.classes = classes

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = keras.layers.Layer.get_config(self)
        return {**config, "classes": self.classes, "embedding_dim": self.output_dim}


@keras.saving.register_keras_serializable(package=PACKAGE)
class ProxyTimeEmbedding(keras.layers.Layer):
    """The mean of gamma in place of time, beside a ResNet embedding of gamma (paper, appendix B).

    Inputs are tokens ``(batch, T, F)``: column 0 is gamma, the last one its mean over all
    components, ``1/N sum_i gamma_i``. Computes in float32 whatever the global policy is.

    Args:
        embedding_dim: Width of the embedding.
        blocks: Residual blocks of the embedding of gamma.
        **kwargs: Arguments of `keras.layers.Layer`.

    Returns:
        The tokens as given, and a global vector ``(batch, embedding_dim)``.

    Example:
    >>> tokens, vector = ProxyTimeEmbedding(embedding_dim=32)(ops.zeros((2, 8, 3)))
    >>> tuple(vector.shape)
    (2, 32)
    """

    def __init__(self, embedding_dim: int, blocks: int = 2, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.embedding_dim = embedding_dim
        self.blocks = blocks

    def build(self, input_shape: BatchShape) -> None:
        """Builds for tokens ``(batch, T, F)``."""
        dim = self.embedding_dim
        self.time = _dense(dim, 1 + 2 * len(PERIODS), "silu")
        self.state_in = _dense(dim, input_shape[1])
        self.norms = [_layer_norm((None, dim)) for _ in range(self.blocks)]
        self.residual = [[_dense(dim, dim, "silu"), _dense(dim, dim)] for _ in range(self.blocks)]
        self.merge = _dense(dim, 2 * dim, "silu")

    def call(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The tokens as given, and the global vector."""
        gamma = tokens[..., 0]
        time = self.time(gamma_features(tokens[:, 0, -1:]))
        state = self.state_in(gamma / GAMMA_SCALE)
        for norm, (first, second) in zip(self.norms, self.residual, strict=True):
            state = state + second(first(norm(state)))
        return tokens, self.merge(ops.concatenate([time, ops.silu(state)], axis=-1))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "embedding_dim": self.embedding_dim,
            "blocks": self.blocks,
        }


def _dense(units: int, inputs: int, activation: str | None = None) -> keras.layers.Layer:
    layer = keras.layers.Dense(units, activation=activation, dtype="float32")
    layer.build((None, inputs))
    return layer


def _layer_norm(shape: BatchShape) -> keras.layers.Layer:
    layer = keras.layers.LayerNormalization(dtype="float32")
    layer.build(shape)
    return layer
