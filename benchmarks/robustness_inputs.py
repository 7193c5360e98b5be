"""Random inputs for every part of the public interface, good ones and bad ones.

Each class is a function of a random generator that tries one input. It returns where the input has
worked, and asserts that what came out is finite and of the right shape and type; an input may also
be refused by an error that says what was expected. `outcome` tells these from defects.
"""

import contextlib
import json
import tempfile
import warnings
import zipfile
from pathlib import Path

import keras
import ml_dtypes
import numpy as np
from keras import ops

import keras_gud
from keras_gud import NoisingState, backend, bases, oracle, priors, samplers, schedules
from keras_gud.core import counter_rng, streaming_moments
from keras_gud.diffusion.noising_state import (
    probability_flow,
    score_from_eps,
    v_from_eps,
    z0_from_eps,
)
from keras_gud.persistence import inspection


class DefectError(AssertionError):
    """Something came out that must not."""


def require(condition, what: str):
    """Raises a `DefectError` unless the condition holds."""
    if not condition:
        raise DefectError(what)


# Clear words of Python's and Keras' own.
_CLEAR = ("got an unexpected keyword argument", "Could not interpret optimizer", "Valid policies")


def is_clear(message: str) -> bool:
    """Whether an error says what was expected, or names what is wrong."""
    said = "Expected" in message and ("Received" in message or message.startswith("Expected"))
    return said or any(words in message for words in _CLEAR)


