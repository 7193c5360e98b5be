"""Families, saving, registry and the messages for bad input: what all schedules share."""

import json
import warnings
from functools import partial

import keras
import numpy as np
import pytest
from keras import ops

from keras_gud import bases, schedules

SHAPE = (4, 4, 2)
VARIANCE = np.exp(np.random.default_rng(4).uniform(-4.0, 1.0, SHAPE))
# Float64, which float32 holds exactly; one number of times for all tests, compiled once.
T = np.linspace(0.0, 1.0, 1025)


@keras.saving.register_keras_serializable(package="test_schedules")
def cubic(t, row):
    return -5.0 + 8.0 * t**3 + row * t


@keras.saving.register_keras_serializable(package="test_schedules")
def rate(t, row):
    return 0.5 + (4.0 + row) * t


def coordinates(basis):
    if basis == "all":
        every = ("pca", "haar", "fourier", "pixel")  # what the last one says counts
        return {k: v for name in every for k, v in coordinates(name).items()}
    basis = bases.get(basis, **({"levels": 2} if basis == "haar" else {}))
    basis.build((None, *SHAPE))
    return basis.coordinates


# Schedules and a basis whose coordinates they use. Those that are registered and not named here
# are added below, as they are by default.
EVERY = {
    "linear": (lambda: schedules.Linear(a=0.4), "pixel"),
    "linear family": (lambda: schedules.Linear(a=(0.2, 1.8), gamma_noise="paper"), "pixel"),
    "linear numbers": (lambda: schedules.Linear(gamma_noise=4, gamma_denoise=-8), "pixel"),
    "linear frequency": (lambda: schedules.Linear(ordering="frequency"), "fourier"),
    "linear mixed": (lambda: schedules.Linear(ordering="mixed", r=(0.2, 0.6)), "fourier"),
    "linear array": (lambda: schedules.Linear(ordering=np.arange(32.0).reshape(SHAPE)), "pixel"),
    "sequential": (lambda: schedules.Sequential(b=(0.1, 0.8), reverse=True), "pixel"),
    "sequential axis": (lambda: schedules.Sequential(over=0, gamma_max=3.0), "pixel"),
    "sequential coordinate": (lambda: schedules.Sequential(over="frequency"), "fourier"),
    "hierarchical": (lambda: schedules.Hierarchical(a=0.3, b=(0.2, 0.6)), "haar"),
    "hierarchical coordinates": (
        lambda: schedules.Hierarchical(levels="row", columns="channel", gamma_min=-6.0),
        "pixel",
    ),
    "cosine": (lambda: schedules.Cosine(gamma_min=-6.0), "pixel"),
    "vp": (lambda: schedules.VP(beta_max=15.0), "pixel"),
    "subvp": (lambda: schedules.SubVP(beta_max=15.0), "pixel"),
    "flow": (lambda: schedules.FlowMatching(gamma_max=7.0), "pixel"),
    "edm": (lambda: schedules.EDM(rho=3.0), "pixel"),
    "blurring": (lambda: schedules.Blurring(blur=3.0), "dct"),
    "heat": (lambda: schedules.HeatDissipation(noise_std=0.02), "dct"),
    "shortest": (lambda: schedules.ShortestPath(corner=0.01), "fourier"),
    "renormalization": (lambda: schedules.Renormalization(mass=0.1), "fourier"),
    "function": (lambda: schedules.Function(cubic, coordinates=("row",)), "pixel"),
    "function of beta": (lambda: schedules.Function(rate, ("row",), gives="beta"), "pixel"),
    "curves": (
        lambda: schedules.Curves([[-7, -6, -7, -7], [-7, -1, 0, 2], [5, 5, 5, 4]], ("row",)),
        "pixel",
    ),
    "retimed": (
        lambda: schedules.Retimed(schedules.Linear(a=(0.0, 2.0)), [0.0, 0.1, 0.1, 1.0]),
        "pixel",
    ),
    "sequential window": (lambda: schedules.Sequential(window=1.5, groups=2), "pixel"),
    "sequential ends": (
        lambda: schedules.Sequential(b=0.3, gamma_denoise=-7.0, gamma_noise="paper"),
        "pixel",
    ),
    "sequential rank": (lambda: schedules.Sequential(over="rank"), "fourier"),
    "hierarchical ends": (
        lambda: schedules.Hierarchical(gamma_denoise=-6.0, gamma_noise=4.0, floor=0.0),
        "haar",
    ),
    "staggered": (
        lambda: schedules.Staggered(schedules.Linear(a=(0.0, 2.0)), (-0.3, 0.7), over="channel"),
        "pixel",
    ),
    "staggered columns": (
        lambda: schedules.Staggered("columns", -0.3, over="channel"),
        "pixel",
    ),
    "warp": (lambda: schedules.TimeWarp(schedules.Linear(a=(0.0, 2.0)), power=0.7), "pixel"),
    "warp of warp": (
        lambda: schedules.TimeWarp(schedules.TimeWarp("columns", power=0.7), power=0.5),
        "pixel",
    ),
    "warp of function": (
        lambda: schedules.TimeWarp(schedules.Function(cubic, coordinates=("row",)), power=2.0),
        "pixel",
    ),
}
EVERY |= {
    name: (partial(schedules.get, name), "all")
    for name in sorted(set(schedules.registry.factories) - set(EVERY))
}


