"""`path_cost` and `optimize_path` of models."""

import numpy as np
import pytest
from helpers.one_weight import OneWeightPerValue
from keras import ops

import keras_gud
from keras_gud import schedules

RNG = np.random.default_rng(0)
SHAPE = (4, 4, 1)
# Rows of very different variance.
X = RNG.normal(size=(256, *SHAPE)) * np.array([4.0, 1.0, 0.25, 0.05]).reshape(4, 1, 1)
X = X.astype("float32")


@pytest.fixture(scope="module")
def model():
    """With the exact denoiser of independent Gaussians."""
    made = keras_gud.GUD(
        schedule=schedules.Sequential(b=0.0, over="row"),
        prediction="wiener",
        backbone=OneWeightPerValue(),
        data_scale="none",
        seed=0,
    )
    made.adapt(X, verbose=0)
    return made


def test_the_cost_of_a_path_of_a_model(model):
    found = model.path_cost(X, times=8, examples=8)
    variance = ops.convert_to_numpy(model.prior.variance).astype("float64").ravel()
    snr = variance * np.exp(7 - 12 * found.times[:, None])
    exact = ((12 * snr / (1 + snr)) ** 2).sum(axis=1)
    np.testing.assert_allclose(found.profile, exact, rtol=1e-3)
    assert found.by_group.shape == (8, 4)
    columns = model.path_cost(iter(np.split(X, 8)), "cosine", over="column", times=4, examples=8)
    assert columns.by_group.shape == (4, 4)


def test_the_best_path_of_a_model(model, tmp_path):
    best = model.optimize_path(X, knots=16, examples=4)
    variance = ops.convert_to_numpy(model.prior.variance).astype("float64")
    ends = [np.log1p(variance * np.exp(-gamma)) for gamma in (-7.0, 5.0)]
    shortest = ((ends[0] - ends[1]) ** 2).sum()
    assert model.path_cost(X, best, examples=4).energy == pytest.approx(shortest, rel=0.03)
    assert shortest < 0.95 * model.path_cost(X, examples=4).length ** 2
    with pytest.warns(UserWarning, match="The path of Curves"):
        samples = model.sample(64, schedule=best, steps=16, seed=0)
    assert samples.shape == (64, *SHAPE)
    other = keras_gud.GUD(schedule=best, backbone=OneWeightPerValue(), data_scale="none", seed=0)
    other.adapt(X, verbose=0)
    other.save(tmp_path / "a.keras")
    loaded = keras_gud.load(tmp_path / "a.keras")
    t = np.linspace(0, 1, 5, dtype="float32")
    expected = ops.convert_to_numpy(best(t).gamma)
    np.testing.assert_allclose(ops.convert_to_numpy(loaded.schedule(t).gamma), expected, atol=1e-4)


@pytest.mark.once
def test_what_cannot_be_optimized(model):
    with pytest.raises(ValueError, match="Did you mean 'row'"):
        model.optimize_path(X, over="rows", knots=4, examples=4)
    with pytest.raises(ValueError, match="`examples` to be an integer >= 2"):
        model.path_cost(X, examples=1)
    with pytest.raises(ValueError, match="know its data"):
        keras_gud.GUD(backbone=OneWeightPerValue()).optimize_path(X)
