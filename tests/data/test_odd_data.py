"""Data that are not square colour images, from the first line to a saved model."""

import keras
import numpy as np
import pytest
from helpers.one_weight import OneWeightPerValue

import keras_gud

pytestmark = pytest.mark.once

RNG = np.random.default_rng(0)


def huge_with_a_constant_pixel():
    x = 1e4 * RNG.normal(size=(80, 4, 4, 1))
    x[:, 0, 0] = 7.0
    return x.astype("float32")


CASES = {
    "not square, one channel": (
        lambda: RNG.integers(0, 256, (80, 6, 10, 1)).astype("uint8"),
        {"basis": "dct", "prior": "matching", "schedule": "frequency"},
    ),
    "vectors": (
        lambda: RNG.normal(size=(80, 5)).astype("float32"),
        {"basis": "pca", "schedule": "linear"},
    ),
    "series of two channels": (
        lambda: RNG.normal(size=(80, 16, 2)).astype("float32"),
        {"basis": "haar", "schedule": "hierarchical"},
    ),
    "volumes": (
        lambda: RNG.normal(size=(80, 4, 4, 4, 1)).astype("float32"),
        {"basis": "fourier", "prior": "matching", "schedule": "frequency"},
    ),
    "huge, with a constant pixel": (
        huge_with_a_constant_pixel,
        {"prior": "matching", "schedule": "columns"},
    ),
    "float64 in three channels": (
        lambda: RNG.normal(size=(80, 4, 6, 3)) + 3.0,
        {"basis": ["channel_pca", "fourier"], "prior": "matching", "schedule": "linear"},
    ),
}


# The transforms are tested by themselves on every backend; one of them in all that is compiled.
EVERYWHERE = "volumes"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.once] * (name != EVERYWHERE)) for name in CASES]
)
def test_from_fit_to_file(name, tmp_path):
    make, parts = CASES[name]
    x = make()
    model = keras_gud.GUD(**parts, backbone=OneWeightPerValue(), seed=0, ema_decay=0.9)
    history = model.fit(x, batch_size=20, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    samples = model.sample(64, steps=60, seed=0)
    assert samples.shape == (64, *x.shape[1:])
    assert samples.dtype == (np.uint8 if x.dtype == np.uint8 else np.float32)
    assert np.isfinite(samples).all()
    # Barely trained, the model still knows the data's mean and scale.
    spread = x.astype("float64").std()
    assert abs(samples.mean() - x.mean()) < 0.5 * spread
    assert 0.4 * spread < samples.astype("float64").std() < 1.6 * spread
    bits = model.predict(x[:10], verbose=0)
    assert bits.shape == (10,)
    assert np.isfinite(bits).all()
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded.sample(64, steps=60, seed=0), samples)


def test_a_matching_prior_does_not_blow_up_a_constant_pixel():
    x = huge_with_a_constant_pixel()
    model = keras_gud.GUD(prior="matching", schedule="cosine", backbone=OneWeightPerValue(), seed=0)
    model.adapt(x, verbose=0)
    samples = model.sample(50, steps=50, seed=0)
    # Within the floor's standard deviation, 1e-3 of the largest, the pixel is constant.
    assert np.abs(samples[:, 0, 0] - 7.0).max() < 6 * 1e-3 * x.std()
