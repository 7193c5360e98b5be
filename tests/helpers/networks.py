"""Helpers shared by the tests of the backbones."""

from functools import cache

import keras
import numpy as np
from keras import ops

from helpers.marks import once
from keras_gud import backbones, backend

# The data shapes of the contract: square, odd and non-square, 1-d, 3-d, vector.
SHAPES = [(8, 8, 1), (7, 10, 3), (16, 2), (4, 6, 5, 2), (5,)]
TOKENS = (6, 3)
# The smallest networks. Their equal widths let them share what jax compiles for each shape.
IMAGES = {"widths": (8, 8), "blocks": 1, "embedding_dim": 16}
PATCHES = {"width": 8, "blocks": 2, "heads": 2, "embedding_dim": 16}
VECTORS = {"width": 8, "blocks": 1, "embedding_dim": 16}
SMALLEST = {
    "unet": (backbones.UNet, IMAGES | {"widths": (4, 8)}, (6, 5, 2)),
    "ncsnpp": (backbones.NCSNpp, IMAGES | {"widths": (4, 8)}, (6, 5, 2)),
    "dit": (backbones.DiT, PATCHES, (6, 5, 2)),
    "mlp": (backbones.MLP, VECTORS, (7,)),
}
# What is joined how does not depend on the backend: one network is enough on the others.
WIRED = once(SMALLEST, but=["mlp"])


def inputs(data_shape, batch=2, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(batch, *data_shape)).astype("float32")
    tokens = rng.uniform(-1, 1, size=(batch, *TOKENS)).astype("float32")
    tokens[..., 0] *= 7
    return y, tokens


def build(network, data_shape):
    shapes = [(None, *data_shape), (None, *TOKENS)]
    if network.gamma_map:
        shapes.append(shapes[0])
    network.build(shapes if network.classes is None else [*shapes, (None,)])
    return network


def perturb(network, seed=0):
    """Gives every weight a value, so that no zero-initialised layer hides a mistake."""
    rng = np.random.default_rng(seed)
    for weight in network.trainable_variables:
        weight.assign(as_numpy(weight) + 0.1 * rng.normal(size=weight.shape).astype("float32"))
    return network


def as_numpy(x):
    return np.asarray(ops.convert_to_numpy(x))


def maybe_compiled(function):
    """Compiled on jax alone, which compiles every single operation where it is not."""
    return backend.compile(function) if keras.backend.backend() == "jax" else function


def smallest(name, **kwargs):
    """One of the smallest networks, built and perturbed, and the shape of its data."""
    make, arguments, shape = SMALLEST[name]
    return perturb(build(make(**arguments | kwargs), shape)), shape


@cache
def _forward(network, training):
    def forward(trainable, fixed, inputs):
        return network.stateless_call(trainable, fixed, inputs, training=training)[0]

    return maybe_compiled(forward)


def run(network, *arrays, training=False):
    """The output as an array; the states of random generators stay as they are."""
    values = [[v.value for v in network.trainable_variables]]
    values += [[v.value for v in network.non_trainable_variables]]
    inputs = [ops.convert_to_tensor(x) for x in arrays]
    return as_numpy(_forward(network, training)(*values, inputs))


@keras.saving.register_keras_serializable(package="keras_gud_tests")
class Outer(keras.Model):
    """A model with a network as attribute, as the library's model has."""

    def __init__(self, network, **kwargs):
        super().__init__(**kwargs)
        self.network = network

    def build(self, input_shape):
        self.network.build([tuple(input_shape), (None, *TOKENS)])

    def call(self, y, training=None):
        tokens = ops.ones((ops.shape(y)[0], *TOKENS))
        return self.network([y, tokens], training=training)

    def get_config(self):
        network = keras.saving.serialize_keras_object(self.network)
        return {**super().get_config(), "network": network}

    @classmethod
    def from_config(cls, config):
        config["network"] = keras.saving.deserialize_keras_object(config["network"])
        return cls(**config)
