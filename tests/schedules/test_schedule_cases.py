"""What the schedules promise: special cases, exact end points, monotonicity, the default range."""

from functools import cache

import helpers.schedule_formulas as formulas
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from keras import ops
from scipy.special import expit, logit

from keras_gud import bases, schedules

pytestmark = pytest.mark.once

VARIANCE = np.exp(np.random.default_rng(3).uniform(-6.0, 1.0, (4, 4, 1)))
WHITE = np.ones_like(VARIANCE)
T = np.linspace(0.0, 1.0, 41, dtype="float32")

fast = settings(max_examples=30, deadline=None, derandomize=True)
below_one = st.floats(0.0, 1.0, exclude_max=True, width=32)


def gamma_of(schedule, t, **params):
    """float64 ``(times, components)``, or ``(times, 1)`` where all components agree."""
    gamma = ops.convert_to_numpy(schedule(t, **params).gamma).astype("float64")
    return gamma.reshape(len(gamma), -1)


def adapted(schedule, variance=WHITE, data_variance=None, basis="pixel"):
    basis = bases.get(basis)
    basis.build((None, *variance.shape))
    schedule.adapt(variance, data_variance, basis.coordinates)
    return schedule


# -- linear -----------------------------------------------------------------------------------


@pytest.mark.parametrize("gamma_noise", [None, 4.0, "paper"])
def test_linear_a_1_with_an_isotropic_prior_is_standard_diffusion(gamma_noise):
    schedule = adapted(schedules.Linear(a=1.0, gamma_noise=gamma_noise), VARIANCE)
    gamma = gamma_of(schedule, T)
    np.testing.assert_allclose(np.ptp(gamma, axis=1), 0.0, atol=1e-5)
    # A straight line: log Sigma_max at both ends, of which the slope follows.
    line = np.interp(T, [0, 1], gamma[[0, -1], 0])
    np.testing.assert_allclose(gamma[:, 0], line, atol=1e-5)
    assert gamma[0, 0] == pytest.approx(-7.0 + np.log(VARIANCE.min()), abs=1e-5)


@pytest.mark.parametrize("variance", [VARIANCE, WHITE], ids=["isotropic", "matching"])
def test_linear_a_0_gives_every_component_the_same_snr(variance):
    schedule = adapted(schedules.Linear(a=0.0), variance, VARIANCE)
    snr = ops.convert_to_numpy(schedule(T).snr(ops.cast(variance, "float32")))
    snr = np.log(snr.astype("float64")).reshape(len(T), -1)
    np.testing.assert_allclose(np.ptp(snr, axis=1), 0.0, atol=1e-5)
    assert snr[0, 0] == pytest.approx(7.0, abs=1e-5)


@pytest.mark.parametrize("a", [0.0, 0.6, 1.0, 2.0])
def test_whitening_does_not_change_the_snr_at_equal_gamma_noise(a):
    """Paper fig. 2c: the ordering is by the variance of the data, whitened or not."""
    isotropic = adapted(schedules.Linear(a=a, gamma_noise=5.0), VARIANCE)
    matching = adapted(schedules.Linear(a=a, gamma_noise=5.0), WHITE, VARIANCE)
    snr = np.log(VARIANCE.ravel()) - gamma_of(isotropic, T)
    np.testing.assert_allclose(-gamma_of(matching, T), snr, atol=2e-5)


def test_larger_a_noises_small_variances_earlier():
    order = np.argsort(VARIANCE.ravel())
    spread = []
    for a in (0.0, 1.0, 2.0):
        gamma = gamma_of(adapted(schedules.Linear(a=a), WHITE, VARIANCE), T)
        assert (np.diff(gamma[20, order]) <= 1e-5).all()
        spread.append(np.ptp(gamma[20]))
    assert spread[0] < 1e-5 < spread[1] < spread[2]


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize("ordering", ["variance", "frequency", "mixed"])
@pytest.mark.parametrize("a", [0.0, 0.4, 1.0, 2.0])
def test_default_gamma_noise_noises_everything_and_no_more(a, ordering, scale):
    r = 0.5 if ordering == "mixed" else None
    schedule = schedules.Linear(a=a, ordering=ordering, r=r)
    schedule = adapted(schedule, scale * VARIANCE, basis="fourier")
    state = schedule(1.0)
    sigma2 = np.square(ops.convert_to_numpy(state.sigma).astype("float64"))
    assert sigma2.min() >= 0.99**2 - 1e-6
    # gamma_i(1) = gamma_noise + log Sigma_i for the component that is noised last.
    frequency = formulas.fourier_frequency(4, 4)
    l = formulas.linear_ordering(scale * VARIANCE, ordering, r, frequency)
    last = gamma_of(schedule, 1.0)[0] - np.log(scale * VARIANCE.ravel()) - a * (l - l.min())
    gamma_noise = last.mean()
    np.testing.assert_allclose(last, gamma_noise, atol=2e-5)
    assert gamma_noise >= 3.0 - 1e-5
    tight = sigma2.min() == pytest.approx(0.99**2, abs=1e-6)
    assert tight or gamma_noise == pytest.approx(3.0, abs=2e-5)


