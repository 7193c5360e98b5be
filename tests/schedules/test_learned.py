"""Curves that are learned: exact ends, information at a constant rate, the least variance."""

import numpy as np
import pytest
from keras import ops

import keras_gud
from keras_gud import schedules

ROWS = np.repeat(np.arange(2), 3).reshape(2, 3)
UNEVEN = np.array([[9.0] * 3, [0.04] * 3])


def curve(schedule, t):
    """Gamma and dgamma/dt of the groups' first components, ``(n_times, n_groups)``."""
    state = schedule(np.asarray(t, "float32"))
    groups = ops.convert_to_numpy(schedule.groups).ravel()
    _, first = np.unique(groups, return_index=True)
    parts = (ops.convert_to_numpy(part) for part in (state.gamma, state.dgamma_dt))
    return [part.reshape(len(part), -1)[:, first] for part in parts]


def make(pieces=16, variance=None, **kwargs):
    schedule = schedules.Learned(pieces=pieces, **kwargs)
    variance = np.ones(3) if variance is None else variance
    schedule.adapt(variance, coordinates={"row": ROWS} if np.ndim(variance) == 2 else None)
    return schedule


def error_at(gamma):
    """What a squared error might look like: large where data are nearly noise-free."""
    return 1.0 / (1.0 + np.exp(0.7 * (gamma + 4.0)))


def teach(schedule, rng, steps=60, spread=0.0, factors=1.0):
    for _ in range(steps):
        t = ((np.arange(640) + rng.uniform(size=640)) / 640).astype("float32")
        gamma, _ = curve(schedule, t)
        error = factors * error_at(gamma) * np.exp(spread * rng.normal(size=gamma.shape))
        schedule.learn(t, error.astype("float32"))
    return schedule


@pytest.mark.once
@pytest.mark.parametrize("variance", [[[1.0] * 3] * 2, UNEVEN])
def test_it_begins_with_equal_information_of_gaussians(variance):
    schedule = make(64, variance, over="row", gamma_min=-7.0, gamma_max=7.0)
    t = np.linspace(0.0, 1.0, 41)
    gamma, _ = curve(schedule, t)
    assert gamma[0].tolist() == [-7.0] * 2
    assert gamma[-1].tolist() == [7.0] * 2
    information = np.log1p(np.asarray(variance)[:, 0] * np.exp(-gamma))
    passed = (information[0] - information) / (information[0] - information[-1])
    # A tenth of an equal share of the time goes to every interval, whatever passes there.
    np.testing.assert_allclose(passed, t[:, None] + 0.0 * passed, atol=0.11)


@pytest.mark.once
def test_slopes_are_those_of_the_curves_and_kinks_are_where_they_jump(rng):
    schedule = teach(make(4), rng, steps=5)
    kinks = ops.convert_to_numpy(schedule.kinks()).ravel()
    edges = np.concatenate([[0.0], kinks, [1.0]])
    assert (np.diff(edges) > 0).all()
    gamma = curve(schedule, edges)[0][:, 0]
    np.testing.assert_allclose(np.diff(gamma), np.diff(gamma).mean(), rtol=1e-3)
    slope = curve(schedule, (edges[1:] + edges[:-1]) / 2)[1][:, 0]
    np.testing.assert_allclose(slope, np.diff(gamma) / np.diff(edges), rtol=1e-3)


@pytest.mark.once
def test_each_group_loses_information_at_a_constant_rate(rng):
    """What passes in equal times is equal, whatever the size of a group's errors."""
    schedule = make(32, UNEVEN, over="row", gamma_min=-8.0, gamma_max=4.0)
    teach(schedule, rng, factors=np.array([1.0, 0.01]))
    gamma, _ = curve(schedule, np.linspace(0.0, 1.0, 9))
    fine = np.linspace(-8.0, 4.0, 4001)
    information = np.cumsum(error_at(fine)) * (fine[1] - fine[0])
    passed = np.interp(gamma, fine, information) / information[-1]
    np.testing.assert_allclose(passed, np.linspace(0.0, 1.0, 9)[:, None] * [1, 1], atol=0.08)


@pytest.mark.once
@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_the_variance_of_the_loss_falls_to_nearly_the_least_possible(rng, spread):
    """The least E[(gamma' e)^2] over all curves is (integral of sqrt(E e^2) dgamma)^2."""
    schedule = make(32, gamma_min=-8.0, gamma_max=4.0, criterion="variance")

    def second_moment():
        gamma, slope = curve(schedule, (np.arange(4000) + 0.5) / 4000)
        return np.mean((slope * error_at(gamma)) ** 2) * np.exp(2 * spread**2)

    teach(schedule, rng, spread=spread)
    gamma = np.linspace(-8, 4, 4001)
    least = np.trapezoid(error_at(gamma), gamma) ** 2 * np.exp(2 * spread**2)
    line = 12.0 * np.trapezoid(error_at(gamma) ** 2, gamma) * np.exp(2 * spread**2)
    assert line > 1.5 * least
    assert second_moment() < 1.15 * least


