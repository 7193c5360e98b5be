"""Saving and loading: everything comes back, on every backend."""

import contextlib
import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from helpers import IMPORTABLE
from helpers.tiny_model import assert_same, everything, images, make, vectors

import keras_gud
from keras_gud import schedules


@pytest.fixture(scope="module")
def trained():
    """A model with dropout and a learning-rate schedule, trained for a few steps."""
    model = make(dropout=0.2, schedule=schedules.Linear(a=(0.5, 1.5)))
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-2, 100)))
    model.fit(vectors(64), batch_size=16, epochs=2, verbose=0)
    return model


def test_a_loaded_model_goes_on_as_if_it_had_never_been_saved(trained, tmp_path):
    trained.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert type(loaded) is keras_gud.GUD
    assert_same(everything(loaded), everything(trained))
    np.testing.assert_array_equal(
        loaded.sample(3, steps=5, seed=1), trained.sample(3, steps=5, seed=1)
    )
    x = vectors(64)
    for model in (trained, loaded):
        model.fit(x, batch_size=16, epochs=3, initial_epoch=2, verbose=0)
    assert_same(everything(loaded), everything(trained))


@pytest.mark.once
def test_weights_alone(trained, tmp_path):
    trained.save_weights(tmp_path / "m.weights.h5")
    fresh = make(dropout=0.2, schedule=schedules.Linear(a=(0.5, 1.5)))
    with pytest.raises(ValueError, match="know its data before weights are loaded"):
        fresh.load_weights(tmp_path / "m.weights.h5")
    fresh.adapt(vectors(64, seed=9), verbose=0)
    fresh.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-2, 100)))
    fresh.load_weights(tmp_path / "m.weights.h5")
    assert_same(everything(fresh), everything(trained))


@contextlib.contextmanager
def largest_file(size):
    """A disk on which files cannot grow further."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.once
@pytest.mark.parametrize(("save", "name"), [("save", "m.keras"), ("save_weights", "m.weights.h5")])
def test_a_file_is_replaced_as_a_whole_or_kept(trained, tmp_path, save, name):
    path, save = tmp_path / name, getattr(trained, save)
    with largest_file(2000), pytest.raises((OSError, RuntimeError)):
        save(path)
    assert list(tmp_path.iterdir()) == []
    save(path)
    before = path.read_bytes()
    with largest_file(2000), pytest.raises((OSError, RuntimeError)):
        save(path)
    assert path.read_bytes() == before
    path.write_bytes(b"of another program")
    save(path)
    assert len(path.read_bytes()) > 2000
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.once
def test_a_file_that_is_not_to_be_overwritten(trained, tmp_path, monkeypatch):
    path = tmp_path / "m.keras"
    path.write_bytes(b"as it was")
    monkeypatch.setattr("builtins.input", lambda *args: "n")
    trained.save(path, overwrite=False)
    assert path.read_bytes() == b"as it was"
    trained.save(tmp_path / "folder", zipped=False)
    assert (tmp_path / "folder" / "model.weights.h5").is_file()


@pytest.mark.once
def test_config_round_trip(trained):
    config = trained.get_config()
    assert config["format_version"] == 1
    again = keras_gud.GUD.from_config(config)
    assert again.get_config() == config


@pytest.mark.once
def test_newer_formats_are_refused(trained):
    config = trained.get_config() | {"format_version": 99}
    with pytest.raises(ValueError, match="format version 1 or older"):
        keras_gud.GUD.from_config(config)


@pytest.mark.once
def test_export_is_refused(trained, tmp_path):
    with pytest.raises(ValueError, match="Expected `export_sampler`"):
        trained.export(tmp_path / "graph")


@pytest.mark.once
@pytest.mark.parametrize("what", ["save", "save_weights", "sample", "evaluate", "predict"])
def test_a_model_that_has_seen_no_data_says_so(what, tmp_path):
    argument = {"save": tmp_path / "m.keras", "save_weights": tmp_path / "m.weights.h5"}
    with pytest.raises(ValueError, match="Expected the model to know its data before"):
        getattr(make(), what)(argument.get(what, 3))


CHECK = """
import numpy as np, keras, keras_gud
from helpers import tiny_model
from keras_gud import NoisingState
model = keras.saving.load_model({model!r})
given = np.load({arrays!r})
state = NoisingState(keras.ops.convert_to_tensor(given["gamma"]))
eps = keras.ops.convert_to_numpy(model.denoiser(keras.ops.convert_to_tensor(given["z"]), state))
print("eps", np.abs(eps - given["eps"]).max())
print("samples", np.abs(model.sample(3, steps=20, seed=7) - given["samples"]).max())
print("iterations", int(keras.ops.convert_to_numpy(model.optimizer.iterations.value)))
model.fit(tiny_model.vectors(16), batch_size=16, verbose=0)
print("after", int(keras.ops.convert_to_numpy(model.optimizer.iterations.value)))
"""


# A circle through all of them, each way from one to another; the other ways around are slow.
NEXT = {"jax": "torch", "torch": "tensorflow", "tensorflow": "jax"}[keras.backend.backend()]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(b, marks=[pytest.mark.slow] * (b != NEXT))
        for b in ("jax", "tensorflow", "torch")
    ],
)
def test_files_cross_backends(trained, tmp_path, rng, other):
    if importlib.util.find_spec(other) is None:
        pytest.skip(f"{other} is not installed")
    z = rng.normal(size=(5, 4)).astype("float32")
    gamma = rng.normal(size=(5, 4)).astype("float32")
    state = keras_gud.NoisingState(keras.ops.convert_to_tensor(gamma))
    eps = keras.ops.convert_to_numpy(trained.denoiser(keras.ops.convert_to_tensor(z), state))
    samples = trained.sample(3, steps=20, seed=7)
    paths = {"model": str(tmp_path / "m.keras"), "arrays": str(tmp_path / "a.npz")}
    trained.save(paths["model"])
    np.savez(paths["arrays"], z=z, gamma=gamma, eps=eps, samples=samples)
    code = CHECK.format(**paths)
    environment = {
        **os.environ,
        "KERAS_BACKEND": other,
        "PYTHONPATH": IMPORTABLE,
    }
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]
    lines = (line.split() for line in result.stdout.splitlines())
    got = {words[0]: float(words[-1]) for words in lines if words}
    steps = int(keras.ops.convert_to_numpy(trained.optimizer.iterations.value))
    assert got["eps"] < 1e-4
    assert got["samples"] < 1e-3
    assert got["iterations"] == steps
    assert got["after"] == steps + 1


@pytest.mark.once
def test_every_basis_prior_and_schedule_comes_back(tmp_path):
    x = images(40)
    model = make(basis=["pca", "haar"], prior="matching", schedule="hierarchical")
    model.adapt(x, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert loaded.data_space.kind == "uint8"
    np.testing.assert_array_equal(
        loaded.sample(2, steps=3, seed=0), model.sample(2, steps=3, seed=0)
    )
