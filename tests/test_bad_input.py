"""Mistakes: a clear error, early, that names the argument; nothing trained is lost."""

import importlib.util

import keras
import numpy as np
import pytest

import keras_gud
from keras_gud import bases, schedules

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (24, 4, 4, 1)).astype("uint8")
FLOATS = RNG.normal(size=(24, 4, 4, 1)).astype("float32")


class Tiny(keras.layers.Layer):
    """A backbone with one weight per value."""

    def build(self, input_shape):
        self.scale = self.add_weight(shape=input_shape[0][1:], initializer="zeros")

    def call(self, inputs):
        return self.scale * inputs[0]


def make(**kwargs):
    return keras_gud.GUD(**({"schedule": "cosine", "backbone": Tiny(), "seed": 0} | kwargs))


def with_nan(x):
    x = x.copy()
    x[17, 0, 0, 0] = np.nan
    return x


def stream(*batches):
    return (b for b in batches)


class Empty(keras.utils.PyDataset):
    def __len__(self):
        return 0

    def __getitem__(self, index):
        raise IndexError


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
    "a path": ("images/", TypeError, "Expected `x` to be an array.*type str"),
    "a list": ([1, 2], TypeError, "Expected `x` to be an array.*type list"),
    "empty array": (IMAGES[:0], ValueError, "at least one example"),
    "empty generator": (stream(), ValueError, "empty data set"),
    "empty PyDataset": (Empty(), ValueError, "empty data set"),
    "one axis": (FLOATS.ravel(), ValueError, "with a batch axis"),
    "six axes": (FLOATS[..., None, None], ValueError, "Expected data of shape"),
    "grey without channels": (IMAGES[..., 0], ValueError, r"add the channel axis: x\[\.\.\."),
    "nan": (with_nan(FLOATS), ValueError, "Expected finite data"),
    "inf": (FLOATS / 0.0, ValueError, "Expected finite data"),
    "nan in a later batch": (Late(with_nan(FLOATS)), ValueError, "Expected finite data"),
    "another shape in a later batch": (Late(FLOATS[:, :2]), ValueError, "Expected data of shape"),
    "constant": (np.ones((9, 4, 4, 1), "float32"), ValueError, "Expected data that vary"),
    "int64": (IMAGES.astype("int64"), ValueError, "uint8 images.*int64"),
    "bool": (IMAGES > 9, ValueError, "uint8 images.*bool"),
    "channels first": (
        RNG.normal(size=(8, 3, 16, 16)).astype("float32"),
        ValueError,
        r"Expected channels last.*np\.moveaxis",
    ),
    "ambiguous dict": ({"a": FLOATS, "b": FLOATS}, ValueError, r"keys \['a', 'b'\]"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("what", BAD_DATA)
def test_bad_data(what):
    x, error, message = BAD_DATA[what]
    with pytest.raises(error, match=message):
        make().fit(x, verbose=0)


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
    "max_tokens": ({"max_tokens": 0}, "`max_tokens` >= 1"),
    "data_shape": ({"data_shape": (None, 3)}, "every size known"),
}


@pytest.mark.parametrize("what", BAD_PARTS)
def test_bad_parts(what):
    arguments, message = BAD_PARTS[what]
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_a_part_of_the_wrong_type():
    with pytest.raises(TypeError, match="`basis` to be a name, a config"):
        make(basis=3)


@pytest.mark.parametrize(
    ("cls", "arguments"),
    [
        (schedules.Hierarchical, {"a": 1.0}),
        (schedules.Hierarchical, {"b": -0.1}),
        (schedules.Sequential, {"b": (0.5, 1.2)}),
        (schedules.Linear, {"a": (2.0, 1.0)}),
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


class WrongShape(Tiny):
    def call(self, inputs):
        return inputs[0][:, :2]


def test_a_backbone_of_the_wrong_shape_fails_before_training():
    with pytest.raises(ValueError, match=r"`backbone` to return.*4, 4, 1.*\(2, 2, 4, 1\)"):
        make(backbone=WrongShape()).fit(FLOATS, verbose=0)


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
    "validation_split": (
        lambda m: m.fit(FLOATS[:2], validation_split=0.999, verbose=0),
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
    "typo": (lambda m: m.sample(1, step=10), "step=10.*Did you mean 'steps'"),
    "unknown parameter": (lambda m: m.sample(1, aa=0.5), "Did you mean 'a'"),
    "parameter out of bounds": (lambda m: m.sample(1, a=-1.0), "Expected `a` to be a number"),
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