@pytest.fixture(params=EVERY, name="every", scope="module")
def _every(request):
    make, basis = EVERY[request.param]
    schedule = make()
    schedule.adapt(VARIANCE, VARIANCE**2, coordinates(basis))
    return schedule


def assert_same_states(one, other):
    for field in ("gamma", "dgamma_dt"):
        np.testing.assert_array_equal(
            *(ops.convert_to_numpy(getattr(s(T.astype("float32")), field)) for s in (one, other))
        )


# -- gamma ------------------------------------------------------------------------------------


def test_gamma_never_decreases_and_has_the_derivative_that_it_says(every):
    state = every(T.astype("float32"))
    gamma, slope = (
        np.broadcast_to(ops.convert_to_numpy(x).astype("float64"), (len(T), *SHAPE))
        for x in (state.gamma, state.dgamma_dt)
    )
    assert np.isfinite(slope).all()
    risen = np.diff(gamma, axis=0)
    assert risen.min() >= -1e-4
    # By the trapezoidal rule, but for the few steps with a kink or a steep end of a time warp.
    first, last = slope[:-1], slope[1:]
    smooth = np.abs(first - last) <= 0.1 * np.abs(first + last)
    kinks = every.kinks(**every.resolve({}))
    if kinks is not None:
        count, _ = np.histogram(ops.convert_to_numpy(kinks), T)
        smooth &= (count == 0)[:, None, None, None]
    expected = 0.5 * (first + last) / (len(T) - 1)
    np.testing.assert_allclose(expected[smooth], risen[smooth], rtol=0.02, atol=3e-5)
    assert (risen * smooth).sum() > 0.4 * risen.sum() > 0.0


# -- saving -----------------------------------------------------------------------------------


def test_config_and_weights_restore_the_schedule(every):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(every)))
    restored = keras.saving.deserialize_keras_object(config)
    assert type(restored) is type(every)
    assert restored.built
    assert restored.ranges == every.ranges
    assert restored.group_shape == every.group_shape
    restored.set_weights(every.get_weights())
    assert_same_states(restored, every)


@pytest.mark.once
def test_config_alone_restores_the_schedule_before_it_is_adapted():
    for name, (make, basis) in EVERY.items():
        schedule = make()
        config = keras.saving.serialize_keras_object(schedule)
        restored = schedules.get(json.loads(json.dumps(config)))
        assert not restored.built, name
        if name in ("linear mixed", "hierarchical", "warp", "function"):
            for s in (schedule, restored):
                s.adapt(VARIANCE, coordinates=coordinates(basis))
            assert_same_states(restored, schedule)


def test_weights_are_not_trainable(every):
    assert every.trainable_weights == []
    assert all("seed" not in w.path for w in every.weights)


@pytest.mark.once
def test_a_schedule_survives_a_weights_file(every, tmp_path):
    """Inside a model, as a sub-layer: what `save_weights` sees."""

    def model(schedule):
        inputs = keras.Input((1,))
        net = keras.Model(inputs, keras.layers.Dense(1)(inputs))
        net.schedule = schedule
        return net

    model(every).save_weights(tmp_path / "m.weights.h5")
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(every))
    model(restored).load_weights(tmp_path / "m.weights.h5")
    assert_same_states(restored, every)


# -- families ---------------------------------------------------------------------------------


