"""Groups generated a few at a time: the right law in any order, and each group once."""

import warnings

import numpy as np
import pytest
from helpers.one_weight import OneWeightPerValue
from keras import ops

import keras_gud
from keras_gud import bases, oracle, regions, samplers, schedules, tasks
from keras_gud.tasks.in_order import _next, _ranks
from keras_gud.tasks.staged import Staged

COVARIANCE = np.array([[1.0, 0.8, 0.3], [0.8, 1.0, 0.5], [0.3, 0.5, 1.0]])
PATH = schedules.Sequential(b=0.0, over="patch")


@pytest.fixture(scope="module")
def model():
    x = np.random.default_rng(0).normal(size=(64, 4, 4, 1)).astype("float32")
    region = regions.Paths(PATH, levels="stages")
    basis, network = bases.Pixel(patch=2), OneWeightPerValue()
    made = keras_gud.GUD(basis=basis, region=region, backbone=network, seed=0)
    made.fit(x, epochs=1, batch_size=32, verbose=0)
    return made


@pytest.mark.once
def test_every_order_of_an_oracle_draws_from_the_data():
    """Different orders side by side: the covariance does not depend on them."""
    truth = oracle.Gaussian(np.zeros(3), COVARIANCE)
    schedule = schedules.Sequential(b=0.0, over=0, gamma_min=-9.0, gamma_max=9.0)
    schedule.adapt(variance=np.ones(3))
    path, n = Staged(schedule), 6000
    ranks = _ranks("random", 3, n, seed=0)
    assert len(np.unique(np.argsort(ranks, axis=1), axis=0)) == 6
    sampler, done = samplers.get("dpm++sde"), np.zeros((n, 3), "float32")
    z = np.random.default_rng(0).normal(size=(n, 3))
    for _ in range(3):
        moves = _next(ranks, done, at_once=1)
        z = sampler.integrate(truth, path, z, moves=moves, done=done, steps=24)
        done = done + moves
    assert done.min() == done.max() == 1.0
    # sqrt((1 + rho^2)/n) is the standard error of a covariance
    np.testing.assert_allclose(np.cov(z.T), COVARIANCE, atol=4 * np.sqrt(2.0 / n))


@pytest.mark.once
def test_what_waits_and_what_is_done_stays():
    schedule = schedules.Sequential(b=0.0, over=0)
    schedule.adapt(variance=np.ones(3))
    moves, done = np.float32([[0, 1, 0]]), np.float32([[1, 0, 0]])
    state = Staged(schedule)(0.25, moves=moves, done=done)
    np.testing.assert_allclose(ops.convert_to_numpy(state.gamma), [[-7.0, -4.0, 5.0]], atol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(state.dgamma_dt), [[0.0, 12.0, 0.0]], atol=1e-5)


@pytest.mark.parametrize("order", ["surest", "random", "fixed", [3, 1, 0, 2]], ids=str)
def test_a_sample_depends_on_its_seed_and_index_alone(model, order):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        x = tasks.sample_in_order(model, 3, order, at_once=3, steps=2, seed=1)
    assert x.shape == (3, 4, 4, 1)
    again = tasks.sample_in_order(model, 2, order, at_once=3, steps=2, seed=1, batch_size=1)
    np.testing.assert_allclose(again, x[:2], atol=1e-5)
    assert np.abs(x[0] - x[1]).max() > 0.1


@pytest.mark.once
def test_fixed_is_the_order_of_the_numbers(model):
    fixed, given = (
        tasks.sample_in_order(model, 2, order, steps=2, seed=1) for order in ("fixed", range(4))
    )
    np.testing.assert_array_equal(fixed, given)
    other = tasks.sample_in_order(model, 2, [3, 2, 1, 0], steps=2, seed=1)
    assert other.shape == fixed.shape


@pytest.mark.once
def test_the_surest_groups_come_next(model):
    view = model.views[1]
    _, sureness = model.session.cached(("path", "in order", id(view.schedule)), None)
    z = np.zeros((2, 4, 4, 1), "float32")
    z[0, :2, 2:], z[1, 2:, :2] = 9.0, 9.0  # patch 1 of the first sample, patch 2 of the other
    done = np.zeros((2, 4), "float32")
    found = sureness(z, done, view.schedule.resolve({}), {}, batch_size=1)
    assert found.argmax(axis=1).tolist() == [1, 2]
    np.testing.assert_array_equal(_next(-found, done, 1).argmax(axis=1), [1, 2])
    done[0, 1] = 1.0
    assert _next(-found, done, 4)[0].tolist() == [1.0, 0.0, 1.0, 1.0]


@pytest.mark.once
def test_states_that_were_not_trained_are_warned_of(model):
    x = np.random.default_rng(0).normal(size=(64, 4, 4, 1)).astype("float32")
    untrained = keras_gud.GUD(
        basis=bases.Pixel(patch=2), schedule=PATH, backbone=OneWeightPerValue(), seed=0
    )
    untrained.fit(x, epochs=1, verbose=0)
    with pytest.warns(UserWarning, match="leaves the noising states"):
        tasks.sample_in_order(untrained, 1, steps=1, seed=0)
    with pytest.raises(ValueError, match=r'one group of Cosine.*levels="stages"'):
        tasks.sample_in_order(untrained, 1, schedule="cosine")


@pytest.mark.once
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"order": "sure"}, "Did you mean 'surest'"),
        ({"order": [0, 1, 2]}, "name each of 4 groups once"),
        ({"order": [0, 1, 2, 2]}, "name each of 4 groups once"),
        ({"at_once": 0}, "at_once"),
        ({"n": 0}, "`n`"),
        ({"step": 2}, "steps"),
        ({"labels": 1}, "classes"),
    ],
    ids=str,
)
def test_bad_input(model, arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        tasks.sample_in_order(model, **{"n": 2, "seed": 0} | arguments)
