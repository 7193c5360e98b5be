"""Every schedule against its formula: gamma, alpha, sigma, beta, at the ends and in between."""

from dataclasses import dataclass, field
from functools import partial

import helpers.schedule_formulas as formulas
import keras
import numpy as np
import pytest
from keras import ops
from scipy.special import expit

from keras_gud import bases, schedules

SHAPE = (4, 6, 2)
DATA_VARIANCE = np.exp(np.random.default_rng(1).uniform(-6.0, 2.0, SHAPE))
WHITE = np.ones(SHAPE)
FREQUENCY = formulas.fourier_frequency(4, 6, 2)
ORDERING = np.random.default_rng(2).uniform(-1.0, 4.0, SHAPE)
INDEX = dict(zip(("row", "column", "channel"), np.indices(SHAPE), strict=True))


def square(t):
    return -7.0 + 12.0 * t**2


def by_frequency(t, frequency):
    return -7.0 + (8.0 + 6.0 * frequency) * (t + ops.sin(t))


def square_formula(t):
    return formulas.smooth(-7.0 + 12.0 * t**2, 24.0 * t)


def by_frequency_formula(t):
    rate = 8.0 + 6.0 * FREQUENCY.ravel()
    return formulas.smooth(-7.0 + rate * (t + np.sin(t)), rate * (1.0 + np.cos(t)))


@dataclass
class Case:
    make: object
    formula: object
    variance: np.ndarray = field(default_factory=lambda: WHITE)
    data_variance: np.ndarray | None = None
    basis: str | keras.layers.Layer = "pixel"

    def build(self):
        basis = bases.get(self.basis)
        basis.build((None, *self.variance.shape))
        schedule = self.make()
        schedule.adapt(self.variance, self.data_variance, basis.coordinates)
        return schedule


def linear(variance=DATA_VARIANCE, data_variance=None, basis="fourier", **kwargs):
    formula = partial(
        formulas.linear,
        variance=variance,
        data_variance=data_variance,
        frequency=FREQUENCY,
        **kwargs,
    )
    make = partial(schedules.Linear, floor=0.0, **kwargs)
    return Case(make, formula, variance, data_variance, basis)


def sequential(group, over, reverse=False, basis="pixel", **kwargs):
    make = partial(schedules.Sequential, over=over, reverse=reverse, **kwargs)
    return Case(make, partial(formulas.sequential, group=group, **kwargs), basis=basis)


def hierarchical(height, width, levels, channels=1, **kwargs):
    level, column = formulas.haar_levels(height, width, levels, channels)
    return Case(
        partial(schedules.Hierarchical, **kwargs),
        partial(formulas.hierarchical, level=level, column=column, **kwargs),
        variance=np.ones((height, width, channels)),
        basis=bases.get("haar", levels=levels),
    )


def scalar(cls, formula, **kwargs):
    return Case(partial(cls, **kwargs), partial(formula, **kwargs))


def frequencies(cls, formula, basis, **kwargs):
    k = FREQUENCY if basis == "fourier" else formulas.dct_frequency(*SHAPE)
    return Case(partial(cls, **kwargs), partial(formula, k=k, **kwargs), basis=basis)


def warp(inner, power):
    return Case(
        lambda: schedules.TimeWarp(inner.make(), power=power),
        lambda t: formulas.warped(t, power, inner.formula),
        inner.variance,
        inner.data_variance,
        inner.basis,
    )


_, FREQUENCY_RANK = np.unique(np.round(FREQUENCY, 9), return_inverse=True)

