"""Draws given observed components: how they begin, when, and what they depend on."""

import keras
import numpy as np
import pytest

from keras_gud import oracle, samplers, schedules
from keras_gud.tasks import posterior
from keras_gud.tasks.capped import Capped
from keras_gud.tasks.posterior import Observation, draw

COVARIANCE = np.array([[1.0, 0.8, 0.5], [0.8, 1.0, 0.7], [0.5, 0.7, 1.0]])
TRUTH = oracle.Gaussian(np.zeros(3), COVARIANCE)
FIRST = Observation(z0=[[2.0, np.nan, np.nan]], gamma=[-np.inf, np.inf, np.inf])
FLOW = samplers.DPMSolver(steps=30, order=3)


def make_schedule(gamma_max=5.0, gamma_min=-9.0, b=0.3):
    schedule = schedules.Sequential(b=b, over=0, gamma_min=gamma_min, gamma_max=gamma_max)
    schedule.adapt(variance=np.ones(3))
    return schedule


@pytest.fixture(scope="module")
def schedule():
    return make_schedule()


@pytest.mark.once
def test_the_start_by_the_estimate_knows_what_was_observed():
    """At gamma(1) = 3 the rest still knows of the data; noise alone loses that for the flow."""
    low = make_schedule(gamma_max=3.0, b=0.0)
    expected, spread = 2.0 * COVARIANCE[1:, 0], np.sqrt(1.0 - COVARIANCE[1:, 0] ** 2)

    def bias(start):
        z0 = draw(TRUTH, low, FIRST, 4000, sampler=FLOW, start=start)[0]
        assert (z0[:, 0] == 2.0).all()
        return np.abs(z0[:, 1:].mean(axis=0) - expected) / spread

    assert (bias("estimate") < 4.5 / np.sqrt(4000) + 0.01).all()
    assert (bias("prior") > 0.25).all()
    assert (bias("matched") > 0.25).all()


def test_a_draw_depends_on_seed_example_and_number_alone(schedule):
    rng = np.random.default_rng(0)
    gamma = rng.choice([-np.inf, -1.0, 2.0, np.inf], size=(5, 3))
    z0 = rng.normal(size=(5, 3))
    observed = Observation(z0, gamma)
    b = rng.uniform(size=5) * 0.5
    family = make_schedule(b=(0.0, 0.5))
    how = {"sampler": samplers.DPMSolver(steps=10, stochastic=True), "seed": 3}
    whole = draw(TRUTH, family, observed, 5, b=b, **how)
    again = draw(TRUTH, family, observed, 5, b=b, batch_size=4, **how)
    np.testing.assert_allclose(again, whole, atol=1e-4)
    fewer = draw(TRUTH, family, Observation(z0[:2], gamma[:2]), 2, b=b[:2], **how)
    np.testing.assert_allclose(fewer, whole[:2, :2], atol=1e-4)
    moving = ~np.isneginf(gamma[0])
    assert np.abs(whole[0, 0] - whole[0, 1])[moving].min() > 1e-3
    other = draw(TRUTH, family, observed, 5, b=b, **(how | {"seed": 4}))
    assert np.abs(other - whole)[0][:, moving].min() > 1e-5


@pytest.mark.once
def test_pairs_have_numbers_of_their_own():
    i, r = np.indices((60, 90))
    assert len(np.unique(posterior.cantor_pair(i, r))) == i.size


@pytest.mark.once
def test_work_begins_when_something_moves(schedule):
    """With b = 0, gamma = -9 + 14 t: nothing above gamma = -2 is needed."""
    path = posterior.ObservedPath(
        make_schedule(b=0.0), Observation([[0.0] * 3], [[-2.0, -4.0, -np.inf]]), {}
    )
    assert path.begin == pytest.approx(0.5, abs=1e-5)
    assert (path.gamma_on_path() <= np.array([-2.0, -4.0, -9.0])).all()
    # With b = 0.3 the first entry moves until t = 1, the second one until 0.85.
    assert posterior.ObservedPath(schedule, FIRST, {}).begin == pytest.approx(0.85, abs=1e-5)
    others = Observation([[0.0] * 3], [[np.inf, -np.inf, -np.inf]])
    assert posterior.ObservedPath(schedule, others, {}).begin == pytest.approx(1.0, abs=1e-5)


@pytest.mark.once
def test_nothing_to_do():
    values = np.array([[1.0, -2.0, 0.5]])
    schedule = make_schedule()
    exact = draw(TRUTH, schedule, Observation(values, -np.inf), 2)
    np.testing.assert_array_equal(exact, np.float32([[values[0]] * 2]))
    # Less noise than gamma(0): there is nothing to integrate, but an estimate to be made.
    path = posterior.ObservedPath(schedule, Observation(values, -11.0), {})
    assert path.begin == 0.0
    assert not path.noisy
    nearly = draw(TRUTH, schedule, Observation(values, -11.0), 4000, sampler=FLOW)[0]
    sigma = np.exp(-4.5)
    np.testing.assert_allclose(nearly.mean(axis=0), values[0], atol=4.5 * sigma / 60 + 1e-3)
    assert (nearly.std(axis=0) < 1.1 * sigma).all()


