"""Adaptive steps: statistics, limits, and errors instead of silent NaN."""

import numpy as np
import pytest
from keras import ops

from keras_gud import bases, oracle, samplers, schedules


@pytest.fixture(scope="module")
def parts():
    schedule = schedules.Sequential(b=0.4, over=0, gamma_min=-5.0, gamma_max=4.0)
    schedule.adapt(variance=np.ones(3))
    covariance = [[1.0, 0.6, 0.2], [0.6, 0.8, 0.0], [0.2, 0.0, 0.3]]
    return oracle.Gaussian(np.zeros(3), covariance), schedule


@pytest.fixture(scope="module")
def reference(parts):
    """Where the flow ends, with all kinks of the schedule on the grid of steps."""
    return samplers.RungeKutta("rk4")(*parts, n=16, steps=500)


@pytest.mark.once
def test_statistics_of_every_batch(parts):
    sampler = samplers.AdaptiveRungeKutta()
    sampler(*parts, n=5, batch_size=2)
    assert len(sampler.statistics) == 3
    for counts in sampler.statistics:
        assert counts["accepted"] > 5
        # Four times on the way a group begins or ceases to move.
        assert counts["evaluations"] == 2 + 6 * (counts["accepted"] + counts["rejected"]) + 4


@pytest.mark.once
def test_a_smaller_tolerance_takes_more_steps_and_is_nearer(parts, reference):
    errors, steps = [], []
    for tolerance in (1e-2, 1e-3, 1e-4):
        sampler = samplers.AdaptiveRungeKutta(rtol=tolerance, atol=tolerance)
        errors.append(np.abs(sampler(*parts, n=16) - reference).max())
        steps.append(sampler.statistics[0]["accepted"])
    assert sorted(errors, reverse=True) == errors
    assert errors[-1] < 1e-3
    assert sorted(steps) == steps


@pytest.mark.once
def test_steps_of_too_large_an_error_are_taken_again(parts):
    """The steps have grown where little happens when they meet a steep rise of gamma."""
    schedule = schedules.Function(lambda t: -5.0 + 9.0 * ops.sigmoid(60.0 * (t - 0.5)) + 0.1 * t)
    schedule.adapt(variance=np.ones(3))
    sampler = samplers.AdaptiveRungeKutta(rtol=1e-4, atol=1e-4)
    error = sampler(parts[0], schedule, n=16)
    error = error - samplers.RungeKutta("rk4")(parts[0], schedule, n=16, steps=300)
    assert sampler.statistics[0]["rejected"] > 0
    assert np.abs(error).max() < 1e-3


@pytest.mark.once
def test_a_jump_of_the_field_is_met_exactly(parts, reference):
    """The error estimate does not see a jump between two stages; the schedule tells of it."""
    truth, schedule = parts
    blind = schedules.Sequential(b=0.4, over=0, gamma_min=-5.0, gamma_max=4.0)
    blind.adapt(variance=np.ones(3))
    blind.kinks = lambda **params: None
    errors = [
        np.abs(samplers.AdaptiveRungeKutta()(truth, s, n=16) - reference).max()
        for s in (schedule, blind)
    ]
    assert errors[0] < 3e-4 < 1e-3 < errors[1]


@pytest.mark.once
def test_a_field_that_stands_still_takes_one_step(parts):
    schedule = schedules.Cosine()
    schedule.adapt(variance=np.ones(3))
    sampler = samplers.AdaptiveRungeKutta()
    z = np.ones((2, 3), "float32")
    for times in ((1.0, 0.996), (0.0, 0.004)):
        np.testing.assert_array_equal(sampler.integrate(parts[0], schedule, z, times=times), z)
        assert sampler.statistics[0]["accepted"] == 1


@pytest.mark.once
@pytest.mark.parametrize(
    "schedule",
    [
        schedules.Sequential(b=0.3, over=0),
        schedules.Hierarchical(a=0.4, b=0.3),
        schedules.TimeWarp(schedules.Sequential(b=0.3, over=0), power=0.5),
        schedules.Cosine(gamma_min=-5.0, gamma_max=4.0),
        schedules.VP(gamma_min=-5.0, gamma_max=4.0),
    ],
)
def test_kinks_are_where_dgamma_dt_jumps(schedule):
    basis = bases.get("haar", levels=1)
    basis.build((None, 4, 4, 1))
    schedule.adapt(variance=np.ones((4, 4, 1)), coordinates=basis.coordinates)
    kinks = np.unique(np.round(np.asarray(schedule.kinks()).ravel(), 6))
    inside = kinks[(kinks > 1e-3) & (kinks < 1 - 1e-3)]
    assert len(inside) >= 2
    t = np.linspace(1e-4, 1.0 - 1e-4, 5001, dtype="float32")
    active = np.asarray(schedule(t).dgamma_dt) > 0
    changes = np.unique(np.nonzero(np.diff(active, axis=0))[0])
    seen = 0.5 * (t[changes] + t[changes + 1])
    for kink in inside:
        assert np.abs(seen - kink).min() < 3e-4
    for change in seen:
        assert np.abs(inside - change).min() < 3e-4


@pytest.mark.once
def test_progress_changes_nothing(parts, capsys):
    sampler = samplers.AdaptiveRungeKutta()
    quiet = sampler(*parts, n=4, seed=1)
    np.testing.assert_allclose(sampler(*parts, n=4, seed=1, progress=True), quiet, atol=1e-5)
    assert "10000 of 10000 steps" in capsys.readouterr().out


@pytest.mark.once
def test_a_limit_on_steps_is_an_error_with_statistics(parts):
    sampler = samplers.AdaptiveRungeKutta()
    message = r"reach t=0 within steps=7 tries.*stopped at t=0\.\d+ after \d accepted and \d reject"
    with pytest.raises(samplers.ToleranceError, match=message):
        sampler(*parts, n=2, steps=7)


@pytest.mark.parametrize("finite_above", [10.0, 0.0], ids=["everywhere", "on the way"])
def test_nan_is_an_error_and_never_a_result(parts, finite_above):
    _, schedule = parts

    def broken(z, state):
        return ops.where(state.gamma < finite_above, np.nan, state.sigma * z)

    with pytest.raises(samplers.ToleranceError, match="whether the denoiser returns NaN"):
        samplers.AdaptiveRungeKutta(steps=200)(broken, schedule, n=2, shape=(3,))


@pytest.mark.once
@pytest.mark.parametrize("name", ["rtol", "atol"])
@pytest.mark.parametrize("value", [0.0, -1e-3, float("nan"), "tight", True])
def test_bad_tolerances(name, value):
    with pytest.raises(ValueError, match=f"Expected `{name}` to be a number > 0"):
        samplers.AdaptiveRungeKutta(**{name: value})


@pytest.mark.once
def test_methods_without_an_error_estimate_are_refused():
    with pytest.raises(ValueError, match=r"`method` to be one of.*'tsit5'.*method='rk4'"):
        samplers.AdaptiveRungeKutta("rk4")