CASES = {
    "linear": linear(),
    "linear a=0": linear(a=0.0),
    "linear a=0.3": linear(a=0.3),
    "linear a=2.5": linear(a=2.5),
    "linear whitened": linear(WHITE, DATA_VARIANCE, a=0.7),
    "linear whitened a=0": linear(WHITE, DATA_VARIANCE, a=0.0),
    "linear half whitened": linear(DATA_VARIANCE**0.5, DATA_VARIANCE, a=1.6),
    "linear gamma_noise": linear(a=0.7, gamma_noise=4.0, gamma_denoise=-9.0),
    "linear paper": linear(a=0.7, gamma_noise="paper"),
    "linear large variances": linear(1e3 * DATA_VARIANCE, a=0.2),
    "linear frequency": linear(ordering="frequency", a=1.3),
    "linear frequency whitened": linear(WHITE, DATA_VARIANCE, ordering="frequency", a=0.5),
    "linear mixed r=0": linear(ordering="mixed", r=0.0),
    "linear mixed r=0.4": linear(ordering="mixed", r=0.4, a=0.8),
    "linear mixed r=1": linear(ordering="mixed", r=1.0, a=1.5, gamma_noise="paper"),
    "linear array": linear(ordering=ORDERING, a=0.9),
    "linear broadcast array": linear(WHITE, ordering=np.arange(6.0)[:, None], a=0.6),
    "sequential columns": sequential(INDEX["column"] + 1, "column"),
    "sequential default": sequential(INDEX["column"] + 1, None, b=0.8),
    "sequential b=0": sequential(INDEX["column"] + 1, "column", b=0.0),
    "sequential b=0.95": sequential(INDEX["column"] + 1, "column", b=0.95),
    "sequential rows": sequential(INDEX["row"] + 1, "row", b=0.3),
    "sequential right to left": sequential(6 - INDEX["column"], "column", reverse=True, b=0.6),
    "sequential axis": sequential(INDEX["row"] + 1, 0, b=0.75),
    "sequential last axis": sequential(INDEX["channel"] + 1, -1, b=0.25),
    "sequential one group": Case(
        partial(schedules.Sequential, over=-1, b=0.5),
        partial(formulas.sequential, group=np.ones((4, 6, 1))),
        variance=np.ones((4, 6, 1)),
    ),
    "sequential frequency": sequential(
        FREQUENCY_RANK.reshape(SHAPE) + 1, "frequency", basis="fourier", b=0.4
    ),
    "sequential frequency reversed": sequential(
        FREQUENCY_RANK.max() - FREQUENCY_RANK.reshape(SHAPE) + 1,
        "frequency",
        reverse=True,
        basis="fourier",
    ),
    "sequential range": sequential(INDEX["row"] + 1, "row", gamma_min=-9.0, gamma_max=3.0),
    "hierarchical": hierarchical(8, 8, 2),
    "hierarchical 3 levels": hierarchical(8, 8, 3, a=0.6, b=0.3),
    "hierarchical 1 level": hierarchical(8, 8, 1, a=0.75, b=0.9),
    "hierarchical non-square": hierarchical(4, 16, 2, channels=2, a=0.3, b=0.8),
    "hierarchical a=0": hierarchical(8, 4, 2, a=0.0, b=0.5),
    "hierarchical b=0": hierarchical(8, 8, 2, a=0.8, b=0.0, gamma_min=-6.0, gamma_max=4.0),
    "hierarchical a=b=0": hierarchical(8, 8, 2, a=0.0, b=0.0),
    "cosine": scalar(schedules.Cosine, formulas.cosine),
    "cosine clipped": scalar(schedules.Cosine, formulas.cosine, gamma_min=-4.0, gamma_max=3.0),
    "vp": scalar(schedules.VP, formulas.vp),
    "vp clipped": scalar(
        schedules.VP, formulas.vp, beta_min=0.5, beta_max=12.0, gamma_min=-3.0, gamma_max=4.0
    ),
    "vp constant": scalar(schedules.VP, formulas.vp, beta_min=5.0, beta_max=5.0),
    "subvp": scalar(schedules.SubVP, formulas.subvp),
    "subvp clipped": scalar(
        schedules.SubVP, formulas.subvp, beta_min=0.5, beta_max=12.0, gamma_min=-3.0, gamma_max=4.0
    ),
    "flow": scalar(schedules.FlowMatching, formulas.flow),
    "flow clipped": scalar(schedules.FlowMatching, formulas.flow, gamma_min=-4.0, gamma_max=3.0),
    "edm": scalar(schedules.EDM, formulas.edm),
    "edm rho": scalar(schedules.EDM, formulas.edm, sigma_min=0.02, sigma_max=50.0, rho=3.0),
    "blurring": frequencies(schedules.Blurring, formulas.blurring, "dct"),
    "blurring less": frequencies(
        schedules.Blurring, formulas.blurring, "dct", blur=1.5, d_min=0.01, gamma_min=-8.0
    ),
    "heat": frequencies(schedules.HeatDissipation, formulas.heat, "dct"),
    "heat less": frequencies(
        schedules.HeatDissipation, formulas.heat, "dct", blur_min=0.3, blur_max=6.0, noise_std=0.1
    ),
    "shortest path": frequencies(
        schedules.ShortestPath, formulas.shortest, "fourier", amplitude=1.59
    ),
    "shortest path below white": frequencies(
        schedules.ShortestPath, formulas.shortest, "fourier", amplitude=0.2, corner=0.05
    ),
    "renormalization": frequencies(schedules.Renormalization, formulas.renormalization, "fourier"),
    "renormalization sharp": frequencies(
        schedules.Renormalization, formulas.renormalization, "fourier", sharpness=3.0, mass=0.2
    ),
    "function": Case(partial(schedules.Function, square), square_formula),
    "function of a coordinate": Case(
        partial(schedules.Function, by_frequency, coordinates=("frequency",)),
        by_frequency_formula,
        basis="fourier",
    ),
}
CASES |= {
    "warped linear": warp(CASES["linear a=0.3"], 0.5),
    "warped linear faster": warp(CASES["linear frequency"], 2.0),
    "warped power 1": warp(CASES["linear whitened"], 1.0),
    "warped cosine": warp(CASES["cosine"], 0.7),
    "warped hierarchical": warp(CASES["hierarchical"], 1.5),
    "warped twice": warp(warp(CASES["linear"], 0.5), 1.2),
}