def outcome(function, rng) -> tuple[str, str]:
    """``("worked" | "refused" | "defect", what)`` of one input."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function(rng)
    except (ValueError, TypeError, ImportError, FileNotFoundError) as error:
        return (
            "refused" if is_clear(str(error)) else "defect"
        ), f"{type(error).__name__}: {str(error)[:300]}"
    except (samplers.ToleranceError, keras_gud.NonFiniteLossError) as error:
        return "refused", f"{type(error).__name__}: {str(error)[:300]}"
    except Exception as error:
        return "defect", f"{type(error).__name__}: {str(error)[:300]}"
    return "worked", ""


@keras.saving.register_keras_serializable(package="keras_gud_robustness")
class OneWeightPerValue(keras.layers.Layer):
    """Scales its first input: the smallest backbone there is."""

    def build(self, input_shape):
        self.scale = self.add_weight(shape=input_shape[0][1:], initializer="zeros")

    def call(self, inputs):
        return self.scale * inputs[0]


@keras.saving.register_keras_serializable(package="keras_gud_robustness")
class OneWeightPerClass(OneWeightPerValue):
    """The same, told labels."""

    classes = 3

    def call(self, inputs):
        return self.scale * inputs[0] * (1.0 + ops.cast(ops.sum(inputs[-1]), "float32"))


# -- random things ---------------------------------------------------------------------------------


def pick(rng, *choices):
    """One of the choices."""
    return choices[rng.integers(len(choices))]


def often(rng, likely, *others, p=0.7):
    """The likely choice with probability p, else one of the others."""
    return likely if rng.random() < p else pick(rng, *others)


def odd_number(rng):
    """A number, or something that a user may have taken for one."""
    exponent = rng.uniform(-8, 8)
    return pick(
        rng,
        *(0, 1, -1, 2, 0.5, -0.0, 1.0, 10**9, -7.5, 1e30, 1e-30, np.nan, np.inf, -np.inf),
        *(True, None, "a", "1", [], [1.0], (0.2, 0.8), (0.8, 0.2), (1, 2, 3), {}, 1j),
        *(np.float32(0.3), np.int64(3), np.zeros(2), np.array(0.4), object(), b"x"),
        *(float(10.0**exponent), float(-(10.0**exponent)), rng.normal(), rng.uniform()),
    )


def data_shape(rng):
    """A shape of one example: vectors, series, images, volumes; small, odd, one pixel."""
    axes = pick(rng, 0, 1, 1, 2, 2, 2, 3)
    sizes = [int(pick(rng, 1, 2, 3, 4, 4, 5, 8, 9)) for _ in range(axes)]
    sizes = [min(n, 4) for n in sizes] if axes == 3 else sizes
    channels = int(pick(rng, 1, 1, 1, 2, 3, 3, 4, 7, 64))
    return (*sizes, channels)


NUMBERS = ("float16", "float32", "float64", "longdouble", "uint8", "int8", "int16", "uint16")
NUMBERS += ("int32", "uint32", "int64", "uint64", "bool", "complex64", "bfloat16")


def values(rng, shape):
    """Floats of many kinds, float64 of this shape."""
    x = rng.normal(size=shape)
    kind = pick(rng, *("normal",) * 4, *_KINDS)
    with np.errstate(all="ignore"):
        return _KINDS[kind](rng, x) if kind != "normal" else x


def _holes(value):
    def change(rng, x):
        x = x.copy()
        x[rng.random(x.shape) < 0.1] = value
        return x

    return change


def _some_constant(rng, x):
    return np.where(rng.random(x.shape[1:]) < 0.5, x[:1], x)


_KINDS = {
    "huge": lambda rng, x: 1e30 * x,
    "over": lambda rng, x: 1e39 * x,
    "tiny": lambda rng, x: 1e-30 * x,
    "denormal": lambda rng, x: 1e-42 * x,
    "zero": lambda rng, x: 0.0 * x,
    "constant": lambda rng, x: np.full_like(x, 3.7),
    "some constant": _some_constant,
    "offset": lambda rng, x: 1e8 + x,
    "large offset": lambda rng, x: 1e30 * (1.0 + 1e-3 * x),
    "all scales": lambda rng, x: x * 10.0 ** rng.uniform(-15, 15, x.shape[1:]),
    "nan": _holes(np.nan),
    "inf": _holes(np.inf),
    "integers": lambda rng, x: np.round(50.0 * x),
    "outlier": _holes(1e20),
    "bytes": lambda rng, x: np.clip(np.round(128 + 60 * x), 0, 255),
}


def array(rng, shape):
    """Data of any type and value."""
    x = values(rng, shape)
    dtype = often(rng, pick(rng, "float32", "uint8"), *NUMBERS, "object", "str", "datetime", "mask")
    with np.errstate(all="ignore"):
        if dtype == "bfloat16":
            return x.astype(ml_dtypes.bfloat16)
        if dtype == "object":
            return np.array(x, object)
        if dtype == "str":
            return x.astype(str)
        if dtype == "datetime":
            return np.zeros(x.shape, "datetime64[s]")
        if dtype == "mask":
            return np.ma.masked_array(x.astype("float32"), x > 1.0)
        if dtype == "uint8":
            x = np.nan_to_num(128 + 40 * x, posinf=255, neginf=0).clip(0, 255)
        return x.astype(dtype)


def labels_of(shape):
    """Labels as a basis has them: frequency, band, row, column, channel."""
    axes = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    labels = dict(zip(("row", "column", "depth", "channel"), axes, strict=False))
    return labels | {"frequency": np.hypot(axes[0], axes[-1]), "band": np.minimum(axes[0], 2)}


def basis_config(rng):
    """A basis by name, by arguments, or composed of others; now and then nonsense."""
    name = pick(rng, *bases.registry.factories)
    orthogonal = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    return pick(
        rng,
        *(name,) * 6,
        lambda: bases.get("haar", levels=pick(rng, 1, 2, odd_number(rng))),
        lambda: [name, pick(rng, *bases.registry.factories)],
        lambda: bases.Compose([pick(rng, *bases.registry.factories) for _ in range(3)]),
        lambda: bases.PCA(
            mix_channels=bool(rng.integers(2)), floor=often(rng, 1e-6, odd_number(rng))
        ),
        lambda: bases.Matrix(pick(rng, orthogonal, 2 * orthogonal, odd_number(rng))),
        lambda: odd_number(rng),
    )


def made(config):
    """What a lazy config stands for."""
    return config() if callable(config) and not isinstance(config, type) else config


def prior_config(rng):
    """A prior, likewise."""
    odd = odd_number(rng)
    return pick(
        rng,
        *("isotropic", "matching", "spectrum", "power_law", "offset"),
        lambda: priors.Isotropic(scale=pick(rng, None, 2.0, odd)),
        lambda: priors.get("matching", over=pick(rng, "channel", "frequency", "x", odd)),
        lambda: priors.get("power_law", exponent=pick(rng, 0.0, 3.0, odd)),
        lambda: priors.get("matching", floor=odd),
        lambda: priors.Scaled(odd),
        lambda: odd,
    )


_SCHEDULE_ARGUMENTS = {
    "linear": ("a", "r", "ordering", "gamma_denoise", "gamma_noise"),
    "frequency": ("a", "gamma_denoise", "gamma_noise"),
    "sequential": ("b", "over", "reverse", "gamma_min", "gamma_max"),
    "columns": ("b", "reverse", "gamma_min", "gamma_max"),
    "rows": ("b", "gamma_min", "gamma_max"),
    "hierarchical": ("a", "b", "levels", "columns", "gamma_min", "gamma_max"),
    "cosine": ("gamma_min", "gamma_max"),
    "vp": ("beta_min", "beta_max", "gamma_min", "gamma_max"),
    "subvp": ("beta_min", "beta_max", "gamma_min", "gamma_max"),
    "edm": ("sigma_min", "sigma_max", "rho"),
    "flow": ("gamma_min", "gamma_max"),
    "learned": ("gamma_min", "gamma_max", "pieces"),
    "blurring": ("blur", "d_min", "gamma_min", "gamma_max"),
    "heat": ("blur_min", "blur_max", "noise_std", "gamma_max"),
    "shortest": ("amplitude", "corner", "gamma_min", "gamma_max"),
    "renormalization": ("sharpness", "mass", "gamma_min", "gamma_max"),
}
_RANGES = {
    "a": (0.0, 0.5, 1.0, 3.0, (0.0, 2.0), 20.0),
    "b": (0.0, 0.5, 0.9, 0.999, 0.9999999, (0.1, 0.9), 1.0),
    "r": (0.0, 0.5, 1.0, (0.0, 1.0)),
    "ordering": ("variance", "frequency", "mixed", [1.0, 2.0]),
    "over": (None, "column", "row", "channel", "frequency", 0, 1, -1),
    "levels": ("band", "frequency", "x"),
    "columns": (None, "column", "row"),
    "gamma_min": (-7.0, -30.0, -60.0, -100.0, -1000.0, 5.0),
    "gamma_max": (5.0, 30.0, 60.0, 100.0, 1000.0, -7.0),
    "gamma_denoise": (-7.0, -30.0, -60.0),
    "gamma_noise": (None, "paper", 3.0, 30.0, 60.0),
    "reverse": (False, True),
}


def schedule_config(rng):
    """A schedule with some arguments, likely to be legal ones."""
    name = pick(rng, *_SCHEDULE_ARGUMENTS)
    given = {}
    for argument in _SCHEDULE_ARGUMENTS[name]:
        if rng.random() < 0.4:
            usual = _RANGES.get(argument, (0.01, 0.5, 1.0, 30.0))
            given[argument] = often(rng, pick(rng, *usual), odd_number(rng), p=0.9)
    if rng.random() < 0.1:
        return lambda: schedules.TimeWarp(schedules.get(name, **given), power=odd_number(rng))
    return lambda: schedules.get(name, **given)


def finite(x, what, shape=None, dtype=None):
    """Requires a finite array of this shape and type; returns it."""
    x = np.asarray(backend.to_numpy(x))
    require(x.dtype.kind in "fiu" and np.isfinite(x.astype("float64")).all(), f"{what}: not finite")
    require(shape is None or x.shape == tuple(shape), f"{what}: shape {x.shape}, not {shape}")
    require(dtype is None or str(x.dtype) == dtype, f"{what}: dtype {x.dtype}, not {dtype}")
    return x


# -- parts alone -----------------------------------------------------------------------------------


def try_basis(rng):
    """U and its inverse on data of any kind."""
    shape, config = data_shape(rng), made(basis_config(rng))
    n = pick(rng, 1, 2, 5, 40)
    basis = bases.Compose(config) if isinstance(config, list) else bases.get(config)
    x = array(rng, (n, *shape))
    basis.adapt(x)
    if x.dtype.kind not in "fui" or not np.isfinite(x.astype("float64")).all():
        return
    with np.errstate(over="ignore"):
        x = np.asarray(x, "float32")
    if not np.isfinite(x).all() or np.abs(x).max() > 1e30:
        return
    z = finite(basis(x), "components", x.shape, "float32")
    back = finite(basis.inverse(z), "inverse", x.shape, "float32")
    size = np.abs(x).max() + 1e-37
    require(np.abs(back - x).max() <= 1e-3 * size, "the inverse is none")
    for name, label in basis.coordinates.items():
        require(np.shape(label) == shape, f"label {name}")


def try_prior(rng):
    """Fitted to any mean and variance, used on components drawn accordingly."""
    shape = data_shape(rng)
    prior = priors.get(made(prior_config(rng)))
    mean = values(rng, (1, *shape))[0]
    variance = np.abs(values(rng, (1, *shape))[0])
    prior.adapt(mean, variance, often(rng, labels_of(shape), {}, None))
    for name in ("mean", "scale", "variance", "data_variance"):
        finite(getattr(prior, name), name, shape)
    require((ops.convert_to_numpy(prior.scale) > 0.0).all(), "scale")
    finite(prior.log_det(), "log_det")
    with np.errstate(over="ignore"):
        x = (mean + np.sqrt(variance) * rng.normal(size=(3, *shape))).astype("float32")
    z0 = finite(prior(ops.convert_to_tensor(x)), "z0", x.shape)
    back = finite(prior.inverse(z0), "inverse", x.shape)
    require(np.abs(back - x).max() <= 1e-3 * np.abs(x).max() + 1e-36, "the inverse is none")
    again = round_trip(prior)
    require(again.get_config() == prior.get_config(), "config")


def try_schedule(rng):
    """Gamma(t) of any schedule, with any parameters, of components of any variance."""
    shape = data_shape(rng)
    schedule = made(schedule_config(rng))
    variance = np.abs(often(rng, rng.lognormal(size=shape), values(rng, (1, *shape))[0]))
    schedule.adapt(variance, labels=often(rng, labels_of(shape), {}, None))
    given = {k: often(rng, rng.uniform(), odd_number(rng)) for k in schedule.ranges}
    given = {k: v for k, v in given.items() if rng.random() < 0.5}
    if rng.random() < 0.05:
        given["zz"] = 1.0
    params = schedule.resolve(given)
    rows = {len(v) for v in params.values()}
    if rows - {1}:
        return
    t = np.sort(np.append(rng.uniform(size=6), [0.0, 1.0])).astype("float32")
    state = schedule(ops.convert_to_tensor(t), **params)
    gamma = finite(state.gamma, "gamma")
    slope = finite(state.dgamma_dt, "dgamma_dt")
    require((np.diff(gamma, axis=0) >= -1e-3 * (1 + np.abs(gamma[1:]))).all(), "gamma decreases")
    require((slope >= 0.0).all(), "negative slope")
    check_state(state)
    kinks = schedule.kinks(**params)
    if kinks is not None:
        require(not np.isnan(ops.convert_to_numpy(kinks)).any(), "kinks")
    require(np.shape(schedule.noising_order()) == schedule.group_shape, "order")
    again = round_trip(schedule)
    require(again.get_config() == schedule.get_config(), "config")


def check_state(state):
    """Amplitudes of a state are finite and square to 1."""
    alpha, sigma = (finite(v, n) for v, n in ((state.alpha, "alpha"), (state.sigma, "sigma")))
    require(np.allclose(alpha**2 + sigma**2, 1.0, atol=1e-5), "alpha^2 + sigma^2")
    if state.dgamma_dt is not None:
        finite(state.beta, "beta")


def try_state(rng):
    """All functions of a state at any gamma from -80 to 80."""
    shape = (pick(rng, 1, 3), *data_shape(rng))
    gamma = rng.uniform(-80, 80, shape) * pick(rng, 0.01, 0.3, 1.0)
    state = NoisingState(
        ops.convert_to_tensor(gamma.astype("float32")),
        ops.convert_to_tensor(rng.uniform(0, 100, shape).astype("float32")),
    )
    check_state(state)
    z, eps, variance = (
        ops.convert_to_tensor(each.astype("float32"))
        for each in (*rng.normal(size=(2, *shape)), rng.lognormal(size=shape[1:]))
    )
    for value, name in (
        (state.snr(variance), "snr"),
        (state.marginal_variance(variance), "marginal"),
        (state.add_noise(z, eps), "noised"),
        (score_from_eps(eps, state), "score"),
        (probability_flow(z, eps, state), "flow"),
        (z0_from_eps(z, eps, state), "x0"),
        (v_from_eps(z, eps, state), "v"),
        (state.capped(pick(rng, 0.0, np.inf, -5.0)).gamma, "capped"),
    ):
        finite(value, name, shape)


def try_noise(rng):
    """Noise of any seed, index, step and shape."""
    seed = often(rng, int(rng.integers(-(2**62), 2**62)), odd_number(rng), 2**200)
    n, first = pick(rng, 1, 2, 7), int(rng.integers(2**40))
    keys = counter_rng.sample_keys(seed, n, first)
    shape, step = data_shape(rng), int(rng.integers(-1, 2**30))
    x = finite(counter_rng.normal(keys, step, shape), "normal", (n, *shape), "float32")
    require(np.abs(x).max() < 7.0, "normal")
    u = finite(counter_rng.uniform(keys, step, shape), "uniform", (n, *shape), "float32")
    require(0.0 < u.min() and u.max() < 1.0, "uniform")


def try_statistics(rng):
    """Streams of any batches against NumPy in one go."""
    shape = data_shape(rng)
    x = array(rng, (pick(rng, 1, 2, 9), *shape))
    cuts = sorted(rng.integers(0, len(x) + 1, size=2))
    moments = streaming_moments.Moments()
    for part in np.split(x, cuts):
        moments.update(part)
    exact = np.asarray(x, "float64")
    finite(moments.mean, "mean", shape)
    finite(moments.variance, "variance", shape)
    scale = np.abs(exact).max() + 1e-300
    require(np.allclose(moments.mean / scale, exact.mean(0) / scale, atol=1e-9), "mean")
    require(
        np.allclose(moments.variance, exact.var(0), rtol=1e-6, atol=1e-9 * scale**2), "variance"
    )


def round_trip(layer):
    """A part, to JSON and back."""
    tree = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    return keras.saving.deserialize_keras_object(tree)


# -- configurations of whole models ----------------------------------------------------------------


def model_arguments(rng):
    """Arguments of `GUD`; each is most likely left out or legal."""
    some = {
        "basis": lambda: made(basis_config(rng)),
        "prior": lambda: made(prior_config(rng)),
        "schedule": lambda: made(schedule_config(rng)),
        "prediction": lambda: pick(rng, *"eps residual v edm x0 linear wiener".split(), "w", 3),
        "weighting": lambda: pick(rng, "eps", "v", "likelihood", "min_snr", "x", odd_number(rng)),
        "ema_decay": lambda: often(rng, rng.uniform(), odd_number(rng)),
        "max_tokens": lambda: often(rng, pick(rng, 1, 2, 64), odd_number(rng)),
        "classes": lambda: often(rng, pick(rng, 1, 3, None), odd_number(rng)),
        "label_dropout": lambda: often(rng, rng.uniform(), odd_number(rng)),
        "start_covariance": lambda: pick(rng, True, False),
        "region": lambda: pick(rng, (), "inpaint", ["upscale", "denoise"], "x", odd_number(rng)),
        "seed": lambda: often(rng, 0, odd_number(rng)),
        "data_shape": lambda: often(rng, None, data_shape(rng), odd_number(rng)),
        "backbone_dtype": lambda: often(rng, None, "mixed_bfloat16", odd_number(rng)),
        "preset": lambda: pick(rng, *keras_gud.presets.__all__, "x", odd_number(rng)),
        "surprise": lambda: 1,
    }
    rare = {"surprise": 0.02, "preset": 0.1, "data_shape": 0.1, "region": 0.1}
    names = [name for name in some if rng.random() < rare.get(name, 0.3)]
    return {name: some[name]() for name in names}


def try_config(rng):
    """The constructor with any arguments, and its configuration to JSON and back."""
    arguments = {"backbone": often(rng, "tiny", "small", OneWeightPerValue(), odd_number(rng))}
    model = keras_gud.GUD(**arguments, **model_arguments(rng))
    config = json.loads(json.dumps(model.get_config()))
    again = keras_gud.GUD.from_config(config)
    require(json.loads(json.dumps(again.get_config())) == config, "config")


# -- whole models ----------------------------------------------------------------------------------


_LEGAL = {
    "basis": ("pixel", "haar", "fourier", "dct", "pca", "channel", ["channel", "dct"]),
    "prior": ("isotropic", "matching", "spectrum", "power_law"),
    "schedule": ("linear", "frequency", "sequential", "cosine", "vp", "edm", "flow", "shortest"),
    "prediction": ("eps", "residual", "v", "edm", "x0", "linear", "wiener"),
    "weighting": ("eps", "v", "likelihood", "min_snr"),
    "classes": (None, None, 3),
    "start_covariance": (True, False),
}


def random_model(rng):
    """A `GUD` with a trivial backbone; few of its arguments are odd."""
    arguments = {k: pick(rng, *some) for k, some in _LEGAL.items() if rng.random() < 0.4}
    odd = model_arguments(rng)
    arguments |= {k: v for k, v in odd.items() if rng.random() < (0.08 if k in _LEGAL else 0.03)}
    told = isinstance(arguments.get("classes"), int) and arguments["classes"] == 3
    backbone = OneWeightPerClass() if told else OneWeightPerValue()
    return keras_gud.GUD(backbone=backbone, **({"seed": 0} | arguments))


def try_adapt(rng):
    """Statistics of any data, and components made with them."""
    shape = (pick(rng, 1, 2, 30, 30, 30, 30), *data_shape(rng))
    x = rng.normal(size=shape).astype("float32")
    x = often(rng, x, (128 + 40 * x).clip(0, 255).astype("uint8"), array(rng, shape))
    model = random_model(rng)
    model.adapt(x, verbose=0)
    for part in (model.basis, model.prior, model.schedule, model.tokens, model.moments):
        for v in part.variables:
            finite(ops.cast(v, "float32"), v.path)
    space, parts = model.data_space, (model.basis, model.prior)
    z0 = model.prior(model.basis(space.to_model(x[:2])))
    z0 = finite(z0, "components", (min(len(x), 2), *x.shape[1:]), "float32")
    dtype = "uint8" if x.dtype == np.uint8 else "float32"
    finite(space.to_data(z0, *parts), "data", z0.shape, dtype)


def usable_data(rng):
    """Data that are most likely good, in one of few shapes."""
    shape = pick(rng, (4,), (4, 4, 1), (4, 6, 3), (1, 1, 1), (8, 2))
    if rng.random() < 0.15:
        return array(rng, (pick(rng, 1, 16), *shape))
    x = rng.normal(size=(16, *shape))
    if len(shape) == 3 and rng.random() < 0.5:
        return np.clip(128 + 50 * x, 0, 255).astype("uint8")
    return (x * pick(rng, 1.0, 1e-3, 1e4, 1e10, 1e-10) + pick(rng, 0.0, 0.0, 1e3)).astype("float32")


def try_fit(rng):
    """Train, evaluate, sample, save and load."""
    model, x = random_model(rng), usable_data(rng)
    y = rng.integers(0, 3, len(x)) if model.classes else None
    try:
        history = model.fit(x, y, batch_size=8, epochs=1, verbose=0).history
    except keras_gud.NonFiniteLossError:
        for v in model.variables:
            finite(ops.cast(v, "float32"), f"{v.path} after the loss was not finite")
        raise
    finite(history["loss"], "loss")
    finite(model.evaluate(x, y, verbose=0), "evaluation")
    finite(model.predict(x[:4], verbose=0), "bound", (min(4, len(x)),))
    sample = model.sample(2, steps=2, seed=0)
    finite(sample, "samples", (2, *x.shape[1:]), "uint8" if x.dtype == np.uint8 else "float32")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.keras"
        model.save(path)
        loaded = keras_gud.load(path, compile=True)
    require(np.array_equal(loaded.sample(2, steps=2, seed=0), sample), "another sample when loaded")


# -- a trained model, called with anything ---------------------------------------------------------

_KEPT = {}


def trained(classes=None):
    """A small trained model, its data and its reference samples; made once."""
    if classes not in _KEPT:
        rng = np.random.default_rng(0)
        x = rng.normal(size=(32, 4, 4, 1)).astype("float32")
        backbone = OneWeightPerClass() if classes else OneWeightPerValue()
        schedule = schedules.Linear(a=(0.5, 1.5))
        model = keras_gud.GUD(schedule=schedule, backbone=backbone, classes=classes, seed=0)
        model.fit(x, rng.integers(0, 3, 32) if classes else None, verbose=0)
        _KEPT[classes] = model, x, model.sample(2, steps=2, seed=0)
    return _KEPT[classes]


@contextlib.contextmanager
def not_lost(model, reference):
    """Whatever happens inside, the model then samples as before."""
    try:
        yield
    finally:
        require(np.array_equal(model.sample(2, steps=2, seed=0), reference), "the model is changed")


def some_data(rng, x):
    """Of the model's data some, most likely good."""
    shape = often(rng, (2, *x.shape[1:]), (2, 4), (2, 4, 5, 1), (0, 4, 4, 1), (4, 4, 1))
    return often(rng, x[:2], x[:1], array(rng, shape), odd_number(rng), list(x[:2]), x[:2].tolist())


