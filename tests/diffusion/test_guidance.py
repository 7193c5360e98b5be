"""Guidance by a function: exact where it is known, compiled once, not kept for ever."""

import gc
import itertools
import weakref

import keras
import numpy as np
import pytest
from helpers.marks import once
from helpers.one_weight import OneWeightPerValue
from keras import ops

import keras_gud
from keras_gud import oracle, samplers, schedules, tasks
from keras_gud.diffusion import guidance
from keras_gud.diffusion.guidance import Guided
from keras_gud.diffusion.noising_state import z0_from_eps

MEAN = np.array([0.5, -1.0, 0.0])
COVARIANCE = np.array([[1.0, 0.6, -0.3], [0.6, 0.8, 0.1], [-0.3, 0.1, 0.5]])
WEIGHTS, NOISE, SEEN = np.array([1.0, -0.5, 2.0]), 0.3, 4.0
TRUTH = oracle.Gaussian(MEAN, COVARIANCE)
N = 4000


@pytest.fixture(scope="module")
def schedule():
    schedule = schedules.Linear(a=0.0, gamma_denoise=-8.0, gamma_noise=9.0)
    schedule.adapt(variance=np.ones(3))
    return schedule


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    model = keras_gud.GUD(schedule="cosine", backbone="tiny", classes=2, seed=0)
    x = rng.normal(size=(32, 4)).astype("float32")
    model.adapt(x, verbose=0)
    for average in model.ema.average:  # so that labels matter
        value = ops.convert_to_numpy(average.value)
        average.assign(value + 0.1 * rng.normal(size=value.shape))
    return model


@pytest.fixture(scope="module")
def pixels():
    rng = np.random.default_rng(1)
    schedule = schedules.Sequential(b=0.5, over="column")
    model = keras_gud.GUD(schedule=schedule, backbone=OneWeightPerValue(), seed=0)
    model.adapt(rng.normal(size=(32, 4, 4, 1)).astype("float32"), verbose=0)
    return model


def unchanged(eps, z, state):
    return eps


def pulled(eps, z, state):
    return eps + 0.5 * state.sigma


# -- p(y | z) of a linear observation of a Gaussian, in closed form --------------------------------

LENGTHS, AXES = np.linalg.eigh(COVARIANCE)


def parts_of_the_observation(z, state):
    """Mean and variance of y given z, and the gradient of that mean, in principal axes."""
    axes, lengths = (ops.convert_to_tensor(a, "float32") for a in (AXES, LENGTHS))
    mean, h = (ops.convert_to_tensor(a @ AXES, "float32") for a in (MEAN, WEIGHTS))
    alpha, sigma = state.alpha, state.sigma  # one for all components
    gain = alpha * lengths / (alpha**2 * lengths + sigma**2)
    clean = mean + gain * (z @ axes - alpha * mean)
    variance = lengths * sigma**2 / (alpha**2 * lengths + sigma**2)
    expected = ops.sum(h * clean, axis=-1, keepdims=True)
    return expected, ops.sum(h**2 * variance, axis=-1, keepdims=True) + NOISE**2, gain * h, axes


def observed(eps, z, state):
    """The score of p(y | z) written out."""
    expected, variance, slope, axes = parts_of_the_observation(z, state)
    score = (slope * (SEEN - expected) / variance) @ ops.transpose(axes)
    return eps - state.sigma * score


def observed_by_gradient(eps, z, state):
    def log_p(z):
        expected, variance, _, _ = parts_of_the_observation(z, state)
        return -0.5 * (SEEN - expected) ** 2 / variance

    return eps - state.sigma * guidance.gradient(log_p, z)


def posterior():
    gain = COVARIANCE @ WEIGHTS / (WEIGHTS @ COVARIANCE @ WEIGHTS + NOISE**2)
    mean = MEAN + gain * (SEEN - WEIGHTS @ MEAN)
    return mean, COVARIANCE - np.outer(gain, WEIGHTS @ COVARIANCE)


@pytest.mark.once
@pytest.mark.parametrize(
    ("sampler", "guide"),
    once(
        itertools.product(["dpm++sde", "dpm++"], [observed, observed_by_gradient]),
        but=[("dpm++", observed_by_gradient)],
    ),
)
def test_the_exact_guide_gives_the_posterior(schedule, guide, sampler):
    """By Bayes' rule the score of p(z | y) is that of p(z) plus that of p(y | z)."""
    z0 = samplers.get(sampler)(Guided(TRUTH, guide), schedule, N, steps=60, denoise=True, seed=1)
    mean, covariance = posterior()
    spread = np.sqrt(np.diag(covariance))
    assert np.abs(mean - MEAN).max() > 1.0  # without the guide it would fail
    assert (np.abs(z0.mean(0) - mean) < 4.5 * spread / np.sqrt(N) + 0.01).all()
    sampling = np.sqrt((np.outer(spread, spread) ** 2 + covariance**2) / N)
    assert (np.abs(np.cov(z0.T) - covariance) < 4.5 * sampling + 0.01).all()