def test_default_gamma_noise_follows_a_within_a_family():
    schedule = adapted(schedules.Linear(a=(0.0, 2.0)), VARIANCE)
    sigma = ops.convert_to_numpy(schedule(1.0, a=np.linspace(0, 2, 9, dtype="float32")).sigma)
    assert sigma.shape == (9, *VARIANCE.shape)
    np.testing.assert_allclose(sigma.reshape(9, -1).min(axis=1), 0.99, atol=1e-6)


def test_the_papers_gamma_noise_is_sufficient():
    schedule = adapted(schedules.Linear(a=0.7, gamma_noise="paper"), VARIANCE)
    tight = adapted(schedules.Linear(a=0.7), VARIANCE)
    assert gamma_of(schedule, 1.0).min() > gamma_of(tight, 1.0).min() + 0.1
    assert gamma_of(tight, 1.0).min() == pytest.approx(logit(0.99**2), abs=2e-5)


@fast
@given(a=st.floats(0.0, 10.0, width=32), r=st.floats(0.0, 1.0, width=32))
def test_linear_never_decreases(a, r):
    gamma = gamma_of(mixed(), T, a=a, r=r)
    assert np.isfinite(gamma).all()
    assert np.diff(gamma, axis=0).min() >= -1e-5


@pytest.mark.parametrize("r", [0.0, 1.0])
def test_mixed_orderings_end_at_the_pure_ones(r):
    name = "frequency" if r else "variance"
    pure = adapted(schedules.Linear(a=0.8, ordering=name), VARIANCE, basis="fourier")
    np.testing.assert_allclose(
        gamma_of(mixed(), T, a=np.float32(0.8), r=np.float32(r)), gamma_of(pure, T), atol=2e-5
    )


@cache
def mixed():
    schedule = schedules.Linear(a=(0.0, 10.0), ordering="mixed", r=(0.0, 1.0))
    return adapted(schedule, VARIANCE, basis="fourier")


# -- sequential -------------------------------------------------------------------------------


@cache
def row_of_four():
    return adapted(schedules.Sequential(b=(0.0, 0.99)))


def test_sequential_b_0_is_standard_diffusion():
    gamma = gamma_of(row_of_four(), T, b=0.0)
    np.testing.assert_allclose(gamma, np.repeat(-7.0 + 12.0 * T[:, None], 4, axis=1), atol=1e-5)


@fast
@given(b=below_one)
@example(b=0.0)
@example(b=float(np.nextafter(np.float32(1), np.float32(0))))
def test_sequential_goes_from_end_to_end_and_never_decreases(b):
    gamma = gamma_of(row_of_four(), T, b=b)
    assert (gamma[0] == -7.0).all()
    assert (gamma[-1] == 5.0).all()
    assert np.diff(gamma, axis=0).min() >= 0.0


@fast
@given(b=st.floats(0.75, float(np.float32(0.999)), width=32), shift=st.floats(0.0, 1.0))
def test_sequential_beyond_no_overlap_has_at_most_one_active_group(b, shift):
    t = np.float32(np.clip((np.arange(40) + shift) / 40, 0, 1))
    state = row_of_four()(t, b=b)
    gamma = ops.convert_to_numpy(state.gamma).reshape(len(t), -1)
    # Strictly inside, but for rounding where one group hands over to the next.
    inside = (gamma > -7.0 + 1e-3) & (gamma < 5.0 - 1e-3)
    assert inside.sum(axis=1).max() <= 1
    slope = ops.convert_to_numpy(state.dgamma_dt).reshape(len(t), -1)
    assert (slope[inside] > 0).all()