def try_sample(rng):
    """`sample` with any arguments."""
    classes = pick(rng, None, 3)
    model, _, reference = trained(classes)
    some = {
        "labels": lambda: pick(rng, None, 0, 2, 3, -1, [0, 1], [0, 1, 2], odd_number(rng)),
        "guidance": lambda: pick(rng, 1.0, 0.0, 2.0, [1.0, 2.0], odd_number(rng)),
        "seed": lambda: often(rng, 3, odd_number(rng)),
        "sampler": lambda: pick(rng, *samplers.registry.factories, "x", odd_number(rng)),
        "batch_size": lambda: often(rng, 2, 1, odd_number(rng)),
        "denoise": lambda: pick(rng, True, False),
        "states": lambda: pick(rng, 0, 1, 2, odd_number(rng)),
        "start": lambda: pick(rng, "matched", "prior", odd_number(rng)),
        "a": lambda: pick(rng, 0.5, 1.0, [0.5, 1.0], [0.5] * 3, odd_number(rng)),
        "guide": lambda: pick(rng, None, lambda eps, z, s: eps, lambda eps: eps, odd_number(rng)),
        "stepz": lambda: 3,
    }
    given = {name: make() for name, make in some.items() if rng.random() < 0.25 and name != "stepz"}
    if rng.random() < 0.03:
        given["stepz"] = 3
    n = often(rng, 2, 1, 3, odd_number(rng), p=0.85)
    if isinstance(n, (int, float)) and n > 100:
        return
    steps = often(rng, pick(rng, 1, 2, 5), odd_number(rng), p=0.9)
    if isinstance(steps, (int, float)) and steps > 100:
        steps = 100
    if isinstance(given.get("states"), (int, float)) and given["states"] > 100:
        given.pop("states")
    with not_lost(model, reference):
        result = model.sample(n, steps=steps, **given)
        sample, path = result if given.get("states") else (result, None)
        finite(sample, "samples", (n, *reference.shape[1:]), "float32")
        if path is not None:
            finite(path, "states", (given["states"] + 1, n, *reference.shape[1:]))


