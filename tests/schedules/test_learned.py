"""The curve that is learned: exact ends, and the least variance of the loss."""

import numpy as np
import pytest
from keras import ops

import keras_gud
from keras_gud import schedules


def curve(schedule, t):
    state = schedule(np.asarray(t, "float32"))
    return (ops.convert_to_numpy(part)[:, 0] for part in (state.gamma, state.dgamma_dt))


def make(pieces=16, **kwargs):
    schedule = schedules.Learned(pieces=pieces, **kwargs)
    schedule.adapt(np.ones(3))
    return schedule


def error_at(gamma):
    """What a squared error might look like: large where data are nearly noise-free."""
    return 1.0 / (1.0 + np.exp(0.7 * (gamma + 4.0)))


def teach(schedule, rng, steps=60, spread=0.0):
    for _ in range(steps):
        t = (np.arange(640) + rng.uniform(size=640)) / 640
        gamma, _ = curve(schedule, t)
        error = error_at(gamma) * np.exp(spread * rng.normal(size=640))
        schedule.learn(t.astype("float32"), error.astype("float32"))
    return schedule


@pytest.mark.once
def test_it_begins_as_a_line_and_its_ends_are_exact(rng):
    schedule = make(gamma_min=-9.0, gamma_max=4.0)
    t = np.linspace(0, 1, 33)
    gamma, slope = curve(schedule, t)
    np.testing.assert_allclose(gamma, -9 + 13 * t, atol=1e-4)
    np.testing.assert_allclose(slope, 13.0, rtol=1e-5)
    teach(schedule, rng, steps=5)
    gamma, _ = curve(schedule, [0.0, 1.0])
    assert gamma.tolist() == [-9.0, 4.0]


@pytest.mark.once
def test_slopes_are_those_of_the_curve_and_kinks_are_where_they_jump(rng):
    schedule = teach(make(pieces=4), rng, steps=5)
    kinks = ops.convert_to_numpy(schedule.kinks()).ravel()
    edges = np.concatenate([[0.0], kinks, [1.0]])
    assert (np.diff(edges) > 0).all()
    gamma, _ = curve(schedule, edges)
    np.testing.assert_allclose(np.diff(gamma), np.diff(gamma).mean(), rtol=1e-3)
    _, slope = curve(schedule, (edges[1:] + edges[:-1]) / 2)
    np.testing.assert_allclose(slope, np.diff(gamma) / np.diff(edges), rtol=1e-3)


@pytest.mark.once
@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_the_variance_of_the_loss_falls_to_nearly_the_least_possible(rng, spread):
    """The least E[(gamma' e)^2] over all curves is (integral of sqrt(E e^2) dgamma)^2."""
    schedule = make(pieces=32, gamma_min=-8.0, gamma_max=4.0)

    def second_moment():
        gamma, slope = curve(schedule, (np.arange(4000) + 0.5) / 4000)
        return np.mean((slope * error_at(gamma)) ** 2) * np.exp(2 * spread**2)

    before = second_moment()
    teach(schedule, rng, spread=spread)
    gamma = np.linspace(-8, 4, 4001)
    least = np.trapezoid(error_at(gamma), gamma) ** 2 * np.exp(2 * spread**2)
    assert before > 1.5 * least
    assert second_moment() < 1.15 * least


@pytest.mark.once
def test_examples_of_other_paths_do_not_count(rng):
    one, other = make(), make()
    t, error = rng.uniform(size=(2, 32)).astype("float32")
    one.learn(t[:16], error[:16])
    other.learn(t, error, weight=np.arange(32) < 16)
    np.testing.assert_allclose(*(ops.convert_to_numpy(s.squares) for s in (one, other)), rtol=1e-6)


def test_training_teaches_it(rng):
    x = rng.normal(size=(256, 4)).cumsum(axis=1).astype("float32")
    model = keras_gud.GUD(preset="variational", backbone="tiny", seed=0)
    model.fit(x, epochs=2, batch_size=32, verbose=0)
    squares = ops.convert_to_numpy(model.schedule.squares)
    assert squares.max() > 0.0
    assert np.ptp(squares) > 0.1  # it began as all ones
    again = ops.convert_to_numpy(model.schedule.squares)
    model.evaluate(x, verbose=0)  # only training teaches
    np.testing.assert_array_equal(squares, again)


@pytest.mark.once
def test_bad_arguments():
    with pytest.raises(ValueError, match="`gamma_min` < `gamma_max`"):
        schedules.Learned(gamma_min=3.0, gamma_max=2.0)
    with pytest.raises(ValueError, match="Expected `pieces` to be an integer >= 1"):
        schedules.Learned(pieces=0)
    with pytest.raises(ValueError, match="Expected `pieces` up to 10000"):
        schedules.Learned(pieces=10**9)
