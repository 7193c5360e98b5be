"""Mistakes: a clear error, early, that names the argument; nothing trained is lost."""

import importlib.util
import warnings

import keras
import numpy as np
import pytest
from helpers.one_weight import OneWeightPerValue

import keras_gud
from keras_gud import backbones, backend, bases, priors, samplers, schedules

pytestmark = pytest.mark.once

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (24, 4, 4, 1)).astype("uint8")
FLOATS = RNG.normal(size=(24, 4, 4, 1)).astype("float32")


def make(**kwargs):
    return keras_gud.GUD(
        **({"schedule": "cosine", "backbone": OneWeightPerValue(), "seed": 0} | kwargs)
    )


def with_nan(x):
    x = x.copy()
    x[17, 0, 0, 0] = np.nan
    return x


def stream(*batches):
    yield from batches


class Empty(keras.utils.PyDataset):
    def __len__(self):
        return 0

    def __getitem__(self, index):
        raise IndexError


class Rows:
    """As a torch Dataset: indexed, one example at a time."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return FLOATS[index]


class Late(keras.utils.PyDataset):
    """The second batch is bad."""

    def __init__(self, second):
        super().__init__()
        self.second = second

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return (FLOATS[:8] if index == 0 else self.second,)


BAD_DATA = {
    "nothing": (None, TypeError, "Expected `x` to be an array"),
    "a path": ("images/", TypeError, "Expected `x` to be an array.*type str.*Load the file"),
    "a folder": (".", TypeError, r"type str.*datasets\.from_folder\('\.'"),
    "a list": ([1, 2], TypeError, "Expected `x` to be an array.*type list.*np.stack"),
    "a tuple": ((FLOATS, FLOATS), TypeError, r"`x` to be an array.*type tuple.*fit\(x, y\)"),
    "a generator that was not called": (stream, TypeError, r"Call it: stream\(\)"),
    "a torch data set": (Rows(), TypeError, "Expected `x` to be an array.*DataLoader"),
    "numbers for batches": ((i for i in range(3)), TypeError, "batches of arrays.*batch of int"),
    "empty array": (IMAGES[:0], ValueError, "at least one example"),
    "empty generator": (stream(), ValueError, "empty data set"),
    "empty PyDataset": (Empty(), ValueError, "empty data set"),
    "one axis": (FLOATS.ravel(), ValueError, r"with a batch axis.*reshape\(-1, 1\)"),
    "six axes": (FLOATS[..., None, None], ValueError, "Expected data of shape"),
    "grey without channels": (IMAGES[..., 0], ValueError, r"add the channel axis: x\[\.\.\."),
    "nan": (with_nan(FLOATS), ValueError, "Expected finite data"),
    "inf": (np.full_like(FLOATS, np.inf), ValueError, "Expected finite data"),
    "nan in a later batch": (Late(with_nan(FLOATS)), ValueError, "Expected finite data"),
    "another shape in a later batch": (Late(FLOATS[:, :2]), ValueError, "Expected data of shape"),
    "constant": (np.ones((9, 4, 4, 1), "float32"), ValueError, "Expected data that vary"),
    "constant 8-bit": (np.full((9, 4, 4, 1), 7, "uint8"), ValueError, "Expected data that vary"),
    "one example": (IMAGES[:1], ValueError, r"Expected data that vary.*\(1 in all\)"),
    "strings": (np.array([["a", "b"], ["c", "d"]]), ValueError, "Expected real numbers.*<U1"),
    "complex": (FLOATS + 1j, ValueError, "Expected real numbers: integers.*or floats.*complex64"),
    "channels first": (
        RNG.normal(size=(8, 3, 16, 16)).astype("float32"),
        ValueError,
        r"Expected channels last.*np\.moveaxis",
    ),
    "dict without data": ({"label": np.arange(3)}, ValueError, r"keys \['label'\]"),
    "ambiguous dict": ({"a": FLOATS, "b": FLOATS}, ValueError, r"keys \['a', 'b'\]"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_DATA)
def test_bad_data(what):
    x, error, message = BAD_DATA[what]
    with pytest.raises(error, match=message):
        make().fit(x, verbose=0)


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"]
)
def test_integers_of_other_types_are_as_good_as_8_bit_images(dtype):
    """The same numbers train the same model; samples are of their type and within their range."""
    x = (IMAGES // 2 if dtype != "bool" else IMAGES > 127).astype(dtype)
    models = make(), make()
    losses = [
        model.fit(data, batch_size=8, verbose=0).history["loss"][0]
        for model, data in zip(models, (x, x.astype("uint8")), strict=True)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    samples, expected = (model.sample(8, steps=4, seed=0) for model in models)
    assert samples.dtype == dtype
    np.testing.assert_array_equal(samples, np.clip(expected, x.min(), x.max()))


def test_unsigned_integers_of_64_bits_in_streams():
    """A type that not every backend has."""
    x, loss = IMAGES.astype("uint64"), []
    for data in (IMAGES, x):
        model = make()
        model.adapt(data, verbose=0)
        batches = stream(data[:8], data[8:16])
        loss.append(model.fit(batches, verbose=0).history["loss"][0])
    assert model.data_space.kind == "uint64"
    assert loss[0] == pytest.approx(loss[1], rel=1e-5)
    x[3, 0, 0, 0] = 2**63
    for data in (x, stream(IMAGES[:2].astype("uint64"), x)):
        with pytest.raises(
            ValueError, match=r"below 2\*\*63.*9223372036854775808|2\*\*31.*9.223e[+]18"
        ):
            make().fit(data, verbose=0)


def test_empty_tf_data():
    tf = pytest.importorskip("tensorflow")
    with pytest.raises(ValueError, match="empty data set"):
        make().fit(tf.data.Dataset.from_tensor_slices(IMAGES).take(0).batch(4), verbose=0)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
def test_channels_first_from_a_loader():
    import torch

    rows = torch.utils.data.TensorDataset(torch.rand(8, 3, 16, 16), torch.arange(8))
    with pytest.raises(ValueError, match="Expected channels last"):
        make().fit(torch.utils.data.DataLoader(rows, batch_size=4), verbose=0)


def test_channels_first_can_be_insisted_on():
    x = RNG.normal(size=(8, 3, 6, 6)).astype("float32")
    model = make(data_shape=(3, 6, 6))
    model.adapt(x, verbose=0)
    assert model.data_shape == (3, 6, 6)


BAD_PARTS = {
    "basis": ({"basis": "haarr"}, "`basis` to be one of.*Did you mean 'haar'"),
    "prior": ({"prior": "isotropc"}, "`prior`.*Did you mean 'isotropic'"),
    "schedule": ({"schedule": "cosin"}, "`schedule`.*Did you mean 'cosine'"),
    "backbone": ({"backbone": "smal"}, "`backbone`.*Did you mean 'small'"),
    "prediction": ({"prediction": "epss"}, "`prediction`.*Did you mean 'eps'"),
    "weighting": ({"weighting": "likelyhood"}, "`weighting`.*Did you mean 'likelihood'"),
    "ema_decay": ({"ema_decay": 1.0}, r"`ema_decay` in \[0, 1\)"),
    "max_tokens": ({"max_tokens": 0}, "`max_tokens` to be an integer >= 1"),
    "data_shape": ({"data_shape": (None, 3)}, "every size known"),
    "data_shape as a number": ({"data_shape": 28}, "Expected data of shape.*data_shape=28"),
    "seed": ({"seed": "zero"}, "`seed` to be an integer >= 0. Received: seed='zero'"),
    "half a seed": ({"seed": 0.5}, "`seed` to be an integer"),
    "negative seed": ({"seed": -1}, "`seed` to be an integer >= 0"),
    "long seed": ({"seed": 2**31}, "`seed` to be below 2\\*\\*31"),
    "typo": ({"predicton": "eps"}, "argument of `GUD`.*predicton='eps'. Did you mean 'prediction'"),
    "unknown": ({"levels": 3}, "argument of `GUD`, one of .*Received: levels=3"),
    "dtype": ({"backbone_dtype": "bfloat17"}, "`backbone_dtype` to be a dtype policy.*bfloat17"),
    "dtype as a config": ({"backbone_dtype": {}}, "`backbone_dtype` to be a dtype policy"),
    "list of bases": ({"basis": ["channel", "har"]}, "`basis` to be one of.*Did you mean 'haar'"),
    "no bases": ({"basis": []}, "at least one basis"),
    # What other libraries call it.
    "fft": ({"basis": "fft"}, "Did you mean 'fourier'"),
    "wavelet": ({"basis": "wavelet"}, "Did you mean 'haar'"),
    "ddpm": ({"schedule": "ddpm"}, "Did you mean 'vp'"),
    "unet": ({"backbone": "UNet"}, "Did you mean 'small'"),
    "transformer": ({"backbone": "transformer"}, "Did you mean 'dit-small'"),
    "epsilon": ({"prediction": "epsilon"}, "Did you mean 'eps'"),
    "num_classes": ({"num_classes": 10}, "Did you mean 'classes'"),
    "network": ({"network": "small"}, "Did you mean 'backbone'"),
    "image_size": ({"image_size": 32}, "Did you mean 'data_shape'"),
    "noise_schedule": ({"noise_schedule": "vp"}, "Did you mean 'schedule'"),
}


@pytest.mark.parametrize("what", BAD_PARTS)
def test_bad_parts(what):
    arguments, message = BAD_PARTS[what]
    with pytest.raises(ValueError, match=message):
        make(**arguments)


@pytest.mark.parametrize(
    ("name", "value"),
    [("basis", 3), ("schedule", bases.Haar), ("backbone", OneWeightPerValue), ("prior", 1.0)],
)
def test_a_part_of_the_wrong_type(name, value):
    with pytest.raises(TypeError, match=f"`{name}` to be a name, a config.*Received: {name}="):
        make(**{name: value})


@pytest.mark.parametrize(
    ("cls", "arguments"),
    [
        (schedules.Hierarchical, {"a": 1.0}),
        (schedules.Hierarchical, {"b": -0.1}),
        (schedules.Sequential, {"b": (0.5, 1.2)}),
        (schedules.Linear, {"a": (2.0, 1.0)}),
        (schedules.Linear, {"a": "much"}),
        (schedules.Linear, {"a": float("nan")}),
        (schedules.Hierarchical, {"a": (0.1, 0.2, 0.3)}),
    ],
)
def test_parameters_outside_their_range(cls, arguments):
    name = next(iter(arguments))
    with pytest.raises(
        ValueError, match=f"Expected `{name}` to be a number in .*Received: {name}="
    ):
        cls(**arguments)


MISFITS = {
    "haar": ({"basis": bases.Haar(levels=3)}, "Haar|haar|level"),
    "pca": ({"basis": "pca"}, "examples"),
    "hierarchical without bands": ({"schedule": "hierarchical"}, 'basis="haar"'),
    "unknown label": ({"schedule": schedules.Sequential(over="colum")}, "Did you mean 'column'"),
    "falling schedule": (
        {"schedule": schedules.Function(lambda t: 5.0 - 12.0 * t)},
        "never to decrease.*t=",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", MISFITS)
def test_parts_that_do_not_fit_the_data(what):
    arguments, message = MISFITS[what]
    with pytest.raises(ValueError, match=message):
        make(**arguments).fit(FLOATS[:12], verbose=0)


class WrongShape(OneWeightPerValue):
    def call(self, inputs):
        return inputs[0][:, :2]


def test_a_backbone_of_the_wrong_shape_fails_before_training():
    with pytest.raises(ValueError, match=r"`backbone` to return.*4, 4, 1.*\(2, 2, 4, 1\)"):
        make(backbone=WrongShape()).fit(FLOATS, verbose=0)


class TwoArguments(OneWeightPerValue):
    def call(self, y, tokens):
        return y


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        (TwoArguments(), "TwoArguments, which raised"),
        (keras.layers.Dense(3), "Dense, which raised"),
    ],
)
def test_a_backbone_that_is_called_otherwise(backbone, message):
    with pytest.raises(ValueError, match=rf"backbone\(\[y, tokens\]\).*4, 4, 1.*{message}"):
        make(backbone=backbone).fit(FLOATS, verbose=0)


@pytest.mark.filterwarnings("error:.build.. was called")
def test_a_backbone_needs_no_build_method():
    class Lazy(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(1)

        def call(self, inputs):
            return self.dense(inputs[0])

    model = make(backbone=Lazy())
    model.adapt(FLOATS, verbose=0)
    assert [tuple(w.shape) for w in model.ema.average] == [(1, 1), (1,)]


def test_after_a_failed_fit_another_shape_is_explained():
    model = make()
    with pytest.raises(ValueError, match="Expected data that vary"):
        model.adapt(np.ones((9, 4, 4, 1), "float32"), verbose=0)
    with pytest.raises(
        ValueError, match=r"\(batch, 4, 4, 1\), for which .* was built.*\(2, 4, 1\)"
    ):
        model.adapt(FLOATS[:, :2], verbose=0)


@pytest.mark.parametrize("shape", [(4, 4, 1), (2, 3, 1), (1, 1, 3), (5, 7, 2)])
def test_tiny_images_get_a_network_that_fits(shape):
    model = keras_gud.GUD(schedule="cosine", backbone="tiny", seed=0)
    model.adapt(RNG.normal(size=(16, *shape)), verbose=0)
    assert model.denoiser.data_shape == shape


@pytest.fixture(scope="module")
def trained():
    model = make(schedule=schedules.Linear(a=(0.5, 1.5)))
    model.fit(FLOATS, verbose=0)
    return model


def weights_of(model):
    return [keras.ops.convert_to_numpy(v.value).copy() for v in model.variables]


MISTAKES = {
    "loss": (lambda m: m.compile(loss="mse"), "Expected no `loss`"),
    "metrics": (lambda m: m.compile(metrics=["mae"]), "Expected no `metrics`"),
    "another shape": (lambda m: m.fit(FLOATS[:, :2], verbose=0), "as the model was adapted to"),
    "another kind": (lambda m: m.fit(IMAGES, verbose=0), "Expected float data"),
    "nan": (lambda m: m.fit(with_nan(FLOATS), verbose=0), "Expected finite data"),
    "nan to evaluate": (lambda m: m.evaluate(with_nan(FLOATS), verbose=0), "Expected finite data"),
    "kind to predict": (lambda m: m.predict(IMAGES, verbose=0), "Expected float data"),
    "shape of validation data": (
        lambda m: m.fit(FLOATS, validation_data=FLOATS[:, :2], verbose=0),
        "as the model was adapted to",
    ),
    "sample_weight": (
        lambda m: m.fit(FLOATS, sample_weight=np.ones(5), verbose=0),
        r"`sample_weight` of shape \(24,\)",
    ),
    "sample_weight with a data set": (
        lambda m: m.fit(Late(FLOATS), sample_weight=np.ones(5), verbose=0),
        "`sample_weight` only with arrays",
    ),
    "negative sample_weight": (
        lambda m: m.fit(FLOATS, sample_weight=-np.ones(24), verbose=0),
        "`sample_weight` to be finite, >= 0 and not all 0",
    ),
    "wrong weights in a batch": (
        lambda m: m.fit(stream((FLOATS, None, np.ones(3))), verbose=0),
        "one sample weight per example.*24 examples with 3 weights",
    ),
    "loss weights": (lambda m: m.compile(loss_weights=[1.0]), "Expected no `loss_weights`"),
    "epochs": (lambda m: m.fit(FLOATS, epochs="3", verbose=0), "`epochs` to be an integer"),
    "channels first": (lambda m: m.evaluate(FLOATS.transpose(0, 3, 1, 2)), "as the model was"),
    "validation_split": (
        lambda m: m.fit(FLOATS[:2], validation_split=0.999, verbose=0),
        "`validation_split` to leave examples on both sides",
    ),
    "validation_split that is no number": (
        lambda m: m.fit(FLOATS, validation_split=b"x", verbose=0),
        "`validation_split` to be a number",
    ),
    "validation_split that is an array": (
        lambda m: m.fit(FLOATS, validation_split=np.zeros(2), verbose=0),
        "`validation_split` to be a number",
    ),
    "validation_split that is nan": (
        lambda m: m.fit(FLOATS, validation_split=np.nan, verbose=0),
        "`validation_split` to leave examples on both sides",
    ),
    "split of a stream": (
        lambda m: m.fit(Late(FLOATS), validation_split=0.5, verbose=0),
        "`x` to be an array where `validation_split`",
    ),
    "sampler": (lambda m: m.sample(1, sampler="eulermaruyama"), "Did you mean 'euler_maruyama'"),
    "no steps": (lambda m: m.sample(1, steps=0), "`steps` to be an integer >= 1"),
    "no samples": (lambda m: m.sample(0), "`n` to be an integer >= 1"),
    "half a sample": (lambda m: m.sample(2.5), "`n` to be an integer"),
    "n is nothing": (lambda m: m.sample(None), "`n` to be an integer >= 1. Received: n=None"),
    "half a step": (lambda m: m.sample(1, steps=2.5), "`steps` to be an integer"),
    "typo": (lambda m: m.sample(1, step=10), "an argument.*step=10.*Did you mean 'steps'"),
    "unknown parameter": (lambda m: m.sample(1, aa=0.5), "Did you mean 'a'"),
    "parameter out of bounds": (lambda m: m.sample(1, a=-1.0), "Expected `a` to be a number"),
    "other name": (lambda m: m.sample(1, n_steps=10), "n_steps=10.*Did you mean 'steps'"),
    "num_samples": (lambda m: m.sample(num_samples=4), "num_samples=4.*Did you mean 'n'"),
    "guidance_scale": (lambda m: m.sample(guidance_scale=4), "Did you mean 'guidance'"),
    "solver": (lambda m: m.sample(4, sampler="dopri5"), "Did you mean 'tsit5'"),
    "another typo": (lambda m: m.elbo(FLOATS, drawz=3), "drawz=3.*Did you mean 'draws'"),
    "a word": (lambda m: m.sample(1, a="fast"), "Expected `a` to be a number"),
    "no value": (lambda m: m.sample(1, a=[]), "Expected `a` to be a number, or an array"),
    "a complex number": (lambda m: m.sample(1, a=1j), "Expected `a` to be a number"),
    "a number as text": (lambda m: m.sample(1, a="0.5"), "Expected `a` to be a number"),
    "an optimizer without a name": (
        lambda m: m.compile(optimizer={}),
        "Expected `optimizer` to be a Keras optimizer",
    ),
    "a trace of another kind": (
        lambda m: m.log_prob(FLOATS, trace=np.zeros(2)),
        "Expected `trace` to be one of",
    ),
    "noised data with nan": (
        lambda m: m.denoise(np.full_like(FLOATS, np.nan), m.schedule(0.5)),
        "Expected finite data",
    ),
    "data that are far too large": (
        lambda m: m.elbo(1e30 * FLOATS),
        "about as large as those that the model was fitted to.*first in example 0",
    ),
    "an array as a name": (
        lambda m: m.sample(1, start=np.zeros(2)),
        r"Expected `start` to be one of \['matched', 'prior'\]",
    ),
    "a guide of one argument": (
        lambda m: m.sample(1, guide=lambda eps: eps),
        r"a callable \(eps, z, state\) -> eps",
    ),
    "too many values": (lambda m: m.sample(3, a=[0.6, 0.7]), "one for each of n=3 samples"),
    "negative states": (lambda m: m.sample(1, states=-1), "`states` to be an integer >= 0"),
    "no batch": (lambda m: m.sample(1, batch_size=0), "`batch_size` to be an integer >= 1"),
    "no batch to fit": (
        lambda m: m.fit(FLOATS, batch_size=0, verbose=0),
        "`batch_size` to be an integer >= 1",
    ),
    "half an epoch": (lambda m: m.fit(FLOATS, epochs=0.5, verbose=0), "`epochs` to be an integer"),
    "nan weights": (
        lambda m: m.fit(FLOATS, sample_weight=np.full(24, np.nan), verbose=0),
        "`sample_weight` to be finite",
    ),
    "sample_weight to evaluate": (
        lambda m: m.evaluate(FLOATS, sample_weight=np.ones((24, 2)), verbose=0),
        r"`sample_weight` of shape \(24,\)",
    ),
    "validation data as a tuple of four": (
        lambda m: m.fit(FLOATS, validation_data=(FLOATS, None, None, 1), verbose=0),
        "`validation_data` to be data or a tuple",
    ),
    "integers to predict": (lambda m: m.predict(FLOATS.astype(int), verbose=0), "x of dtype int"),
    "nan to adapt to": (
        lambda m: m.fit(Late(with_nan(FLOATS)), adapt=True, verbose=0),
        "Expected finite data",
    ),
    "a constant to adapt to": (
        lambda m: m.fit(np.ones_like(FLOATS), adapt=True, verbose=0),
        "Expected data that vary",
    ),
    "another shape to adapt to": (lambda m: m.adapt(FLOATS[:, :2], verbose=0), "of shape"),
    "export": (lambda m: m.export("model"), "Expected `export_sampler`"),
    "half a seed": (lambda m: m.sample(1, seed=0.5), "`seed` to be an integer"),
    "draws": (lambda m: m.elbo(FLOATS, draws=0), "`draws` to be an integer >= 1"),
    "seed": (lambda m: m.sample(1, seed="zero"), "`seed` to be an integer"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_mistakes_cost_a_trained_model_nothing(trained, what):
    mistake, message = MISTAKES[what]
    before = weights_of(trained)
    with pytest.raises(ValueError, match=message):
        mistake(trained)
    for a, b in zip(weights_of(trained), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.isfinite(trained.sample(2, steps=2, seed=0)).all()


def test_a_value_outside_the_trained_range_warns(trained):
    with pytest.warns(UserWarning, match=r"outside the range \[0.5, 1.5\]"):
        trained.sample(1, steps=2, a=2.0)


# -- too early, and on the wrong model ------------------------------------------------------------

TOO_EARLY = {
    "sample": lambda m, path: m.sample(1),
    "denoise": lambda m, path: m.denoise(FLOATS, None),
    "evaluate": lambda m, path: m.evaluate(FLOATS, verbose=0),
    "predict": lambda m, path: m.predict(FLOATS, verbose=0),
    "elbo": lambda m, path: m.elbo(FLOATS),
    "save": lambda m, path: m.save(path / "m.keras"),
    "save_weights": lambda m, path: m.save_weights(path / "m.weights.h5"),
    "load_weights": lambda m, path: m.load_weights(path / "m.weights.h5"),
    "call": lambda m, path: m(FLOATS),
    "build": lambda m, path: m.build((None, 4, 4, 1)),
}


@pytest.mark.parametrize("what", TOO_EARLY)
def test_nothing_works_before_the_model_knows_its_data(what, tmp_path):
    with pytest.raises(ValueError, match=r"Expected the model to know its data before.*model\.fit"):
        TOO_EARLY[what](make(), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("argument", ["bais", "shedule", "predicton", "batch_size"])
def test_unknown_arguments_of_the_model(argument):
    with pytest.raises(ValueError, match=f"Expected an argument of `GUD`.*{argument}=1"):
        make(**{argument: 1})


def test_a_first_fit_that_fails_leaves_the_model_usable():
    model = make(basis="pca")
    for bad in (FLOATS[:12], with_nan(FLOATS), np.ones_like(FLOATS)):
        with pytest.raises(ValueError, match="Expected"):
            model.fit(bad, verbose=0)
    assert not model.built
    model.adapt(FLOATS, verbose=0)
    reference = make(basis="pca")
    reference.adapt(FLOATS, verbose=0)
    np.testing.assert_array_equal(
        *(np.asarray(m.basis.get_weights()[0]) for m in (model, reference))
    )


@pytest.mark.parametrize("empty", [0, 1])
def test_an_empty_batch_in_a_stream(empty):
    batches = [FLOATS[:8], FLOATS[8:16]]
    batches[empty] = FLOATS[:0]
    with pytest.raises(ValueError, match=r"Expected at least one example.*\(0, 4, 4, 1\)"):
        make().fit(stream(*batches), verbose=0)


@pytest.mark.parametrize("name", ["tiny", "small", "base"])
@pytest.mark.parametrize(
    ("shape", "levels"), [((4, 4, 1), 3), ((2, 3, 1), 2), ((1, 1, 3), 1), ((5, 7, 2), 3)]
)
def test_named_networks_drop_levels_that_do_not_fit(name, shape, levels):
    whole = backbones.get(name).widths
    assert backbones.get(name, data_shape=shape).widths == whole[:levels]
    assert backbones.get(name, data_shape=(32, 32, 3)).widths == whole


def rows():
    yield FLOATS


HINTS = {
    "path": ("digits.npy", r"np\.load\(path\)"),
    "list": ([FLOATS[0]], r"np\.stack\(x\)"),
    "function": (rows, r"Call it: rows\(\)"),
}


@pytest.mark.parametrize("what", HINTS)
def test_what_is_no_data_says_how_to_make_it_data(what):
    x, hint = HINTS[what]
    with pytest.raises(TypeError, match=f"Expected `x` to be an array.*{hint}"):
        make().fit(x, verbose=0)


@pytest.fixture(scope="module")
def of_images():
    """A model that knows 8-bit images."""
    model = make()
    model.adapt(IMAGES, verbose=0)
    return model


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_floats_for_a_model_of_8_bit_images(of_images, method):
    before = weights_of(of_images)
    with pytest.raises(ValueError, match=r"Expected uint8 data.*float32.*original integers; the"):
        getattr(of_images, method)(IMAGES / np.float32(255), verbose=0)
    for a, b in zip(weights_of(of_images), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert of_images.sample(2, steps=2, seed=0).dtype == np.uint8


def test_a_later_bad_batch_stops_a_second_fit_before_it_is_learnt(trained):
    """A stream cannot be checked in advance without reading it twice."""
    with pytest.raises(ValueError, match="Expected finite data"):
        trained.fit(Late(with_nan(FLOATS)), verbose=0)
    with pytest.raises(ValueError, match="as the model was adapted to"):
        trained.evaluate(Late(FLOATS[:, :2]), verbose=0)
    assert all(np.isfinite(w).all() for w in weights_of(trained))
    assert np.isfinite(trained.sample(2, steps=2, seed=0)).all()


def test_what_is_left_open_takes_the_middle_of_its_range_without_a_warning(trained):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        middle = trained.sample(1, steps=2, seed=0)
        np.testing.assert_array_equal(middle, trained.sample(1, steps=2, seed=0, a=1.0))


# What a stream may bring after a good first batch, once the model is trained.
LATE = {
    "nan": (with_nan(FLOATS), "Expected finite data"),
    "another shape": (FLOATS[:, :2], "as the model was adapted to"),
    "another kind": (IMAGES, "Expected float data"),
    "nothing": (FLOATS[:0], "at least one example in every batch"),
}


def generator_of(second):
    return stream(FLOATS[:8], second)


def loader_of(second):
    torch = pytest.importorskip("torch")
    rows = [torch.from_numpy(x) for x in (FLOATS[:8], second)]
    return torch.utils.data.DataLoader(rows, batch_size=None)  # rows that are batches already


@pytest.mark.parametrize("make_stream", [generator_of, Late, loader_of])
@pytest.mark.parametrize("what", LATE)
def test_a_bad_batch_in_a_stream_poisons_nothing(trained, what, make_stream):
    second, message = LATE[what]
    for use in (trained.evaluate, trained.fit, trained.predict):
        with pytest.raises(ValueError, match=message):
            use(make_stream(second), verbose=0)
    for value in weights_of(trained):
        assert np.isfinite(value).all()
    assert np.isfinite(trained.sample(2, steps=2, seed=0)).all()


def test_nan_in_later_tf_data_poisons_nothing(trained):
    tf = pytest.importorskip("tensorflow")
    # The first batch of 16 is good.
    batches = tf.data.Dataset.from_tensor_slices(with_nan(FLOATS)).batch(16)
    for use in (trained.evaluate, trained.fit):
        with pytest.raises(tf.errors.InvalidArgumentError, match="Expected finite data"):
            use(batches, verbose=0)
    for value in weights_of(trained):
        assert np.isfinite(value).all()


# -- found by benchmarks/robustness.py ---------------------------------------------------------


@pytest.mark.parametrize(
    ("make_part", "message"),
    [
        (lambda: schedules.get("cosine", gamma_min="a"), "`gamma_min` to be a number"),
        (lambda: schedules.get("learned", gamma_max=[1, 2]), "`gamma_max` to be a number"),
        (lambda: schedules.get("vp", beta_min=1j), "`beta_min` to be a number"),
        (lambda: schedules.get("edm", rho=None), "`rho` to be a number"),
        (lambda: schedules.get("heat", blur_min=b"x"), "`blur_min` to be a number"),
        (lambda: schedules.get("blurring", blur={}), "`blur` to be a number"),
        (lambda: schedules.get("shortest", corner=()), "`corner` to be a number"),
        (lambda: schedules.get("renormalization", mass="1"), "`mass` to be a number"),
        (lambda: schedules.get("linear", gamma_denoise=[]), "`gamma_denoise` to be a number"),
        (lambda: schedules.get("linear", ordering=object()), "`ordering` to be a name or an array"),
        (lambda: schedules.TimeWarp("cosine", power="a"), "`power` to be a number"),
        (lambda: schedules.TimeWarp("cosine", power=1e-8), "`power` > 0, from 1/16 to 16"),
        (lambda: priors.get("matching", floor="a"), "`floor` to be a number"),
        (lambda: priors.get("matching", over=3), "`over` to be names of coordinates"),
        (lambda: priors.Isotropic(scale={}), "`scale` to be a number"),
        (lambda: priors.Scaled("a"), "`scale` to be positive and finite"),
        (lambda: bases.Matrix("a"), "`matrix` to be a square matrix of numbers"),
        (lambda: bases.PCA(floor=[1]), "`floor` to be a number"),
        (lambda: priors.get({"class_name": "__bytes__", "config": {"value": "a"}}), "`prior` to"),
        (lambda: make(prediction=[]), "`prediction` to be one of"),
        (lambda: make(region=3), "`region` to be a name"),
    ],
)
def test_arguments_of_parts_that_are_no_numbers(make_part, message):
    with pytest.raises((ValueError, TypeError), match=f"Expected {message}"):
        make_part()


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_data_whose_variance_float32_cannot_hold(scale):
    """They are scaled, and train as others; taken as they are, they are refused."""
    x = (scale * FLOATS).astype("float32")
    with pytest.raises(ValueError, match="within the range of float32.*Rescale the data"):
        make(data_scale="none").adapt(x, verbose=0)
    models, losses = (make(), make()), []
    for model, data in zip(models, (FLOATS, x), strict=True):
        losses.append(model.fit(data, batch_size=8, verbose=0).history["loss"][0])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    expected, samples = (model.sample(8, steps=4, seed=0) for model in models)
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples / scale, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (schedules.get("sequential", gamma_max=1e3, over=0), "gamma from -80 to 80.*Sequential"),
        (schedules.get("edm", sigma_max=1e30), "gamma from -80 to 80.*EDM"),
        (schedules.get("linear", a=(0.0, 80.0)), "gamma from -80 to 80.*Linear.*'a': 80"),
        (
            schedules.get("linear", ordering=[1.0, 2.0]),
            r"`ordering` that broadcasts to the data's shape \(3,\)",
        ),
        (schedules.get("sequential", over=2), r"`over` to be an axis of the data's shape \(3,\)"),
    ],
)
def test_schedules_beyond_float32(schedule, message):
    with pytest.raises(ValueError, match=f"Expected.*{message}"):
        schedule.adapt(np.array([1.0, 0.1, 0.01]))


def test_arguments_of_a_trained_model_that_are_of_another_kind(trained):
    state = keras_gud.NoisingState(keras.ops.zeros((1, 4, 4, 1)))
    with pytest.raises(ValueError, match=r"Expected x of shape \(batch, 4, 4, 1\)"):
        trained.denoise(3.0, state)
    with pytest.raises(ValueError, match="Expected `first` and `second` to be two examples"):
        trained.interpolate(FLOATS[0], FLOATS[:2])
    sampler, schedule = samplers.get("rk4"), trained.schedule
    z = np.zeros((2, 4, 4, 1))
    with pytest.raises(ValueError, match="Expected `times` to be two different numbers"):
        sampler.integrate(trained.denoiser, schedule, z, True)
    for first, message in (({}, "`first` to be an integer"), ([1, 2, 3], "one for each of n=2")):
        with pytest.raises(ValueError, match=message):
            sampler.integrate(trained.denoiser, schedule, z, first=first)


def test_a_masked_array_does_not_lose_its_mask_silently():
    with pytest.raises(ValueError, match="Expected data without a mask"):
        make().adapt(np.ma.masked_array(FLOATS, FLOATS > 1.0), verbose=0)


@pytest.mark.skipif(
    keras.backend.backend() != "torch" or backend.torch_has_gpu(), reason="of torch on a CPU"
)
def test_half_precision_that_the_device_lacks():
    model = keras_gud.GUD(backbone="tiny", backbone_dtype="mixed_float16")
    with pytest.raises(ValueError, match="no gradients in float16.*'mixed_bfloat16'"):
        model.fit(RNG.integers(256, size=(8, 4, 4, 1)).astype("uint8"), verbose=0)