def test_sequential_just_below_no_overlap_has_two_active_groups():
    t = np.linspace(0, 1, 401, dtype="float32")
    gamma = gamma_of(row_of_four(), t, b=0.7)
    assert ((gamma > -7.0) & (gamma < 5.0)).sum(axis=1).max() == 2


@pytest.mark.parametrize("reverse", [False, True])
def test_sequential_noises_the_first_column_last(reverse):
    gamma = gamma_of(adapted(schedules.Sequential(over="column", reverse=reverse)), 0.5)[0]
    gamma = gamma[::-1] if reverse else gamma
    assert (np.diff(gamma) >= 0).all()
    assert gamma[0] < gamma[-1]


def test_sequential_takes_nearly_equal_labels_as_one_group():
    coordinate = np.array([0.1, 0.1 + 1e-12, 0.7])
    schedule = schedules.Sequential(b=0.5, over="k")
    schedule.adapt(np.ones(3), coordinates={"k": coordinate})
    assert schedule.n_groups == 2
    gamma = gamma_of(schedule, T)
    np.testing.assert_array_equal(gamma[:, 0], gamma[:, 1])


@pytest.mark.parametrize(
    ("shape", "shared"),
    [((5,), (5,)), ((5, 2), (5, 1)), ((3, 5, 2), (1, 5, 1)), ((2, 3, 5, 1), (1, 1, 5, 1))],
)
def test_sequential_defaults_to_the_last_spatial_axis(shape, shared):
    schedule = adapted(schedules.Sequential(), np.ones(shape))
    assert schedule.group_shape == shared
    assert schedule.n_groups == 5


# -- hierarchical -----------------------------------------------------------------------------


def family(**kwargs):
    return schedules.Hierarchical(a=(0.0, 0.99), b=(0.0, 0.99), **kwargs)


def pyramid(height, width, levels, **kwargs):
    basis = bases.get("haar", levels=levels)
    return adapted(family(**kwargs), np.ones((height, width, 1)), basis=basis)


def of_coordinates(level, column):
    schedule = family(levels="level", columns="column")
    schedule.adapt(np.ones(len(level)), coordinates={"level": level, "column": column})
    return schedule


HIERARCHICAL = {
    "8x8, 3 levels": lambda: pyramid(8, 8, 3),
    # Numbers that float32 does not hold, whose difference added back misses the end.
    "4x8, 2 levels": lambda: pyramid(4, 8, 2, gamma_min=-6.3, gamma_max=3.1),
    "2x2, 1 level": lambda: pyramid(2, 2, 1),
    "a single level": lambda: of_coordinates(np.zeros(4), np.arange(4)),
    "one column per level": lambda: of_coordinates(np.arange(3), np.zeros(3)),
}


@cache
def hierarchical(name):
    return HIERARCHICAL[name]()


NEARLY_ONE = float(np.nextafter(np.float32(1), np.float32(0)))


@pytest.mark.parametrize("name", HIERARCHICAL)
@fast
@given(a=below_one, b=below_one)
@example(a=0.0, b=0.0)
@example(a=NEARLY_ONE, b=0.0)
@example(a=0.0, b=NEARLY_ONE)
@example(a=NEARLY_ONE, b=NEARLY_ONE)
def test_hierarchical_goes_from_end_to_end_and_never_decreases(name, a, b):
    schedule = hierarchical(name)
    gamma = gamma_of(schedule, T, a=a, b=b)
    assert (gamma[0] == np.float32(schedule.gamma_min)).all()
    assert (gamma[-1] == np.float32(schedule.gamma_max)).all()
    assert np.diff(gamma, axis=0).min() >= 0.0


def test_hierarchical_a_b_0_is_standard_diffusion():
    gamma = gamma_of(hierarchical("8x8, 3 levels"), T, a=0.0, b=0.0)
    np.testing.assert_allclose(gamma, np.repeat(-7 + 12 * T[:, None], 64, axis=1), atol=1e-5)


