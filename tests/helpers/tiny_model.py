"""A tiny network and small data for the tests of the model."""

import keras
import numpy as np
from keras import ops

import keras_gud

COVARIANCE = np.array(
    [[1.0, 0.8, 0.3, 0.0], [0.8, 1.0, 0.5, 0.2], [0.3, 0.5, 1.0, -0.6], [0.0, 0.2, -0.6, 1.0]]
)
MEAN = np.array([1.0, 0.0, -2.0, 0.5])


@keras.saving.register_keras_serializable(package="keras_gud_tests")
class TinyNet(keras.layers.Layer):
    """y, tokens and labels, flattened, through two dense layers; the last starts at zero."""

    def __init__(self, units=16, dropout=0.0, classes=None, **kwargs):
        super().__init__(**kwargs)
        self.units, self.rate, self.classes = units, dropout, classes
        self.hidden = keras.layers.Dense(units, activation="silu", name="hidden")
        self.dropout = keras.layers.Dropout(dropout, seed=17) if dropout else None

    def build(self, input_shape):
        (_, *shape), (_, *tokens), *_ = input_shape
        size, given = int(np.prod(shape)), int(np.prod(tokens))
        self.flat = size
        if self.classes is not None:
            given += self.classes + 1  # the last stands for no label
        self.hidden.build((None, size + given))
        self.out = keras.layers.Dense(size, name="out", kernel_initializer="zeros")
        self.out.build((None, self.units))
        self.built = True

    def call(self, inputs, training=None):
        y, tokens, *labels = inputs
        batch = ops.shape(y)[0]
        given = [ops.reshape(y, (batch, -1)), ops.reshape(tokens, (batch, -1)) * 0.1]
        given += [ops.one_hot(label, self.classes + 1) for label in labels]
        h = self.hidden(ops.concatenate(given, axis=-1))
        if self.dropout is not None:
            h = self.dropout(h, training=training)
        return ops.reshape(self.out(h), ops.shape(y))

    def get_config(self):
        config = {"units": self.units, "dropout": self.rate, "classes": self.classes}
        return super().get_config() | config


def vectors(n=64, seed=0):
    """Correlated Gaussian vectors of four entries."""
    rng = np.random.default_rng(seed)
    return rng.multivariate_normal(MEAN, COVARIANCE, size=n).astype("float32")


def images(n=32, seed=0):
    """8-bit images, 4x4x1, a bright left half on a dark ground."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 100, size=(n, 4, 4, 1))
    x[:, :, :2] += rng.integers(50, 150, size=(n, 1, 1, 1))
    return x.astype("uint8")


def make(dropout=0.0, units=16, seed=3, **kwargs):
    """A small model; two calls make models with the same initial weights."""
    keras.utils.set_random_seed(5)
    kwargs = {"basis": "pixel", "schedule": "cosine"} | kwargs
    return keras_gud.GUD(backbone=TinyNet(units, dropout), seed=seed, **kwargs)


def as_numpy(variables):
    return [np.array(ops.convert_to_numpy(v.value)) for v in variables]


def everything(model):
    """All that training changes: weights, average, random states, optimizer; by name."""
    optimizer = model.optimizer.variables if model.compiled else []
    metrics = {id(v) for v in model.metrics_variables}
    names = [f"{i} {v.path}" for i, v in enumerate([*model.variables, *optimizer])]
    variables = [*model.variables, *optimizer]
    return {
        name: value
        for name, v, value in zip(names, variables, as_numpy(variables), strict=True)
        if id(v) not in metrics and "eval_index" not in name
    }


def assert_same(a, b, **tolerance):
    """Equal bit by bit, unless a tolerance is given. Names may differ in counters."""
    assert len(a) == len(b)
    for (name, x), (_, y) in zip(a.items(), b.items(), strict=True):
        if tolerance:
            np.testing.assert_allclose(x, y, err_msg=name, **tolerance)
        else:
            np.testing.assert_array_equal(x, y, err_msg=name)


def raw_and_average(model):
    return as_numpy(model.network.weights), as_numpy(model.ema.average)