@pytest.mark.once
def test_both_ways_to_write_it_are_the_same(schedule):
    written, by_gradient = (
        samplers.get("dpm++")(Guided(TRUTH, guide), schedule, 10, steps=10, seed=0)
        for guide in (observed, observed_by_gradient)
    )
    np.testing.assert_allclose(written, by_gradient, atol=1e-4)


@pytest.mark.once
def test_clean_values_within_bounds(schedule):
    def bounded(eps, z, state):
        z0 = ops.clip(z0_from_eps(z, eps, state), -0.5, 0.5)
        return (z - state.alpha * z0) / state.sigma

    sampler = samplers.get("dpm++sde")
    free, held = (
        sampler(denoiser, schedule, 200, steps=20, seed=0, denoise=True)
        for denoiser in (TRUTH, Guided(TRUTH, bounded))
    )
    assert np.abs(free).max() > 2.0
    assert np.abs(held).max() < 0.5 + 1e-3


# -- models and tasks ------------------------------------------------------------------------------


@pytest.mark.once
@pytest.mark.parametrize("sampler", once(["dpm++sde", "heun"], but=["dpm++sde"]))
@pytest.mark.parametrize("guidance", once([1.0, 2.0], but=[2.0]))
def test_a_guide_that_changes_nothing_changes_no_bit(model, guidance, sampler):
    how = {"labels": 1, "guidance": guidance, "steps": 4, "seed": 0, "denoise": False}
    plain = model.sample(5, sampler=sampler, **how)
    guided = model.sample(5, sampler=sampler, guide=unchanged, **how)
    np.testing.assert_array_equal(plain, guided)


@pytest.mark.once
def test_a_guide_is_given_the_estimate_after_classifier_free_guidance(model):
    rng, seen = np.random.default_rng(2), []
    z = ops.convert_to_tensor(rng.normal(size=(2, 4)).astype("float32"))
    condition = {"label": np.array([0, 1], "int32"), "guidance": np.array([2.0, 3.0], "float32")}
    condition = {name: ops.convert_to_tensor(value) for name, value in condition.items()}
    state = model.schedule(0.5)

    def guide(*given):
        seen.append(given)
        return 2.0 * given[0]

    eps = Guided(model.denoiser, guide)(z, state, **condition)
    expected = ops.convert_to_numpy(model.denoiser(z, state, **condition))
    np.testing.assert_array_equal(ops.convert_to_numpy(seen[0][0]), expected)
    np.testing.assert_array_equal(ops.convert_to_numpy(eps), 2.0 * expected)
    assert seen[0][1] is z
    assert seen[0][2] is state
    of_label = ops.convert_to_numpy(model.denoiser(z, state, label=condition["label"]))
    assert np.abs(of_label - expected).max() > 1e-3


def call(model, task, **options):
    image, mask = np.linspace(-1.0, 1.0, 16).reshape(4, 4, 1), np.zeros((4, 4), bool)
    mask[:, 2:] = True
    options = {"steps": 3, "seed": 0, "draws": 2} | options
    if task == "inpaint":
        return tasks.inpaint(model, image, mask, **options)
    if task == "restore":
        return tasks.restore(model, image, 1.0, 0.5, **options)
    return tasks.complete(model, tasks.noised(model, image, 0.5), 0.5, **options)


@pytest.mark.filterwarnings("ignore:This task leaves:UserWarning")
@pytest.mark.parametrize("task", once(["inpaint", "restore", "complete"], but=["inpaint"]))
def test_tasks_take_a_guide(pixels, task):
    plain, same, other = (call(pixels, task, guide=g) for g in (None, unchanged, pulled))
    np.testing.assert_array_equal(plain, same)
    assert np.abs(other - plain).max() > 0.01
    if task == "inpaint":  # what is known stays
        np.testing.assert_array_equal(other[:, :, :2], plain[:, :, :2])


# -- compiled once ---------------------------------------------------------------------------------


class Counting:
    """A guide that counts how often it is called, as a function and as a method."""

    def __init__(self):
        self.calls = 0

    def __call__(self, eps, z, state):
        self.calls += 1
        return eps

    def method(self, eps, z, state):
        return self(eps, z, state)