def test_a_single_level_ignores_a_and_is_the_sequential_schedule():
    sequential = schedules.Sequential(b=0.6, over=0)
    sequential.adapt(np.ones(4))
    for a in (0.0, 0.9):
        gamma = gamma_of(hierarchical("a single level"), T, a=a, b=0.6)
        np.testing.assert_allclose(gamma, gamma_of(sequential, T), atol=1e-5)


def test_single_columns_ignore_b_and_are_the_sequential_schedule_over_levels():
    sequential = schedules.Sequential(b=0.6, over=0)
    sequential.adapt(np.ones(3))
    for b in (0.0, 0.9):
        gamma = gamma_of(hierarchical("one column per level"), T, a=0.6, b=b)
        np.testing.assert_allclose(gamma, gamma_of(sequential, T), atol=1e-5)


@pytest.mark.parametrize("a", [0.0, 0.5, 0.8])
@pytest.mark.parametrize("b", [0.0, 0.5, 0.9])
def test_hierarchical_generates_coarse_before_fine_and_left_before_right(a, b):
    """What is generated earlier has the smaller gamma, at any time."""
    level, column = (index.ravel() for index in formulas.haar_levels(8, 8, 3))
    gamma = gamma_of(hierarchical("8x8, 3 levels"), T, a=a, b=b)
    finished = []
    for i in range(1, 5):
        here = [gamma[:, (level == i) & (column == j)] for j in range(1, 9)]
        here = np.stack([g.mean(axis=1) for g in here if g.size], axis=1)
        assert (np.diff(here, axis=1) >= -1e-5).all()
        # The last column: a level with a single column has b = 0, so first ones do not compare.
        finished.append(here[:, -1])
    assert (np.diff(finished, axis=0) >= -1e-5).all()


# -- scalar schedules, functions, warps -------------------------------------------------------


def test_cosine_is_the_cosine():
    schedule = adapted(schedules.Cosine())
    t = formulas.times(50)[1:-1]
    alpha = ops.convert_to_numpy(schedule(t.astype("float32")).alpha).ravel()
    np.testing.assert_allclose(alpha, np.cos(np.pi * t / 2), rtol=1e-5)
    assert schedules.Cosine().time_of(1e30) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["cosine", "vp", "subvp", "flow"])
def test_ends_that_the_curve_never_reaches(name):
    schedule = adapted(schedules.get(name, gamma_min=-1e6, gamma_max=1e6))
    assert np.isfinite(ops.convert_to_numpy(schedule.kinks())).all()


def test_vp_has_a_linear_beta():
    schedule = adapted(schedules.VP(beta_min=0.5, beta_max=9.0))
    t = formulas.times(50)[1:]
    beta = ops.convert_to_numpy(schedule(t.astype("float32")).beta).ravel()
    np.testing.assert_allclose(beta, 0.5 + 8.5 * t, rtol=1e-5)


def test_function_of_linear_equals_linear():
    function = adapted(schedules.Function(lambda t: -7.0 + 12.0 * t))
    np.testing.assert_allclose(gamma_of(function, T)[:, 0], -7.0 + 12.0 * T, atol=1e-5)
    slope = ops.convert_to_numpy(function(T).dgamma_dt).ravel()
    np.testing.assert_allclose(slope, 12.0, rtol=1e-6)


def closed_form_vp(t):
    """alpha^2 of the variance preserving process whose rate is 0.1 + 19.9 t, from gamma = -8."""
    return np.exp(-(np.log1p(np.exp(-8.0)) + 0.1 * t + 9.95 * t**2))


@pytest.mark.parametrize("gives", ["beta", "alpha", "sigma"])
def test_function_of_rate_and_amplitudes(gives):
    def start():
        return np.log1p(np.exp(-8.0))

    functions = {
        "beta": lambda t: 0.1 + 19.9 * t,
        "alpha": lambda t: ops.exp(-0.5 * (start() + 0.1 * t + 9.95 * t**2)),
        "sigma": lambda t: ops.sqrt(-ops.expm1(-(start() + 0.1 * t + 9.95 * t**2))),
    }
    schedule = adapted(schedules.Function(functions[gives], gives=gives, gamma_min=-8.0))
    t = formulas.times(50)
    state = schedule(t.astype("float32"))
    alpha2 = closed_form_vp(t)
    np.testing.assert_allclose(
        ops.convert_to_numpy(state.alpha).ravel() ** 2, alpha2, rtol=2e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        ops.convert_to_numpy(state.beta).ravel(), 0.1 + 19.9 * t, rtol=1e-3, atol=2e-3
    )


