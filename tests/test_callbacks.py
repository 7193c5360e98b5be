"""The callback that writes sample grids while training."""

import builtins

import keras
import numpy as np
import pytest
from helpers.one_weight import OneWeightPerValue

import keras_gud
from keras_gud import callbacks


def make():
    return keras_gud.GUD(schedule="cosine", backbone=OneWeightPerValue(), seed=1)


def test_writes_a_grid_and_leaves_training_alone(tmp_path, rng):
    x = rng.integers(0, 256, (32, 4, 4, 1)).astype("uint8")
    watched, plain = make(), make()
    grid = callbacks.SampleGrid(tmp_path / "grids", n=4, every=2, steps=3)
    watched.fit(x, epochs=3, verbose=0, callbacks=[grid])
    plain.fit(x, epochs=3, verbose=0)
    # Every second epoch, and the last one.
    assert sorted(p.name for p in (tmp_path / "grids").iterdir()) == [
        "epoch_0002.png",
        "epoch_0003.png",
    ]
    assert (tmp_path / "grids" / "epoch_0003.png").read_bytes().startswith(b"\x89PNG")
    for a, b in zip(watched.variables, plain.variables, strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b), err_msg=a.path
        )


@pytest.mark.once
def test_a_picture_that_cannot_be_written_costs_no_training(tmp_path, rng):
    (tmp_path / "grids").write_text("in the way of the folder")
    grid, model = callbacks.SampleGrid(tmp_path / "grids", n=2, steps=2), make()
    with pytest.warns(UserWarning, match="epoch_0001.png. Received: .*Training continues"):
        history = model.fit(rng.normal(size=(16, 4)), verbose=0, callbacks=[grid])
    assert np.isfinite(history.history["loss"][0])


@pytest.mark.parametrize("argument", ["n", "every"])
def test_bad_numbers(argument, tmp_path):
    with pytest.raises(ValueError, match=f"`{argument}` >= 1"):
        callbacks.SampleGrid(tmp_path, **{argument: 0})


def test_missing_matplotlib_is_reported_before_training(monkeypatch, tmp_path):
    original = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r".\[demo\]"):
        callbacks.SampleGrid(tmp_path)