def try_likelihood(rng):
    """Likelihoods, bounds, noise and estimates of data with any arguments."""
    model, x, reference = trained()
    given = some_data(rng, x)
    name = pick(rng, "log_prob", "elbo", "predict", "encode", "decode", "denoise", "interpolate")
    arguments = {}
    if rng.random() < 0.3:
        arguments["a"] = pick(rng, 1.0, 0.5, odd_number(rng))
    if rng.random() < 0.2:
        key = pick(
            rng, "batch_size", "rtol", "probes", "draws", "labels", "trace", "given", "steps"
        )
        arguments[key] = odd_number(rng)
        if isinstance(arguments[key], (int, float)) and arguments[key] > 1000:
            return
    with not_lost(model, reference):
        if name == "denoise":
            gamma = ops.convert_to_tensor(rng.normal(size=(1, 4, 4, 1)).astype("float32"))
            result = model.denoise(given, NoisingState(gamma))
        elif name == "interpolate":
            result = model.interpolate(x[0], often(rng, x[1], given), n=3, **arguments)
        else:
            result = getattr(model, name)(given, **arguments)
        for key, value in result.items() if isinstance(result, dict) else [("", result)]:
            if key != "standard_error":
                finite(value, f"{name} {key}")


def try_training_calls(rng):
    """`fit`, `evaluate`, `compile` and friends with any arguments."""
    model, x, reference = trained()
    given = some_data(rng, x)
    odd = odd_number(rng)
    calls = {
        "evaluate": lambda: model.evaluate(given, verbose=0),
        "evaluate weight": lambda: model.evaluate(x, sample_weight=odd, verbose=0),
        "evaluate batch": lambda: model.evaluate(x, batch_size=odd, verbose=0),
        "adapt": lambda: keras_gud.GUD(backbone=OneWeightPerValue()).adapt(given, verbose=0),
        "compile": lambda: keras_gud.GUD().compile(optimizer=odd),
        "compile loss": lambda: (
            model.compile(loss=often(rng, "mse", odd)) if odd is not None else 0
        ),
        "fit": lambda: model.fit(given, epochs=0, verbose=0),
        "fit epochs": lambda: (
            model.fit(x, epochs=odd if not _large(odd) else -1, verbose=0)
            if not (isinstance(odd, (int, float)) and odd >= 1)
            else 0
        ),
        "fit split": lambda: model.fit(x, epochs=0, validation_split=odd, verbose=0),
        "fit validation": lambda: model.fit(x, epochs=0, validation_data=odd, verbose=0),
        "fit batch": lambda: model.fit(x, epochs=0, batch_size=odd, verbose=0),
        "to_noise": lambda: finite(model.to_noise(x[:2]), "noise"),
        "bits": lambda: finite(model.bits_per_dim(x[:2]), "bits"),
    }
    with not_lost(model, reference):
        calls[pick(rng, *calls)]()


