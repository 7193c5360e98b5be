"""From the noising state to what conditions the network (paper, appendix A)."""

import math

import keras
from keras import ops

from keras_gud.registry import PACKAGE

# gamma has a range of about (-10, 10): periods from twice the range down to 5.
GAMMA_SCALE = 10.0
PERIODS = (40.0, 20.0, 10.0, 5.0)


def gamma_features(gamma):
    """Scaled gamma and sinusoids of it: ``(batch, T, 1)`` -> ``(batch, T, 9)``."""
    angles = gamma * ops.convert_to_tensor([2 * math.pi / n for n in PERIODS], "float32")
    return ops.concatenate([gamma / GAMMA_SCALE, ops.sin(angles), ops.cos(angles)], axis=-1)


@keras.saving.register_keras_serializable(package=PACKAGE)
class NoisingStateEmbedding(keras.layers.Layer):
    """Embeds the noising state with one MLP-mixer layer (Tolstikhin et al. 2021, arXiv:2105.01601).

    Inputs are tokens ``(batch, T, F)``: column 0 is gamma, the others are position labels of about
    [-1, 1]. T is fixed when the layer is built. Computes in float32 whatever the global policy is,
    since bfloat16 has only three significant digits for gamma.

    Args:
        width: Width of a token's embedding.
        embedding_dim: Width of the global embedding.
        **kwargs: Arguments of `keras.layers.Layer`.

    Returns:
        Embedded tokens ``(batch, T, width)`` and a global vector ``(batch, embedding_dim)`` that
        sees the mean *and* every token, so that it can tell paths with the same mean apart.

    Example:
    >>> embed = NoisingStateEmbedding(width=16, embedding_dim=32)
    >>> tokens, vector = embed(ops.zeros((2, 8, 3)))
    >>> tuple(tokens.shape), tuple(vector.shape)
    ((2, 8, 16), (2, 32))
    """

    # Channels per token in the flattened state: keeps its Dense small where T is large.
    bottleneck = 4

    def __init__(self, width: int, embedding_dim: int, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.width = width
        self.embedding_dim = embedding_dim

    def build(self, input_shape):
        """Builds for tokens ``(batch, T, F)``."""
        _, self.count, features = input_shape
        width, count = self.width, self.count

        def dense(units, inputs, activation=None):
            layer = keras.layers.Dense(units, activation=activation, dtype="float32")
            layer.build((None, inputs))
            return layer

        self.token_in = dense(width, features + 2 * len(PERIODS), "silu")
        self.token_mix = [dense(width, count, "silu"), dense(count, width)]
        self.channel_mix = [dense(2 * width, width, "silu"), dense(width, 2 * width)]
        self.squeeze = dense(self.bottleneck, width)
        self.merge = dense(self.embedding_dim, width + count * self.bottleneck, "silu")
        self.vector_out = dense(self.embedding_dim, self.embedding_dim, "silu")
        self.norms = [keras.layers.LayerNormalization(dtype="float32") for _ in range(3)]
        for norm in self.norms:
            norm.build((None, count, width))

    def call(self, tokens):
        """Returns the embedded tokens and the global vector."""
        gamma, labels = tokens[..., :1], tokens[..., 1:]
        x = self.token_in(ops.concatenate([gamma_features(gamma), labels], axis=-1))
        h = ops.transpose(self.norms[0](x), (0, 2, 1))
        x = x + ops.transpose(self.token_mix[1](self.token_mix[0](h)), (0, 2, 1))
        x = x + self.channel_mix[1](self.channel_mix[0](self.norms[1](x)))
        x = self.norms[2](x)
        flat = ops.reshape(self.squeeze(x), (-1, self.count * self.bottleneck))
        vector = self.merge(ops.concatenate([ops.mean(x, axis=1), flat], axis=-1))
        return x, self.vector_out(vector)

    def get_config(self):
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "width": self.width,
            "embedding_dim": self.embedding_dim,
        }