@pytest.mark.once
def test_the_objective_stays_the_same_while_curves_move(rng):
    """``E_t[importance f(gamma)]`` is at all times what it was at first."""
    schedule = make(16, UNEVEN, over="row", gamma_min=-6.0, gamma_max=4.0)
    t = ((np.arange(20_000) + 0.5) / 20_000).astype("float32")

    def objective():
        gamma, _ = curve(schedule, t)
        weight = ops.convert_to_numpy(schedule.importance(t))[:, :, 0]
        return weight.mean(axis=0), (weight * np.tanh(gamma)).mean(axis=0)

    before, _ = curve(schedule, [0.5])
    at_first = objective()
    np.testing.assert_allclose(at_first[0], 1.0, atol=1e-3)
    teach(schedule, rng, factors=np.array([1.0, 0.1]))
    after, _ = curve(schedule, [0.5])
    assert np.abs(after - before).max() > 0.5
    np.testing.assert_allclose(objective(), at_first, atol=5e-3)


@pytest.mark.once
def test_examples_and_groups_that_do_not_count(rng):
    one, other = (make(variance=UNEVEN, over="row") for _ in range(2))
    t = rng.uniform(size=32).astype("float32")
    error = rng.uniform(size=(32, 2)).astype("float32")
    one.learn(t[:16], error[:16])
    other.learn(t, error, weight=(np.arange(32) < 16)[:, None])
    np.testing.assert_allclose(*(ops.convert_to_numpy(s.powers) for s in (one, other)), rtol=1e-6)
    before = ops.convert_to_numpy(one.powers).copy()
    one.learn(t, error, weight=np.tile([[1.0, 0.0]], (32, 1)))
    change = np.abs(ops.convert_to_numpy(one.powers) - before).max(axis=0)
    assert change[0] > 0.0
    assert change[1] == 0.0


def test_errors_of_groups_are_means_over_their_active_components(rng):
    schedule = make(variance=UNEVEN, over="row")
    squared = rng.uniform(size=(4, 2, 3)).astype("float32")
    active = np.ones_like(squared)
    active[0, 0], active[1, 1, 2] = 0.0, 0.0
    mean, counts = map(ops.convert_to_numpy, schedule.group_errors(squared, active))
    assert counts.tolist() == [[0.0, 1.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]
    np.testing.assert_allclose(mean[2:], squared[2:].mean(axis=2), rtol=1e-5)
    np.testing.assert_allclose(mean[1, 1], squared[1, 1, :2].mean(), rtol=1e-5)


@pytest.mark.parametrize("weighting", ["likelihood", "v"])
def test_training_teaches_it(rng, weighting):
    x = rng.normal(size=(256, 4)).cumsum(axis=1).astype("float32")
    schedule = schedules.Learned(over="position", criterion="variance")
    model = keras_gud.GUD(
        basis="pixel", schedule=schedule, weighting=weighting, backbone="tiny", seed=0
    )
    model.adapt(x, verbose=0)
    first = ops.convert_to_numpy(model.schedule.powers).copy()
    model.fit(x, epochs=2, batch_size=32, verbose=0)
    powers = ops.convert_to_numpy(model.schedule.powers).copy()
    assert np.abs(powers - first).max() > 0.05
    assert np.ptp(powers, axis=1).max() > 0.0  # groups differ
    model.evaluate(x, verbose=0)  # only training teaches
    np.testing.assert_array_equal(powers, ops.convert_to_numpy(model.schedule.powers))


@pytest.mark.once
def test_the_preset_is_kingmas():
    model = keras_gud.GUD(preset="variational")
    assert model.schedule.criterion == "variance"
    assert model.schedule.coordinate_names == ()


@pytest.mark.once
def test_bad_arguments():
    with pytest.raises(ValueError, match="`gamma_min` < `gamma_max`"):
        schedules.Learned(gamma_min=3.0, gamma_max=2.0)
    with pytest.raises(ValueError, match="Expected `pieces` to be an integer >= 1"):
        schedules.Learned(pieces=0)
    with pytest.raises(ValueError, match="Expected `pieces` times .* up to 10000"):
        schedules.Learned(pieces=10**9)
    with pytest.raises(ValueError, match=r"pieces=5001, groups=2"):
        make(5001, UNEVEN, over="row")
    with pytest.raises(ValueError, match=r"criterion='informations'.*information"):
        schedules.Learned(criterion="informations")
    with pytest.raises(ValueError, match="row"):
        make(variance=UNEVEN, over="rows")


@pytest.mark.once
def test_a_warp_of_curves_that_are_yet_to_be_learned_is_refused():
    warped = schedules.TimeWarp(schedules.Learned())
    with pytest.raises(ValueError, match="that does not learn, or has learned. Received: Learned"):
        warped.adapt(np.ones(3))
    warped.schedule.adapt(np.ones(3))
    warped.adapt(np.ones(3))