@pytest.mark.once
def test_more_noise_than_the_schedule_has_is_no_observation(schedule):
    nothing = Observation([[50.0, -50.0, 50.0]], [5.5, np.inf, 9.0])
    z0 = draw(TRUTH, schedule, nothing, 4000, sampler=FLOW)[0]
    assert np.abs(z0.mean(axis=0)).max() < 4.5 / np.sqrt(4000) + 0.01
    assert np.abs(np.cov(z0.T) - COVARIANCE).max() < 4.5 * np.sqrt(2 / 4000) + 0.01


@pytest.mark.once
@pytest.mark.parametrize("name", ["adaptive", "euler_maruyama", "predictor_corrector", "tsit5"])
def test_other_samplers(schedule, name):
    steps = {"adaptive": 10_000, "tsit5": 20}.get(name, 200)
    z0 = draw(TRUTH, schedule, FIRST, 2000, sampler=name, steps=steps)[0]
    expected, spread = 2.0 * COVARIANCE[1:, 0], np.sqrt(1.0 - COVARIANCE[1:, 0] ** 2)
    error = np.abs(z0[:, 1:].mean(axis=0) - expected) / spread
    assert error.max() < 4.5 / np.sqrt(2000) + 0.05
    assert np.abs(z0[:, 1:].std(axis=0) / spread - 1.0).max() < 4.5 / np.sqrt(4000) + 0.03


@pytest.mark.once
@pytest.mark.parametrize("name", ["dpm++", "adaptive", "predictor_corrector"])
def test_noisy_observations_need_the_reverse_sde(schedule, name):
    noisy = Observation([[1.0, 0.0, 0.0]], [0.0, np.inf, np.inf])
    with pytest.raises(ValueError, match="reverse SDE"):
        draw(TRUTH, schedule, noisy, sampler=name)


@pytest.mark.once
def test_a_new_mask_needs_no_new_loop(schedule):
    sampler = samplers.DPMSolver(steps=3)
    for i in range(3):
        gamma = np.full(3, np.inf)
        gamma[i] = -np.inf
        draw(TRUTH, schedule, Observation(np.ones((1, 3)), gamma), sampler=sampler)
    assert len(sampler._compiled) == 1
    capped = Capped.of(schedule)
    assert capped is Capped.of(schedule)
    assert len(capped.compiled) == 1


@pytest.mark.once
def test_the_state_itself(schedule):
    z0 = draw(TRUTH, schedule, FIRST, 2000, denoise=False, sampler=FLOW)[0]
    sigma = np.exp(-4.5)
    assert abs(z0[:, 0].std() / sigma - 1.0) < 0.1
    assert abs(z0[:, 0].mean() - 2.0) < 1e-3


@pytest.mark.once
def test_a_function_sees_the_path(schedule):
    seen = []
    draw(TRUTH, schedule, FIRST, steps=1, on_path=seen.append)
    (gamma,) = seen
    assert gamma.shape == (3, 3)
    assert (gamma[:, 0] == -9.0).all()
    assert gamma[0, 1] == 5.0


@pytest.mark.once
@pytest.mark.parametrize(
    ("z0", "gamma"),
    [
        (np.zeros(3), np.zeros(3)),
        (np.zeros((2, 3)), np.zeros((3, 3))),
        (np.zeros((2, 3)), np.zeros((1, 2, 3))),
        ([[np.nan, 0.0]], [0.0, np.inf]),
        ([[0.0, 0.0]], [np.nan, np.inf]),
    ],
)
def test_bad_observations(z0, gamma):
    with pytest.raises(ValueError, match="Expected"):
        Observation(z0, gamma)


@pytest.mark.once
@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"draws": 0}, "`draws` to be an integer >= 1"),
        ({"start": "noise"}, "`start` to be one of"),
        ({"batch_size": 0}, "`batch_size` to be an integer >= 1"),
        ({"sampler": "dpm"}, "`sampler` to be one of"),
        ({"c": 0.3}, "a parameter of the schedule"),
        ({"b": [0.3, 0.3]}, "one value of `b`, or one for each of n=1"),
        ({"condition": {"label": [0, 1]}}, "one value of `label`"),
    ],
)
def test_bad_arguments(schedule, keywords, message):
    with pytest.raises(ValueError, match=message):
        draw(TRUTH, schedule, FIRST, **keywords)


@pytest.mark.once
def test_a_condition_goes_with_its_example(schedule):
    """Each example's label moves the mean of its data, and its draws with it."""

    def labelled(z, state, label):
        shift = keras.ops.cast(keras.ops.reshape(label, (-1, 1)), "float32")
        return TRUTH(z - state.alpha * shift, state)

    nothing = Observation(np.zeros((2, 3)), np.inf)
    told = {"label": np.array([0, 4], "int32")}
    z0 = draw(labelled, schedule, nothing, 1000, sampler=FLOW, condition=told)
    np.testing.assert_allclose(z0[0].mean(axis=0), 0.0, atol=4.5 / np.sqrt(1000) + 0.02)
    np.testing.assert_allclose(z0[1].mean(axis=0), 4.0, atol=4.5 / np.sqrt(1000) + 0.02)
