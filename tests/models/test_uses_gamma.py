"""The network really uses what it is told about the noising state."""

import keras
import numpy as np
import pytest
from helpers.tiny_model import vectors
from keras import ops

import keras_gud
from keras_gud import schedules
from keras_gud.core import counter_rng
from keras_gud.diffusion.loss import weighted_error

pytestmark = pytest.mark.once

LENGTH = 6


def walks(n: int, rng):
    """Random walks: neighbours are correlated, so one entry tells something about the others."""
    return np.cumsum(rng.normal(size=(n, LENGTH)), axis=1).astype("float32")


@pytest.fixture(scope="module")
def trained():
    rng = np.random.default_rng(0)
    schedule = schedules.Sequential(over="position", b=(0.2, 0.8))
    kwargs = {"data_scale": "range", "seed": 0, "ema_decay": 0.99}
    model = keras_gud.GUD(schedule=schedule, backbone="tiny", **kwargs)
    model.compile(keras.optimizers.Adam(4e-3))
    model.fit(walks(4096, rng), batch_size=128, epochs=6, verbose=0)
    return model, walks(512, rng)


def error(model, x, told):
    """Squared error of moving components at random points of the family, told each or another."""
    n = len(x)
    rng = np.random.default_rng(1)
    t, b = (rng.uniform(low, high, n).astype("float32") for low, high in ((0, 1), (0.2, 0.8)))
    state = model.schedule(t, b=b)
    other = model.schedule(t[told], b=b[told])
    z0 = model.prior(model.basis(model.data_space.to_model(x)))
    eps = counter_rng.normal(counter_rng.sample_keys(2, n, 0), 0, model.data_shape)
    z = state.add_noise(z0, eps)
    guess = model.denoiser(z, _Told(state, other))
    return float(ops.mean(weighted_error(eps, guess, state, 1.0)))


class _Told:
    """The true state for the arithmetic around the network, another gamma for the network."""

    def __init__(self, state, other):
        self.alpha, self.sigma = state.alpha, state.sigma
        self.gamma = other.gamma


def test_shuffled_gamma_costs(trained):
    model, x = trained
    identity = np.arange(len(x))
    honest = error(model, x, identity)
    shuffled = error(model, x, np.roll(identity, 1))
    assert 1.3 * honest < shuffled, (honest, shuffled)


def bits(model, x, a: float) -> float:
    params = {"a": a} if model.schedule.ranges else {}
    return float(model.elbo(x, draws=32, **params)["bits_per_dim"].mean())


def test_one_network_serves_a_family_as_well_as_one_for_each_member():
    """With the same total number of steps, within 0.03 bits per dimension of each specialist."""
    x, held, members = vectors(2048), vectors(512, seed=1), (0.4, 1.0, 1.6)

    def train(a, epochs):
        schedule = schedules.Linear(a=a)
        model = keras_gud.GUD(schedule=schedule, backbone="tiny", seed=0, ema_decay=0.99)
        model.compile(keras.optimizers.Adam(4e-3))
        model.fit(x, batch_size=128, epochs=epochs, verbose=0)
        return model

    one = train((0.4, 1.6), 12)
    for a in members:
        specialist = train(a, 4)
        assert bits(one, held, a) < bits(specialist, held, a) + 0.03, a
