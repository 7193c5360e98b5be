"""A file has the network that was trained, whatever its name stands for later."""

import keras
import numpy as np
import pytest

import keras_gud
from keras_gud.backbones import sizes


@pytest.mark.once
def test_sizes_may_change_under_a_file(tmp_path, monkeypatch):
    x = np.random.default_rng(0).normal(size=(32, 6, 6, 1)).astype("float32")
    model = keras_gud.GUD(backbone="tiny", seed=0)
    model.fit(x, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    monkeypatch.setitem(sizes._UNETS["tiny"], "widths", (8, 8))
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.network.widths == model.network.widths
    assert np.array_equal(again.sample(2, steps=2, seed=0), model.sample(2, steps=2, seed=0))
    assert keras_gud.backbones.get("tiny", data_shape=(6, 6, 1)).widths == (8, 8)
