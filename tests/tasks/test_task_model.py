"""Tasks with a network: a model's own basis, its labels, its statistics."""

import numpy as np
import pytest
from keras import layers, ops

import keras_gud
from keras_gud import bases, priors, schedules, tasks


class Told(layers.Layer):
    """A dense layer of y, the tokens and the label."""

    classes = 3

    def build(self, input_shape):
        self.out = layers.Dense(16)
        self.out.build((None, 16 + int(np.prod(input_shape[1][1:])) + 1))

    def call(self, inputs):
        y, tokens, label = inputs
        flat = [ops.reshape(part, (ops.shape(y)[0], -1)) for part in (y, tokens)]
        label = ops.cast(ops.expand_dims(label, -1), "float32")
        return ops.reshape(self.out(ops.concatenate([*flat, label], axis=-1)), ops.shape(y))


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, size=(64, 4, 4, 1)).astype("uint8")
    basis, prior = bases.get("pixel"), priors.get("isotropic")
    schedule = schedules.Sequential(b=(0.2, 0.6), over="column")
    kwargs = {"classes": 3, "data_scale": "range", "seed": 0}
    model = keras_gud.GUDModel(basis, prior, schedule, Told(), **kwargs)
    model.adapt(x)
    return model, x


def test_inpaint(model):
    model, x = model
    mask = np.zeros((4, 4), bool)
    mask[:, 2:] = True
    how = {"draws": 2, "steps": 3, "seed": 0, "b": 0.4}
    draws = tasks.inpaint(model, x[:3], mask, labels=[0, 1, 2], guidance=2.0, **how)
    assert draws.shape == (3, 2, 4, 4, 1)
    assert draws.dtype == np.uint8
    np.testing.assert_array_equal(draws[:, :, :, :2], np.stack([x[:3, :, :2]] * 2, axis=1))
    other = tasks.inpaint(model, x[:3], mask, labels=[0, 2, 2], guidance=2.0, **how)
    assert [np.array_equal(a, b) for a, b in zip(draws, other, strict=True)] == [True, False, True]


def test_complete(model):
    """The first column is as good as finished at this time: its noise is that of gamma(0)."""
    model, x = model
    partly = tasks.noised(model, x[:2], 0.4, b=0.6)
    assert partly.dtype == np.float32
    first = (x[:2, :, 0] + 0.5) / 128.0 - 1.0
    assert np.abs(partly[:, :, 0] - first).max() < 6 * np.exp(-3.5)
    one = tasks.noised(model, x[0], 0.4, b=0.6)
    np.testing.assert_allclose(one, partly[0], atol=1e-5)
    draws = tasks.complete(model, partly, 0.4, draws=3, steps=2, labels=1, b=0.6)
    assert draws.shape == (2, 3, 4, 4, 1)
    with pytest.raises(ValueError, match="finite `partly_noised`|values in `partly_noised`"):
        tasks.complete(model, np.full((4, 4, 1), np.nan), 0.4)


def test_an_unbuilt_model():
    parts = bases.get("pixel"), priors.get("isotropic"), schedules.Sequential(), Told()
    with pytest.raises(ValueError, match="know its data before it restores"):
        tasks.inpaint(keras_gud.GUDModel(*parts), np.zeros((4, 4, 1)), np.zeros((4, 4), bool))
