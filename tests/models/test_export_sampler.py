"""Samplers as graphs: run in a process without this package, they draw the model's samples."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from helpers.one_weight import OneWeightPerValue

import keras_gud
from keras_gud import schedules
from keras_gud.backend import graphs
from keras_gud.models.exporting import SamplerGraph

BACKEND = keras.backend.backend()
RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (32, 3)).astype("uint8")
IMAGES = RNG.integers(0, 256, (32, 8, 8, 1)).astype("uint8")
# What runs each format; `rows` are given as int32, and `got` is saved.
RUN = {
    "jax": """
import jax.export, pathlib
graph = jax.export.deserialize(bytearray(pathlib.Path(path).read_bytes()))
sample = graph.call
""",
    "tf_saved_model": """
import tensorflow as tf
module = tf.saved_model.load(path)
sample = lambda seed, rows: module.sample(tf.constant(seed), tf.constant(rows)).numpy()
""",
    "onnx": """
sys.path.insert(0, path)
import sampler
sample = sampler.load()
""",
}


def run(format, path, seed, rows):
    """What a process draws that does not import this package."""
    code = f"""
import sys, numpy as np
path, out = sys.argv[1:3]
{RUN[format]}
got = np.asarray(sample(np.int32({seed}), np.asarray({list(rows)}, "int32")))
np.save(out, got)
assert "keras_gud" not in sys.modules
"""
    out = path.parent / "samples.npy"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(out)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return np.load(out)


def make(**arguments):
    model = keras_gud.GUD(backbone=OneWeightPerValue(), seed=0, **arguments)
    model.adapt(X, verbose=0)
    model.network.scale.assign(np.array([0.5, -0.2, 0.1]))
    model.ema.average[0].assign(np.array([0.5, -0.2, 0.1]))
    return model


def make_latent():
    """Images of 8x8 between convolutions, of which the decoder has weights."""
    encoder = keras.layers.Conv2D(2, 3, strides=2, padding="same")
    decoder = keras.layers.Conv2DTranspose(1, 3, strides=2, padding="same", activation="tanh")
    model = keras_gud.LatentGUD(encoder, decoder, backbone=OneWeightPerValue(), seed=0)
    model.adapt(IMAGES, verbose=0)
    return model


def make_images():
    """A U-Net of images of 8x8 whose weights have moved."""
    network = keras_gud.backbones.UNet(widths=(8,), blocks=1)
    model = keras_gud.GUD(backbone=network, seed=0)
    model.fit(IMAGES, batch_size=16, epochs=2, verbose=0)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("made", [make, make_images, make_latent])
@pytest.mark.parametrize("format", sorted(RUN))
def test_the_graph_draws_what_the_model_draws(format, made, tmp_path):
    if format not in graphs.FORMATS[BACKEND]:
        pytest.skip(f"{BACKEND} does not write it")
    for package in graphs.PACKAGES[format] + (("onnxruntime",) * (format == "onnx")):
        pytest.importorskip(package)
    model, path = made(), tmp_path / "sampler"
    model.export_sampler(path, steps=3, format=format)
    found = run(format, path, 7, range(5))
    expected = model.sample(5, seed=7, steps=3)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found.astype(int), expected.astype(int), atol=1)
    assert np.ptp(expected.astype(int)) > 10


def drawn(graph, seed, rows):
    found = graph(np.asarray(seed, "int32"), np.asarray(rows, "int32"))
    return keras.ops.convert_to_numpy(found)


def graph_of(model, **arguments):
    given = {"sampler": "dpm++sde", "steps": 3, "guidance": 1.0, "denoise": True}
    given |= {"start": "matched", "schedule": None, "params": {}} | arguments
    return SamplerGraph(model, **given)


@pytest.mark.once
@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ({}, {"sampler": "euler_maruyama", "denoise": False}),
        (
            {"schedule": schedules.Sequential(b=(0.3, 0.7))},
            {"start": "prior", "params": {"b": 0.5}},
        ),
        ({"schedule": "cosine"}, {"sampler": "heun", "schedule": "linear", "start": "prior"}),
    ],
)
def test_settings_are_those_of_sample(options, arguments):
    model = make(**options)
    found = drawn(graph_of(model, **arguments), 3, [0, 1, 2, 3])
    given = dict(arguments)
    expected = model.sample(4, seed=3, steps=3, **(given.pop("params", {}) | given))
    np.testing.assert_allclose(found.astype(int), expected.astype(int), atol=1)


@pytest.mark.once
@pytest.mark.parametrize("guidance", [0.0, 1.0, 2.5])
def test_labels_and_guidance(guidance):
    model = keras_gud.GUD(backbone="tiny", classes=3, seed=0)
    model.adapt(X, verbose=0)
    labels = np.array([2, 0, 1, 2])
    graph = graph_of(model, guidance=guidance)
    assert graph.names == ("seed", "labels")
    expected = model.sample(4, labels=labels, seed=3, steps=3, guidance=guidance)
    np.testing.assert_allclose(drawn(graph, 3, labels).astype(int), expected.astype(int), atol=1)


@pytest.mark.once
def test_latents_are_decoded_in_the_graph():
    model = make_latent()
    found = drawn(graph_of(model), 3, range(4))
    expected = model.sample(4, seed=3, steps=3)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype) == ((4, 8, 8, 1), "uint8")
    np.testing.assert_allclose(found.astype(int), expected.astype(int), atol=1)
    assert np.ptp(expected.astype(int)) > 10


@pytest.mark.once
def test_one_step_at_a_time_is_the_loop():
    graph = graph_of(make())
    seed, rows = keras.ops.convert_to_tensor(5, "int32"), keras.ops.arange(4, dtype="int32")
    given = graph.given(seed, rows)
    carry = graph.begin(given)
    for i in range(3):
        carry = graph.advance_once(keras.ops.convert_to_tensor(i, "int32"), carry, given)
    found = keras.ops.convert_to_numpy(graph.finish(carry[0], given))
    np.testing.assert_array_equal(found, drawn(graph, 5, range(4)))


@pytest.mark.once
@pytest.mark.parametrize(
    ("data", "dtype"),
    [(RNG.normal(size=(40, 3)) * 9, "float32"), (RNG.integers(0, 2, (40, 3)), "float32"),
     (RNG.integers(-9, 9, (40, 3)).astype("int16"), "int16"), (X, "uint8"),
     (np.round(RNG.normal(size=(40, 3)), 1), "float32")],
)  # fmt: skip
def test_types_and_grids(data, dtype):
    model = keras_gud.GUD(backbone=OneWeightPerValue(), seed=0)
    model.adapt(data, verbose=0)
    found = drawn(graph_of(model), 3, range(6))
    assert found.dtype == dtype
    expected = model.sample(6, seed=3, steps=3)
    np.testing.assert_allclose(found, expected.astype("float64"), rtol=1e-5, atol=1e-5)


@pytest.mark.once
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"sampler": "adaptive"}, "a fixed number of steps.*'adaptive'"),
        ({"format": "onx"}, "Did you mean 'onnx'"),
        ({"guidance": 2.0}, "guidance"),
        ({"steps": 0}, "`steps` to be an integer >= 1"),
        ({"b": 0.5}, "'b'|b=0.5"),
        ({"start": "zero"}, "`start` to be one of"),
    ],
)
def test_what_cannot_be_exported(arguments, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        make().export_sampler(tmp_path / "sampler", **arguments)


def test_what_this_backend_does_not_write_names_the_one_that_does(tmp_path):
    other = {"jax": "onnx", "tensorflow": "jax", "torch": "jax"}[BACKEND]
    writer = {"onnx": "torch", "jax": "jax"}[other]
    with pytest.raises(ValueError, match=f"written with KERAS_BACKEND={writer}"):
        make().export_sampler(tmp_path / "sampler", format=other)