def _large(x):
    return isinstance(x, (int, float)) and x > 3


# -- samplers on exact denoisers -------------------------------------------------------------------


def _oracle(kind):
    """A Gaussian, schedules that know it, and samplers of every name; made once."""
    if "oracle" not in _KEPT:
        variance = np.array([4.0, 1.0, 0.01])
        truth = oracle.Gaussian(np.array([1.0, -1.0, 0.0]), np.diag(variance))
        paths = {
            "cosine": schedules.get("cosine"),
            "wide": schedules.get("cosine", gamma_min=-30.0, gamma_max=30.0),
            "linear": schedules.get("linear", a=(0.0, 3.0)),
            "sequential": schedules.get("sequential", b=(0.0, 0.99)),
            "vp": schedules.get("vp"),
            "edm": schedules.get("edm"),
        }
        for path in paths.values():
            path.adapt(variance, coordinates={"position": np.arange(3)})
        spaced = {
            (name, spacing): samplers.get(
                name, **({} if name == "adaptive" else {"spacing": spacing})
            )
            for name in samplers.registry.factories
            for spacing in samplers.SPACINGS
        }
        _KEPT["oracle"] = truth, paths, spaced
    return _KEPT["oracle"]


def try_sampler(rng):
    """Every sampler, few steps, on paths of any kind, from noise or from given components."""
    truth, paths, spaced = _oracle("gaussian")
    schedule = paths[pick(rng, *paths)]
    sampler = spaced[pick(rng, *spaced)]
    n, adaptive = int(pick(rng, 1, 2, 4)), isinstance(sampler, samplers.AdaptiveRungeKutta)
    arguments = {"steps": 2000 if adaptive else int(pick(rng, 1, 2, 3, 5)), "batch_size": 2}
    arguments["states"] = int(pick(rng, 0, 0, 1, 3))
    arguments["seed"] = int(rng.integers(2**31))
    for name in schedule.ranges:
        arguments[name] = often(rng, rng.uniform(), odd_number(rng))
    if rng.random() < 0.1:
        arguments[pick(rng, "states", "seed", "batch_size", "steps", "first")] = odd_number(rng)
    if any(isinstance(v, (int, float)) and v > 2000 and k != "seed" for k, v in arguments.items()):
        return
    if rng.random() < 0.5:
        start = often(rng, "matched", "prior", odd_number(rng))
        result = sampler(
            truth, schedule, n, denoise=bool(rng.integers(2)), start=start, **arguments
        )
    else:
        z = rng.normal(size=(n, 3)) * pick(rng, 1.0, 1.0, 1e6, 1e-20)
        times = often(
            rng,
            (1.0, 0.0),
            (0.0, 1.0),
            (0.7, 0.2),
            (0.5, 0.5),
            (1.0, np.nan),
            (2, 0),
            odd_number(rng),
        )
        result = sampler.integrate(truth, schedule, z, times, **arguments)
    sample, path = result if isinstance(result, tuple) else (result, None)
    finite(sample, "samples", (n, 3), "float32")
    if path is not None:
        finite(path, "states", (arguments["states"] + 1, n, 3))