def spread(values, shape, n):
    return np.broadcast_to(ops.convert_to_numpy(values), (n, *shape)).reshape(n, -1)


@pytest.fixture(params=CASES, name="case")
def _case(request):
    return CASES[request.param]


@pytest.mark.once
def test_matches_the_formula(case):
    t = formulas.times()
    state = case.build()(t.astype("float32"))
    shape = case.variance.shape
    actual = {
        name: spread(getattr(state, name), shape, len(t))
        for name in ("gamma", "alpha", "sigma", "beta", "dgamma_dt")
    }
    columns = np.zeros((len(t), case.variance.size))
    gamma, slope, kink = (v + columns for v in case.formula(t[:, None]))
    sure = kink == 0
    assert sure[1:-1].mean() > 0.97

    np.testing.assert_allclose(actual["gamma"], gamma, rtol=0, atol=1e-4)
    np.testing.assert_allclose(actual["alpha"], np.sqrt(expit(-gamma)), rtol=1e-4)
    np.testing.assert_allclose(actual["sigma"], np.sqrt(expit(gamma)), rtol=1e-4)
    np.testing.assert_allclose(actual["dgamma_dt"][sure], slope[sure], rtol=1e-4)
    np.testing.assert_allclose(actual["beta"][sure], (expit(gamma) * slope)[sure], rtol=1e-4)
    assert all(np.isfinite(values).all() for values in actual.values())
    assert (actual["dgamma_dt"] >= 0).all()


@pytest.mark.once
def test_derivative_is_that_of_its_own_gamma(case):
    """Central differences, wherever no kink lies within the step."""
    h = 2.0**-11
    # From 0.1 to 0.9, exact in float32; as many as above, so that jax compiles nothing anew.
    t = np.arange(27, 229, dtype="float32") * 2.0**-8
    schedule, shape = case.build(), case.variance.shape
    before, at, after = (schedule((t + step).astype("float32")) for step in (-h, 0.0, h))
    gamma = [spread(state.gamma, shape, len(t)).astype("float64") for state in (before, after)]
    slopes = [spread(state.dgamma_dt, shape, len(t)) for state in (before, at, after)]
    difference = (gamma[1] - gamma[0]) / (2 * h)
    active = [slope > 0 for slope in slopes]
    away = (active[0] == active[1]) & (active[2] == active[1])
    assert away.any()
    np.testing.assert_allclose(slopes[1][away], difference[away], rtol=3e-3, atol=2e-3)


PARAMETERS = {
    "linear": (
        lambda a: schedules.Linear(a=(0.0, 3.0), floor=0.0),
        lambda t, a: formulas.linear(t, DATA_VARIANCE, a=a),
        {"a": (0.0, 0.5, 1.0, 2.7)},
    ),
    "linear paper": (
        lambda a: schedules.Linear(a=(0.0, 3.0), gamma_noise="paper", floor=0.0),
        lambda t, a: formulas.linear(t, DATA_VARIANCE, a=a, gamma_noise="paper"),
        {"a": (0.0, 0.5, 1.0, 2.7)},
    ),
    "linear mixed": (
        lambda a, r: schedules.Linear(a=(0.0, 3.0), ordering="mixed", r=(0.0, 1.0), floor=0.0),
        lambda t, a, r: formulas.linear(
            t, DATA_VARIANCE, a=a, ordering="mixed", r=r, frequency=FREQUENCY
        ),
        {"a": (0.2, 1.5, 1.0, 0.8), "r": (0.0, 1.0, 0.3, 0.8)},
    ),
    "sequential": (
        lambda b: schedules.Sequential(b=(0.0, 0.9), over="frequency"),
        lambda t, b: formulas.sequential(t, FREQUENCY_RANK + 1, b=b),
        {"b": (0.0, 0.25, 0.7, 0.9)},
    ),
    "hierarchical": (
        lambda a, b: schedules.Hierarchical(
            a=(0.0, 0.9), b=(0.0, 0.9), levels="row", columns="column"
        ),
        lambda t, a, b: formulas.hierarchical(t, INDEX["row"] + 1, INDEX["column"] + 1, a, b),
        {"a": (0.0, 0.6, 0.3, 0.75), "b": (0.8, 0.0, 0.4, 0.75)},
    ),
}