def test_draw_is_affine_in_the_uniforms_and_stays_in_range(rng):
    schedule = schedules.Hierarchical(a=(0.2, 0.6), b=(0.1, 0.9))
    uniforms = rng.uniform(size=(64, 2)).astype("float32")
    uniforms[:2] = [[0.0, 0.0], [1.0, 1.0]]
    drawn = {
        k: ops.convert_to_numpy(v) for k, v in schedule.draw_parameters(ops.array(uniforms)).items()
    }
    assert set(drawn) == {"a", "b"}
    np.testing.assert_allclose(drawn["a"], 0.2 + 0.4 * uniforms[:, 0], atol=1e-6)
    np.testing.assert_allclose(drawn["b"], 0.1 + 0.8 * uniforms[:, 1], atol=1e-6)
    assert drawn["a"].min() >= np.float32(0.2) - 1e-7
    assert drawn["a"].max() <= np.float32(0.6) + 1e-7


@pytest.mark.once
def test_draw_of_a_fixed_parameter_is_that_number():
    drawn = schedules.Sequential(b=0.3).draw_parameters(ops.array(np.float32([[0.1], [0.9]])))
    np.testing.assert_allclose(ops.convert_to_numpy(drawn["b"]), 0.3, rtol=1e-6)


@pytest.mark.parametrize("cls", [schedules.Cosine, schedules.VP])
def test_schedules_without_parameters_draw_nothing(cls):
    schedule = cls()
    assert schedule.draw_parameters(ops.zeros((3, 0))) == {}
    assert schedule.resolve({}) == {}


@pytest.mark.once
def test_resolve_fills_in_the_middle_of_each_range():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chosen = schedules.Hierarchical(a=(0.2, 0.6), b=0.5).resolve({})
    np.testing.assert_allclose(chosen["a"], [0.4], rtol=1e-6)
    np.testing.assert_allclose(chosen["b"], [0.5], rtol=1e-6)
    assert chosen["a"].dtype == np.float32


@pytest.mark.parametrize("value", [0.2, 0.6, np.float32(0.3), [0.2, 0.3, 0.6], np.full(3, 0.25)])
def test_resolve_takes_what_is_in_range_without_a_warning(value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chosen = schedules.Hierarchical(a=(0.2, 0.6)).resolve({"a": value})
    np.testing.assert_allclose(chosen["a"], np.ravel(value), rtol=1e-6)


@pytest.mark.parametrize("value", [0.1, 0.7, np.array([0.3, 0.7]), [0.1, 0.4]])
def test_resolve_warns_outside_the_range(value):
    with pytest.warns(UserWarning, match=r"a=.* is outside the range \[0.2, 0.6\]"):
        chosen = schedules.Hierarchical(a=(0.2, 0.6)).resolve({"a": value})
    np.testing.assert_allclose(chosen["a"], np.ravel(value), rtol=1e-6)


@pytest.mark.parametrize("value", [-0.1, 1.0, np.nan, [0.3, 1.5]])
def test_resolve_refuses_values_out_of_bounds(value):
    with pytest.raises(ValueError, match=r"`b` to be a number in \[0, 1\)"):
        schedules.Sequential(b=(0.2, 0.6)).resolve({"b": value})


def test_resolve_refuses_unknown_names():
    with pytest.raises(ValueError, match=r"one of \['a'\]. Received: A=0.5. Did you mean 'a'"):
        schedules.Linear().resolve({"A": 0.5})
    with pytest.raises(ValueError, match=r"Received: softness=0.5"):
        schedules.Linear().resolve({"softness": 0.5})


# -- registry ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("linear", schedules.Linear),
        ("frequency", schedules.Linear),
        ("sequential", schedules.Sequential),
        ("columns", schedules.Sequential),
        ("rows", schedules.Sequential),
        ("hierarchical", schedules.Hierarchical),
        ("cosine", schedules.Cosine),
        ("vp", schedules.VP),
        ("Cosine", schedules.Cosine),
    ],
)
def test_schedules_by_name(name, cls):
    assert type(schedules.get(name)) is cls


def test_named_variants_have_their_settings():
    assert schedules.get("frequency", a=0.3).ordering == "frequency"
    assert schedules.get("frequency", a=0.3).ranges == {"a": (0.3, 0.3)}
    assert schedules.get("columns").over == "column"
    assert schedules.get("rows", b=0.2).over == "row"
    assert schedules.get("rows", b=0.2).ranges == {"b": (0.2, 0.2)}


def test_an_instance_passes_through():
    schedule = schedules.VP()
    assert schedules.get(schedule) is schedule


def test_unknown_schedules_suggest_the_nearest_name():
    with pytest.raises(ValueError, match="Did you mean 'hierarchical'"):
        schedules.get("hierachical")
    with pytest.raises(TypeError, match="`schedule` to be a name"):
        schedules.get(3)