# -- files -----------------------------------------------------------------------------------------


def _good_file():
    if "file" not in _KEPT:
        model = trained()[0]
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder) / "m.keras")
            content = (Path(folder) / "m.keras").read_bytes()
            with zipfile.ZipFile(Path(folder) / "m.keras") as archive:
                _KEPT["file"] = content, {n: archive.read(n) for n in archive.namelist()}
    return _KEPT["file"]


def _damaged(rng, content: bytes) -> bytes:
    content = bytearray(content)
    for _ in range(pick(rng, 1, 1, 3, 30)):
        at = int(rng.integers(len(content)))
        how = pick(rng, "flip", "set", "cut", "insert", "repeat")
        if how == "flip":
            content[at] ^= 1 << int(rng.integers(8))
        elif how == "set":
            content[at : at + 4] = bytes(rng.integers(0, 256, 4, dtype="uint8"))
        elif how == "cut" and rng.random() < 0.3:
            del content[at:]
        elif how == "insert":
            content[at:at] = bytes(rng.integers(0, 256, 8, dtype="uint8"))
        elif how == "repeat":
            content[at:at] = content[at : at + 64]
        if not content:
            return b""
    return bytes(content)


def _odd_tree(rng, tree):
    """One value of a configuration replaced by an odd one."""
    nodes, waiting = [], [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (dict, list)) and node:
            nodes.append(node)
            waiting.extend(node.values() if isinstance(node, dict) else node)
    node = nodes[rng.integers(len(nodes))]
    key = pick(rng, *node) if isinstance(node, dict) else int(rng.integers(len(node)))
    odd = (0, -1, 3, 10**9, 10**30, 0.5, None, "a", [], {}, [3], True, -1e30, ["os", "system"])
    node[key] = pick(rng, *odd, {"class_name": "Lambda", "module": "keras.layers", "config": {}})
    return tree