@pytest.mark.once
def test_orderings_by_variance_need_no_subclass():
    """Paper eqs. 18 and 20 at a = 1, written as a function of log Sigma_i."""
    linear = adapted(schedules.Linear(a=1.0, gamma_noise=6.0, floor=0.0), VARIANCE)
    least, most = np.log(VARIANCE).min(), np.log(VARIANCE).max()
    function = schedules.Function(
        lambda t, log_variance: -7.0 + least + t * (13.0 + most - least) + 0.0 * log_variance,
        coordinates=("log_variance",),
    )
    np.testing.assert_allclose(
        gamma_of(adapted(function, VARIANCE), T), gamma_of(linear, T), atol=1e-4
    )
    by_rank = adapted(schedules.Sequential(b=0.5, over="rank"), VARIANCE)
    order = ops.convert_to_numpy(by_rank.groups).ravel()
    assert (np.diff(VARIANCE.ravel()[np.argsort(order)]) <= 0).all()


def test_function_may_be_constant():
    """A frozen schedule; TensorFlow knows no jvp of what does not depend on t."""
    schedule = adapted(schedules.Function(lambda t: -3.0))
    state = schedule(T)
    assert (gamma_of(schedule, T) == -3.0).all()
    assert (ops.convert_to_numpy(state.dgamma_dt) == 0.0).all()
    assert (ops.convert_to_numpy(state.beta) == 0.0).all()


def test_function_groups_components_by_its_coordinates():
    coordinates = {"row": np.array([0, 0, 1, 1]), "column": np.array([0, 1, 0, 1])}
    schedule = schedules.Function(
        lambda t, row, column: (1.0 + row + 2.0 * column) * t, coordinates=("row", "column")
    )
    schedule.adapt(np.ones(4), coordinates=coordinates)
    assert schedule.n_groups == 4
    expected = T[:, None] * np.array([1.0, 3.0, 2.0, 4.0])
    np.testing.assert_allclose(gamma_of(schedule, T), expected, atol=1e-6)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_time_warp_visits_the_same_states_at_other_times(power):
    inner = adapted(schedules.Linear(a=0.4), VARIANCE)
    warp = adapted(schedules.TimeWarp(schedules.Linear(a=0.4), power=power), VARIANCE)
    s = T.astype("float64") ** power
    s = s / (s + (1.0 - T.astype("float64")) ** power)
    np.testing.assert_allclose(
        gamma_of(warp, T), gamma_of(inner, s.astype("float32")), rtol=0, atol=1e-5
    )
    for t in (0.0, 0.5, 1.0):
        np.testing.assert_allclose(gamma_of(warp, t), gamma_of(inner, t), rtol=0, atol=1e-5)


def test_time_warp_of_a_family_is_a_family():
    warp = adapted(schedules.TimeWarp(schedules.Linear(a=(0.0, 2.0)), power=0.5), VARIANCE)
    inner = adapted(schedules.Linear(a=(0.0, 2.0)), VARIANCE)
    assert warp.ranges == {"a": (0.0, 2.0)}
    drawn = warp.draw_parameters(ops.convert_to_tensor(np.full((2, 1), 0.25, "float32")))
    np.testing.assert_allclose(ops.convert_to_numpy(drawn["a"]), 0.5)
    np.testing.assert_allclose(gamma_of(warp, 0.5, a=1.7), gamma_of(inner, 0.5, a=1.7), atol=1e-5)
    np.testing.assert_allclose(gamma_of(warp, 0.5), gamma_of(inner, 0.5, a=1.0), atol=1e-5)


def test_linear_end_points_noise_as_stated():
    """At t = 0 the largest SNR exponent is 7; at t = 1 every sigma has reached 0.99."""
    schedule = adapted(schedules.Linear(a=0.5), VARIANCE)
    snr = np.log(VARIANCE.ravel()) - gamma_of(schedule, 0.0)[0]
    assert snr.min() == pytest.approx(7.0, abs=1e-5)
    assert expit(gamma_of(schedule, 1.0)).min() == pytest.approx(0.99**2, abs=1e-6)
