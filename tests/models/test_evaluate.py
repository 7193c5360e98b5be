"""Evaluation is deterministic, uses the averaged weights and leaves training alone."""

import math

import keras
import numpy as np
import pytest
from helpers.tiny_model import COVARIANCE, as_numpy, images, make, vectors

from keras_gud import schedules


@pytest.fixture(scope="module")
def trained():
    model = make(units=32, schedule="vp")
    model.compile(keras.optimizers.Adam(5e-3))
    model.fit(vectors(512), batch_size=64, epochs=12, verbose=0)
    return model


def test_same_value_every_time_and_for_every_batch_size(trained):
    held = vectors(50, seed=1)
    first = trained.evaluate(held, verbose=0, return_dict=True)
    assert set(first) == {"loss", "linear_loss"}
    for size in (50, 16, 7):
        again = trained.evaluate(held, batch_size=size, verbose=0, return_dict=True)
        assert again == pytest.approx(first, rel=1e-5)
    assert first["loss"] < first["linear_loss"]


def test_averaged_weights_are_used(trained):
    held, average = vectors(50, seed=1), trained.ema.average[0]
    before, kept = trained.evaluate(held, verbose=0)[0], as_numpy([average])[0]
    average.assign(kept + 1.0)
    changed = trained.evaluate(held, verbose=0)[0]
    average.assign(kept)
    assert abs(changed - before) > 1e-3
    assert trained.evaluate(held, verbose=0)[0] == before


@pytest.mark.once
def test_the_training_stream_is_not_touched(trained):
    state = as_numpy([trained.objective.random.state])[0]
    trained.evaluate(vectors(20), verbose=0)
    trained.predict(vectors(20), verbose=0)
    trained.sample(2, steps=2)
    np.testing.assert_array_equal(as_numpy([trained.objective.random.state])[0], state)


def test_predict_is_the_bound_per_example(trained):
    held = vectors(40, seed=2)
    bits = trained.predict(held, verbose=0)
    assert bits.shape == (40,)
    np.testing.assert_allclose(trained.predict(held, batch_size=9, verbose=0), bits, atol=1e-4)
    terms = trained.elbo(held)
    assert set(terms) == {
        *("prior", "diffusion", "reconstruction", "log_scale", "data_scaling", "bits_per_dim"),
    }
    np.testing.assert_allclose(terms["bits_per_dim"], bits, atol=1e-5)
    total = sum(v for k, v in terms.items() if k != "bits_per_dim")
    np.testing.assert_allclose(total / (4 * math.log(2)), bits, atol=1e-5)


@pytest.mark.once
def test_the_bound_is_above_the_entropy_but_not_far(trained):
    """-E log p of the true Gaussian is its entropy; no model can be below it in expectation."""
    bits = trained.predict(vectors(2000, seed=3), verbose=0)
    entropy = 0.5 * np.linalg.slogdet(2 * math.pi * math.e * COVARIANCE)[1] / (4 * math.log(2))
    error = bits.std() / math.sqrt(len(bits))
    assert entropy - 3 * error < bits.mean() < entropy + 0.6


@pytest.mark.once
def test_more_draws_give_the_same_mean(trained):
    held = vectors(400, seed=4)
    few, many = (trained.elbo(held, draws=d)["bits_per_dim"] for d in (8, 64))
    error = (few - many).std() / math.sqrt(len(held))
    assert abs(few.mean() - many.mean()) < 4 * error


@pytest.mark.once
def test_eight_bit_data_count_their_scaling():
    model, x = make(prior="matching", data_scale="range"), images(32)
    model.adapt(x, verbose=0)
    terms = model.elbo(x, draws=4)
    np.testing.assert_allclose(terms["data_scaling"], 16 * math.log(128), rtol=1e-6)
    scale = as_numpy([model.prior.scale])[0]
    np.testing.assert_allclose(terms["log_scale"], np.log(scale).sum(), rtol=1e-5)


@pytest.mark.once
@pytest.mark.parametrize("name", ["likelihood", "eps"])
def test_a_weighting_of_ones_own_follows_curves_that_move(name):
    """Whether it contains dgamma/dt or not: the loss is that of the time that they began with."""
    own = {"likelihood": lambda state, _: 0.5 * state.dgamma_dt, "eps": lambda *_: 1.0}[name]
    losses = []
    for weighting, moved in ((name, False), (name, True), (own, True)):
        model = make(schedule=schedules.Learned(pieces=4), weighting=weighting)
        model.adapt(vectors(512))
        if moved:
            powers = np.array([[9.0], [1.0], [1.0], [4.0]])
            model.schedule.powers.assign(powers)
        losses.append(model.evaluate(np.tile(vectors(500), (40, 1)), verbose=0)[0])
    first, same, own_loss = losses
    assert own_loss == pytest.approx(same, rel=1e-5)
    assert same == pytest.approx(first, rel=0.02)