# -- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cls", "name", "value"),
    [
        (schedules.Linear, "a", -0.1),
        (schedules.Linear, "a", np.nan),
        (schedules.Linear, "a", np.inf),
        (schedules.Linear, "a", 1e39),
        (schedules.Linear, "a", (1.0, 0.5)),
        (schedules.Linear, "a", (0.1, 0.2, 0.3)),
        (schedules.Linear, "a", ()),
        (schedules.Sequential, "b", 1.0),
        (schedules.Sequential, "b", -1e-3),
        (schedules.Sequential, "b", 1 - 1e-9),
        (schedules.Sequential, "b", (0.1, 1.0)),
        (schedules.Sequential, "b", (0.5, 0.4)),
        (schedules.Hierarchical, "a", 1.0),
        (schedules.Hierarchical, "b", 1.5),
        (schedules.Hierarchical, "b", (0.9, 0.1)),
    ],
)
def test_parameters_out_of_bounds(cls, name, value):
    with pytest.raises(ValueError, match=rf"Expected `{name}` to be a number in \[0, "):
        cls(**{name: value})


@pytest.mark.parametrize("r", [-0.1, 1.1, (0.5, 2.0)])
def test_r_out_of_bounds(r):
    with pytest.raises(ValueError, match=r"Expected `r` to be a number"):
        schedules.Linear(ordering="mixed", r=r)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"ordering": "mixed"},
        {"r": 0.5},
        {"ordering": "frequency", "r": 0.5},
        {"ordering": np.arange(3.0), "r": 0.5},
    ],
)
def test_r_goes_with_the_mixed_ordering_only(kwargs):
    with pytest.raises(ValueError, match="Expected `r` together with ordering"):
        schedules.Linear(**kwargs)


def test_unknown_orderings():
    with pytest.raises(ValueError, match="Expected `ordering` to be one of"):
        schedules.Linear(ordering="variances")
    with pytest.raises(ValueError, match='a number, None or "paper"'):
        schedules.Linear(gamma_noise="papers")


@pytest.mark.parametrize(
    "cls", [schedules.Sequential, schedules.Hierarchical, schedules.Cosine, schedules.VP]
)
@pytest.mark.parametrize(
    ("low", "high"), [(5.0, -7.0), (1.0, 1.0), (-np.inf, 5.0), (-7.0, np.inf), (np.nan, 5.0)]
)
def test_gamma_ranges_upside_down_or_not_finite(cls, low, high):
    with pytest.raises(ValueError, match="Expected finite `gamma_min` < `gamma_max`"):
        cls(gamma_min=low, gamma_max=high)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (3.0, 2.0)])
def test_vp_rates(low, high):
    with pytest.raises(ValueError, match="0 < `beta_min` <= `beta_max`"):
        schedules.VP(beta_min=low, beta_max=high)


@pytest.mark.parametrize("power", [0.0, -1.0, np.nan])
def test_warp_powers(power):
    with pytest.raises(ValueError, match="Expected `power` > 0"):
        schedules.TimeWarp("cosine", power=power)


@pytest.mark.parametrize(
    "schedule",
    [
        schedules.Linear(),
        schedules.Cosine(),
        schedules.Function(cubic, coordinates=("row",)),
        schedules.TimeWarp("cosine"),
    ],
    ids=lambda s: type(s).__name__,
)
def test_calling_before_adapt(schedule):
    with pytest.raises(ValueError, match="call `adapt"):
        schedule(0.5)


def test_a_gamma_that_decreases_names_the_time():
    schedule = schedules.Function(lambda t: 5.0 * ops.sin(4.0 * t))
    with pytest.raises(ValueError, match=r"never to decrease .* falls near t=0\.78"):
        schedule.adapt(VARIANCE)


def test_a_linear_schedule_upside_down_is_refused():
    with pytest.raises(ValueError, match="a Linear schedule that falls"):
        schedules.Linear(gamma_denoise=5.0, gamma_noise=-5.0, a=0.0).adapt(VARIANCE)


def test_a_gamma_that_is_not_finite_is_refused():
    schedule = schedules.Function(lambda t: ops.log(t))
    with pytest.raises(ValueError, match=r"Expected a finite gamma.*clip it"):
        schedule.adapt(VARIANCE)


def test_a_warped_function_is_checked_too():
    with pytest.raises(ValueError, match="never to decrease"):
        schedules.TimeWarp(schedules.Function(lambda t: -t)).adapt(VARIANCE)


