"""The loop around the samplers: seeds, batches, intermediate states, progress, errors."""

import keras
import numpy as np
import pytest

from keras_gud import oracle, samplers, schedules


@pytest.fixture(scope="module")
def parts():
    schedule = schedules.Linear(a=(0.5, 1.5))
    variance = np.array([[1.0], [0.3], [0.1]])
    schedule.adapt(variance=variance)
    covariance = np.diag(variance.ravel()) + 0.02
    return samplers.EulerMaruyama(steps=20), oracle.Gaussian(np.zeros((3, 1)), covariance), schedule


def test_a_sample_depends_on_its_seed_and_index_alone(parts):
    sampler, truth, schedule = parts
    whole = sampler(truth, schedule, n=10, seed=5)
    np.testing.assert_allclose(
        sampler(truth, schedule, n=10, seed=5, batch_size=4), whole, atol=1e-4
    )
    np.testing.assert_allclose(
        sampler(truth, schedule, n=3, seed=5, first=6), whole[6:9], atol=1e-4
    )
    assert np.abs(sampler(truth, schedule, n=10, seed=6) - whole).max() > 0.1


def test_steps_need_no_new_compilation_and_matter(parts):
    sampler, truth, schedule = parts
    few, many = (sampler(truth, schedule, n=5, seed=0, steps=s) for s in (5, 40))
    assert np.abs(few - many).max() > 1e-3
    assert len(sampler._compiled) == 1


@pytest.mark.once
def test_intermediate_states(parts):
    sampler, truth, schedule = parts
    z, path = sampler(truth, schedule, n=6, seed=1, states=4, batch_size=4)
    assert path.shape == (5, 6, 3, 1)
    np.testing.assert_array_equal(path[-1], z)
    np.testing.assert_allclose(sampler(truth, schedule, n=6, seed=1), z, atol=1e-4)
    # The first one is the noise that everything starts from, whatever the number of steps.
    _, other = sampler(truth, schedule, n=6, seed=1, states=2, steps=7)
    np.testing.assert_array_equal(other[0], path[0])


@pytest.mark.once
def test_progress_is_shown_and_changes_nothing(parts, capsys):
    sampler, truth, schedule = parts
    quiet = sampler(truth, schedule, n=4, seed=2)
    assert capsys.readouterr().out == ""
    loud = sampler(truth, schedule, n=4, seed=2, progress=True)
    assert "20 of 20 steps" in capsys.readouterr().out
    np.testing.assert_allclose(loud, quiet, atol=1e-4)


def test_a_condition_reaches_the_denoiser_row_by_row(parts):
    sampler, truth, schedule = parts
    calls = []

    def pulled(z, state, to, strength):
        calls.append(to)
        return truth(z, state) - (strength * to)[:, None, None] * state.sigma

    def sample(to, strength=1.0):
        condition = {"to": np.float32(to), "strength": np.float32([strength])}
        return sampler(pulled, schedule, 5, shape=(3, 1), seed=1, batch_size=2, condition=condition)

    each = [0.0, 1.0, -2.0, 0.5, 3.0]
    plain = sampler(truth, schedule, 5, seed=1, batch_size=2, start="prior")  # as `pulled` starts
    mixed = sample(each)
    for i, to in enumerate(each):
        np.testing.assert_allclose(mixed[i], sample([to])[i], atol=1e-4)
    np.testing.assert_allclose(mixed[0], plain[0], atol=1e-4)
    assert (np.diff(mixed.mean((1, 2))[[2, 0]] - plain.mean((1, 2))[[2, 0]]) > 0.1).all()
    traced = len(calls)
    np.testing.assert_allclose(sample(np.multiply(each, 2), 0.5), mixed, atol=1e-4)
    if keras.backend.backend() != "torch":  # other values need no new compilation
        assert len(calls) == traced


@pytest.mark.once
def test_a_condition_has_one_row_or_one_for_each_sample(parts):
    sampler, truth, schedule = parts
    with pytest.raises(ValueError, match="one value of `to`.*each of n=3 samples.*2 values"):
        sampler(truth, schedule, 3, condition={"to": np.zeros(2)})


@pytest.mark.once
def test_parameters_per_sample(parts):
    sampler, truth, schedule = parts
    both = sampler(truth, schedule, n=2, seed=0, a=np.array([0.5, 1.5]))
    for i, a in enumerate((0.5, 1.5)):
        alone = sampler(truth, schedule, n=1, seed=0, first=i, a=a)
        np.testing.assert_allclose(both[i : i + 1], alone, atol=1e-4)


def test_a_schedule_adapted_anew_takes_effect():
    schedule = schedules.Linear()
    schedule.adapt(variance=np.ones(2))
    truth, sampler = oracle.Gaussian(np.zeros(2), np.eye(2)), samplers.EulerMaruyama(steps=5)
    before = sampler(truth, schedule, n=3, seed=0)
    schedule.adapt(variance=np.array([1.0, 1e-2]))
    after = sampler(truth, schedule, n=3, seed=0)
    fresh = samplers.EulerMaruyama(steps=5)(truth, schedule, n=3, seed=0)
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(after, fresh, atol=1e-5)


@pytest.mark.once
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "`n` to be an integer >= 1"),
        ({"n": 2.5}, "`n` to be an integer"),
        ({"n": 1, "steps": 0}, "`steps`"),
        ({"n": 1, "batch_size": -1}, "`batch_size`"),
        ({"n": 1, "aa": 1.0}, "Did you mean 'a'"),
    ],
)
def test_bad_arguments(parts, arguments, message):
    sampler, truth, schedule = parts
    with pytest.raises(ValueError, match=message):
        sampler(truth, schedule, **arguments)


@pytest.mark.once
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"order": 4}, "`order` to be at most 3"),
        ({"order": 3, "stochastic": True}, "at most 2 with stochastic=True"),
        ({"order": 0}, "`order` to be an integer >= 1"),
        ({"corrector": True, "stochastic": True}, "corrector=False"),
    ],
)
def test_bad_orders(arguments, message):
    with pytest.raises(ValueError, match=message):
        samplers.DPMSolver(**arguments)


@pytest.mark.once
def test_unknown_method_suggests_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'heun'"):
        samplers.RungeKutta("huen")


@pytest.mark.once
def test_unknown_sampler_suggests_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'euler_maruyama'"):
        samplers.get("euler")
    with pytest.raises(ValueError, match="`steps`"):
        samplers.EulerMaruyama(steps=0)


@pytest.mark.once
def test_bad_covariances():
    with pytest.raises(ValueError, match="positive semi-definite"):
        oracle.Gaussian(np.zeros(2), [[1.0, 2.0], [2.0, 1.0]])
    with pytest.raises(ValueError, match=r"shape \(2, 2\)"):
        oracle.Gaussian(np.zeros(2), np.eye(3))