@pytest.mark.once
@pytest.mark.parametrize("warping", [False, True], ids=["plain", "warped"])
@pytest.mark.parametrize("name", PARAMETERS)
def test_times_and_parameters_per_sample(name, warping):
    make, formula, values = PARAMETERS[name]
    schedule = make(**values)
    schedule = schedules.TimeWarp(schedule, 0.5) if warping else schedule
    schedule.adapt(DATA_VARIANCE, coordinates=INDEX | {"frequency": FREQUENCY})
    t = formulas.times(49)
    grid = {k: np.repeat(np.float32(v), len(t)) for k, v in values.items()}
    state = schedule(np.tile(t.astype("float32"), 4), **grid)
    n = 4 * len(t)
    gamma = spread(state.gamma, SHAPE, n).reshape(4, len(t), -1)
    slope = spread(state.dgamma_dt, SHAPE, n).reshape(4, len(t), -1)
    for i in range(4):
        chosen = {k: float(np.float32(v[i])) for k, v in values.items()}
        plain = partial(formula, **chosen)
        curve = (lambda t, f=plain: formulas.warped(t, 0.5, f)) if warping else plain
        expected, expected_slope, kink = curve(t[:, None])
        kink = np.broadcast_to(kink, expected.shape)
        np.testing.assert_allclose(gamma[i], expected, rtol=0, atol=1e-4)
        np.testing.assert_allclose(slope[i][~kink], expected_slope[~kink], rtol=1e-4)


@pytest.mark.once
def test_one_time_with_many_parameters():
    schedule = schedules.Sequential(b=(0.0, 0.9), over=1)
    schedule.adapt(WHITE)
    b = np.array([0.0, 0.4, 0.8], "float32")
    gamma = ops.convert_to_numpy(schedule(0.5, b=b).gamma)
    assert gamma.shape == (3, 1, 6, 1)
    for i in range(3):
        expected, _, _ = formulas.sequential(np.array([[0.5]]), np.arange(1, 7), b=float(b[i]))
        np.testing.assert_allclose(gamma[i, 0, :, 0], expected[0], atol=1e-4)


@pytest.mark.once
def test_parameters_default_to_the_middle_of_their_range():
    schedule = schedules.Linear(a=(0.5, 1.5), gamma_noise=4.0)
    schedule.adapt(DATA_VARIANCE)
    middle = schedule(0.3)
    chosen = schedule(0.3, a=1.0)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(middle.gamma), ops.convert_to_numpy(chosen.gamma)
    )


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "group_shape"),
    [
        ("linear", (4, 6, 2)),
        ("sequential columns", (1, 6, 1)),
        ("sequential rows", (4, 1, 1)),
        ("sequential last axis", (1, 1, 2)),
        ("sequential frequency", (4, 6, 1)),
        ("hierarchical", (8, 8, 1)),
        ("cosine", (1, 1, 1)),
        ("function", (1, 1, 1)),
        ("function of a coordinate", (4, 6, 1)),
        ("warped linear", (4, 6, 2)),
    ],
)
def test_gamma_has_one_entry_where_it_does_not_change(name, group_shape):
    schedule = CASES[name].build()
    state = schedule(np.float32([0.2, 0.7, 0.9]))
    assert schedule.group_shape == group_shape
    assert tuple(state.gamma.shape) == (3, *group_shape)
    # The slope of a linear schedule is the same for all components.
    assert np.broadcast_shapes(tuple(state.dgamma_dt.shape), (3, *group_shape)) == (3, *group_shape)
    assert keras.backend.standardize_dtype(state.gamma.dtype) == "float32"
    assert schedule.noising_order().shape == group_shape
    np.testing.assert_allclose(
        schedule.noising_order(), ops.convert_to_numpy(schedule(0.5).gamma)[0], rtol=1e-6
    )


@pytest.mark.once
def test_adapting_again_follows_the_new_data():
    schedule = schedules.Linear(a=0.5)
    schedule.adapt(DATA_VARIANCE)
    schedule.adapt(WHITE, DATA_VARIANCE**0.5)
    t = formulas.times(5)
    expected, _, _ = formulas.linear(t[:, None], WHITE, DATA_VARIANCE**0.5, a=0.5)
    actual = spread(schedule(t.astype("float32")).gamma, SHAPE, len(t))
    np.testing.assert_allclose(actual, expected, atol=1e-4)