@pytest.mark.parametrize(
    ("gives", "function", "said"),
    [
        ("beta", lambda t: 1.0 - 2.0 * t, r"`beta` >= 0 .* from -1 to 1"),
        ("beta", lambda t: 1.0 / t, r"finite `beta`"),
        ("beta", lambda t: ops.where(t < 0.49, 0.0, 400.0), "can be integrated"),
        ("alpha", lambda t: t, "finite gamma"),
        ("sigma", lambda t: 0.9 - 0.5 * t, "never to decrease"),
        ("bet", lambda t: t, "Did you mean 'beta'"),
    ],
)
def test_amplitudes_and_rates_that_are_none(gives, function, said):
    with pytest.raises(ValueError, match=said):
        schedules.Function(function, gives=gives).adapt(VARIANCE)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: schedules.Curves([[0.0, 1.0], [1.0, 0.5]]), "never decreases.* falls by 0.5"),
        (lambda: schedules.Curves([1.0]), r"shape \(n, n_groups\)"),
        (lambda: schedules.Curves([[0.0, np.nan], [1.0, 1.0]]), "finite `gamma`"),
        (lambda: schedules.Retimed("cosine", [0.0, 0.6, 0.5, 1.0]), "from 0 to 1"),
        (lambda: schedules.Retimed("cosine", [0.1, 1.0]), "from 0 to 1"),
    ],
)
def test_curves_and_times_that_cannot_be(make, said):
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.once
def test_a_curve_for_each_group():
    with pytest.raises(ValueError, match="for each of 4 groups.*Received: 3 curves"):
        schedules.Curves(np.zeros((2, 3)), "row").adapt(VARIANCE, coordinates=coordinates("pixel"))


def test_two_ways_to_say_one_thing():
    with pytest.raises(ValueError, match="`b` or `window`, not both"):
        schedules.Sequential(b=0.5, window=2)
    with pytest.raises(ValueError, match="`gamma_min` or `gamma_denoise`, not both"):
        schedules.Sequential(gamma_min=-7.0, gamma_denoise=-7.0)
    with pytest.raises(ValueError, match=r"gamma_min < gamma_max\. Received: gamma_denoise=9"):
        schedules.Hierarchical(levels="row", gamma_denoise=9.0).adapt(
            VARIANCE, coordinates=coordinates("pixel")
        )
    with pytest.raises(ValueError, match="At 1 a group would have no time"):
        schedules.Sequential(b=1.0)


def test_a_function_must_be_callable():
    with pytest.raises(TypeError, match="`function` to be callable"):
        schedules.Function("square")


@pytest.mark.once
def test_a_value_that_leads_beyond_float32():
    schedule = schedules.Linear(a=(0.0, 3.0))
    schedule.adapt(VARIANCE, coordinates=coordinates("pixel"))
    with (
        pytest.warns(UserWarning, match="outside the range"),
        pytest.raises(ValueError, match="Expected gamma from -80 to 80.*for {'a': "),
    ):
        schedule.resolve({"a": 500.0})


def test_hierarchical_without_levels_suggests_haar():
    with pytest.raises(ValueError, match='basis="haar"'):
        schedules.Hierarchical().adapt(VARIANCE, coordinates=coordinates("pixel"))


@pytest.mark.parametrize(
    ("schedule", "argument", "suggestion"),
    [
        (lambda: schedules.Sequential(over="colum"), "over", "Did you mean 'column'"),
        (lambda: schedules.Linear(ordering="frequency"), "ordering", ""),
        (lambda: schedules.Linear(ordering="mixed", r=0.5), "ordering", ""),
        (lambda: schedules.Hierarchical(levels=np.zeros(2)), "levels", ""),
        (lambda: schedules.Hierarchical(levels="rows"), "levels", "Did you mean 'row'"),
        (lambda: schedules.Hierarchical(levels="row", columns="x"), "columns", ""),
        (
            lambda: schedules.Function(cubic, coordinates=("rov",)),
            "coordinates",
            "Did you mean 'row'",
        ),
    ],
)
def test_labels_that_the_basis_lacks(schedule, argument, suggestion):
    pattern = rf"`{argument}` to be a coordinate of the basis, one of \['channel'.*{suggestion}"
    with pytest.raises(ValueError, match=pattern):
        schedule().adapt(VARIANCE, coordinates=coordinates("pixel"))


def test_an_ordering_by_frequency_needs_two_frequencies():
    with pytest.raises(ValueError, match="more than one frequency"):
        schedules.Linear(ordering="frequency").adapt(
            np.ones(3), coordinates={"frequency": np.full(3, 0.25)}
        )