def try_file(rng):
    """A damaged file, or a whole one with damaged entries or an odd configuration."""
    content, entries = _good_file()
    how = pick(rng, "file", "weights", "config", "tree", "tree", "tree")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.keras"
        if how == "file":
            path.write_bytes(_damaged(rng, content))
        else:
            name = "model.weights.h5" if how == "weights" else "config.json"
            if how == "tree":
                new = json.dumps(_odd_tree(rng, json.loads(entries[name]))).encode()
            else:
                new = _damaged(rng, entries[name])
            with zipfile.ZipFile(path, "w") as archive:
                for each, old in entries.items():
                    archive.writestr(each, new if each == name else old)
        if how == "weights" and rng.random() < 0.5:
            alone = Path(folder) / "m.weights.h5"
            alone.write_bytes(new)
            inspection.check_weights(alone)
            return
        model = keras_gud.load(path, compile=bool(rng.integers(2)))
        require(model.built, "not built")


CLASSES = {
    "bases": try_basis,
    "priors": try_prior,
    "schedules": try_schedule,
    "states (gamma to +-80)": try_state,
    "noise": try_noise,
    "statistics": try_statistics,
    "samplers on an oracle": try_sampler,
    "configurations": try_config,
    "adapt": try_adapt,
    "fit, sample, save, load": try_fit,
    "arguments of sample": try_sample,
    "arguments of likelihoods": try_likelihood,
    "arguments of training": try_training_calls,
    "damaged and odd files": try_file,
}
# Parts of all inputs: those that compile something are dear.
SHARES = {
    "samplers on an oracle": 0.3,
    "adapt": 0.3,
    "fit, sample, save, load": 0.1,
    "arguments of sample": 0.1,
    "arguments of likelihoods": 0.1,
    "arguments of training": 0.2,
}