@pytest.mark.once
@pytest.mark.parametrize("name", once(["__call__", "method", "itself"], but=["itself"]))
def test_the_same_guide_is_compiled_once(model, name):
    guide, calls = Counting(), []
    for _ in range(3):
        model.sample(2, steps=3, seed=0, guide=guide if name == "itself" else getattr(guide, name))
        calls.append(guide.calls)
    assert calls[0] > 0
    if keras.backend.backend() != "torch":
        assert calls[1:] == calls[:1] * 2


@pytest.mark.once
def test_the_wrapper_is_the_same_as_long_as_it_is_in_use():
    one = Guided.of(TRUTH, unchanged)
    assert Guided.of(TRUTH, unchanged) is one
    assert Guided.of(TRUTH, pulled) is not one
    assert Guided.of(oracle.Gaussian(MEAN, COVARIANCE), unchanged) is not one
    assert Guided.of(TRUTH, None) is TRUTH
    assert one.data_shape == (3,)
    assert not hasattr(Guided.of(lambda z, state: z, unchanged), "start")


def test_new_functions_do_not_pile_up(schedule, monkeypatch):
    monkeypatch.setattr(samplers.sampler, "MAX_LOOPS", 2)
    sampler, alive = samplers.DPMSolver(steps=2), []
    for k in range(5):
        guide = lambda eps, z, state, k=k: eps + k  # noqa: E731
        alive.append(weakref.ref(guide))
        sampler(Guided.of(TRUTH, guide), schedule, 2)
        del guide
        gc.collect()
        assert sum(ref() is not None for ref in alive) <= 2
    assert len(sampler._compiled) == 2


# -- variables -------------------------------------------------------------------------------------


class Shift(keras.layers.Layer):
    """A guide with a variable."""

    def build(self, input_shape=None):
        self.by = self.add_weight(shape=(), name="by")
        self.built = True

    def call(self, eps, z, state):
        return eps + self.by * state.sigma


@pytest.mark.once
@pytest.mark.parametrize("how", once(["layer", "method", "function"], but=["layer"]))
def test_new_values_of_variables_take_effect(schedule, how):
    layer = Shift()
    layer.build()

    def function(eps, z, state):
        return layer(eps, z, state=state)

    function.variables = layer.variables
    guide = {"layer": layer, "method": layer.call, "function": function}[how]
    sampler, means = samplers.get("dpm++"), []
    for value in (0.0, 1.0, 0.0):
        layer.by.assign(value)
        means.append(sampler(Guided.of(TRUTH, guide), schedule, 20, steps=8, seed=0).mean())
    assert means[1] < means[0] - 0.1
    assert means[2] == means[0]
    assert len(sampler._compiled) == 1
    plain = sampler(TRUTH, schedule, 20, steps=8, seed=0).mean()
    assert means[0] == pytest.approx(plain, abs=1e-5)


@pytest.mark.once
def test_variables_of_both_are_listed_once(model):
    denoiser = model.denoiser
    layer = Shift()
    layer.build()
    assert Guided(denoiser, layer).variables == [*denoiser.variables, layer.by]
    shared = Guided(denoiser, model.network)
    assert len({id(v) for v in shared.variables}) == len(shared.variables)


# -- mistakes --------------------------------------------------------------------------------------


@pytest.mark.once
@pytest.mark.filterwarnings("ignore:This task leaves:UserWarning")
@pytest.mark.parametrize("guide", [3, "pulled", np.zeros(3)])
def test_a_guide_must_be_callable(model, pixels, guide):
    message = r"Expected `guide` to be a callable \(eps, z, state\) -> eps\. Received: guide="
    with pytest.raises(ValueError, match=message):
        model.sample(2, guide=guide)
    with pytest.raises(ValueError, match=message):
        call(pixels, "inpaint", guide=guide)
    with pytest.raises(ValueError, match=message):
        Guided(TRUTH, guide)


@pytest.mark.once
@pytest.mark.parametrize(
    ("guide", "received"),
    [
        (lambda eps, z, state: ops.mean(eps, axis=-1), r"shape \(2,\)"),
        (lambda eps, z, state: ops.ones((1, 4)), r"shape \(1, 4\)"),
        (lambda eps, z, state: None, "NoneType"),
        (lambda eps, z, state: (eps,), "tuple"),
    ],
)
def test_a_guide_must_return_the_shape_of_eps(model, guide, received):
    message = rf"`guide` to return eps of shape \(2, 4\), as it was given. Received: {received}"
    with pytest.raises(ValueError, match=message):
        model.sample(2, steps=2, guide=guide)


@pytest.mark.once
def test_other_types_of_number_become_float32(model):
    half = model.sample(
        2, steps=2, seed=0, guide=lambda eps, z, state: ops.cast(eps, "float16"), denoise=False
    )
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, model.sample(2, steps=2, seed=0, denoise=False), atol=0.1)
