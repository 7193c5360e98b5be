"""Random levels of groups: their law, and the paths that a network then serves."""

import warnings

import keras
import numpy as np
import pytest
from helpers.one_weight import OneWeightPerValue
from keras import ops

import keras_gud
from keras_gud import regions, schedules
from keras_gud.regions.levels import LEVELS

N, GROUPS = 4000, 5
X = np.random.default_rng(0).normal(size=(64, 3, GROUPS, 1)).astype("float32")


def drawn(name, t):
    """Levels ``(N, GROUPS)`` and spreads at a time."""
    rng = np.random.default_rng(1)
    s, r, v = (rng.uniform(size=(N, size)) for size in (1, 1, GROUPS))
    parts = (ops.convert_to_tensor(part, "float32") for part in (np.full((N, 1), t), s, r, v))
    return ops.convert_to_numpy(LEVELS[name](*parts)), s


@pytest.mark.once
@pytest.mark.parametrize("t", [0.0, 0.03, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("name", LEVELS)
def test_levels_are_between_the_ends(name, t):
    levels, _ = drawn(name, t)
    assert np.isfinite(levels).all()
    assert levels.min() >= 0.0
    assert levels.max() <= 1.0


@pytest.mark.once
@pytest.mark.parametrize("t", [0.05, 0.3, 0.5, 0.8])
def test_levels_around_a_mean(t):
    levels, s = drawn("mean", t)
    error = levels.mean(axis=1).std() / np.sqrt(N)
    assert levels.mean() == pytest.approx(t, abs=4 * error)
    narrow, wide = levels[s[:, 0] < 0.1], levels[s[:, 0] > 0.9]
    assert np.abs(narrow - t).max() < 0.1
    assert wide.std() > 5 * narrow.std()


@pytest.mark.once
def test_levels_above_a_floor():
    levels, s = drawn("floor", 0.3)
    assert levels.min() >= 0.3
    assert levels.min() < 0.32
    assert levels[s[:, 0] > 0.9].max() > 0.95
    assert np.ptp(drawn("independent", 0.3)[0]) > 0.99


@pytest.mark.once
def test_levels_in_stages():
    """A third of the groups each is done, moves and waits; there are no other levels."""
    levels, _ = drawn("stages", 0.25)
    values, counts = np.unique(levels, return_counts=True)
    assert values.tolist() == [0.0, 0.25, 1.0]
    np.testing.assert_allclose(counts / levels.size, 1 / 3, atol=0.02)
    assert {len(np.unique(row)) for row in levels} == {1, 2, 3}


@pytest.fixture(scope="module", params=["mean", "floor"])
def model(request):
    paths = regions.Paths(schedules.Sequential(over="column"), levels=request.param, weight=3.0)
    made = keras_gud.GUD(schedule="cosine", region=paths, backbone=OneWeightPerValue(), seed=0)
    made.fit(X, epochs=1, batch_size=32, verbose=0)
    return made


def test_states_of_training_differ_from_group_to_group(model):
    view = model.views[1]
    rng = np.random.default_rng(0)
    t = np.linspace(0.05, 0.95, 16).astype("float32")

    def uniform(shape):
        return ops.convert_to_tensor(rng.uniform(size=(16, *shape)).astype("float32"))

    state = view.state(t, uniform((1,)), uniform)
    gamma = np.broadcast_to(ops.convert_to_numpy(state.gamma), (16, 3, GROUPS, 1))
    assert np.ptp(gamma, axis=1).max() == 0.0  # the same in a column
    assert np.median(np.ptp(gamma, axis=2)) > 1.0
    assert (ops.convert_to_numpy(state.dgamma_dt) == 12.0).all()
    along = ops.convert_to_numpy(view.state(t, uniform((1,))).gamma)
    expected = ops.convert_to_numpy(view.schedule(t).gamma)
    np.testing.assert_array_equal(along, expected)


def test_paths_between_the_ends_are_trained(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        near = schedules.Sequential(b=0.2, over="column")
        model.sample(2, schedule=near, steps=3, seed=0)
        reverse = schedules.Sequential(b=0.7, over="column", reverse=True)
        model.sample(2, schedule=reverse, steps=3, seed=0)
    beyond = schedules.Sequential(b=0.7, over="column", gamma_min=-9.5)
    assert model.path(beyond).distance == pytest.approx(2.5, abs=0.01)
    assert model.path("rows").distance > 1.0  # rows were never noised one after the other
    assert "levels drawn by" in str(model.paths[1])
    assert "levels" not in str(model.paths[0])


@pytest.mark.once
def test_configs_keep_the_levels():
    paths = regions.Paths(schedules.Sequential(), levels="floor")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(paths))
    assert again.levels == "floor"
    with pytest.raises(ValueError, match=r"levels='means'.*Did you mean 'mean'"):
        regions.Paths(schedules.Sequential(), levels="means")
