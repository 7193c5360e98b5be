"""What is wrong is said in plain words, and nothing where nothing is."""

import keras
import numpy as np
import pytest
from helpers.one_weight import OneWeightPerValue

import keras_gud
from keras_gud.models import diagnosis
from keras_gud.training import first_epoch

pytestmark = pytest.mark.once

RNG = np.random.default_rng(0)
X = RNG.normal(size=(256, 4)).astype("float32")


def fit(x=X, epochs=0, **arguments):
    arguments = {"backbone": OneWeightPerValue(), "schedule": "cosine", "seed": 0} | arguments
    model = keras_gud.GUD(**arguments)
    model.fit(x, batch_size=32, epochs=epochs, verbose=0)
    return model


def findings(model, x=X, **options):
    return " ".join(model.diagnose(x, **({"samples": 32, "steps": 8} | options)).findings)


def test_an_untrained_model():
    found = findings(fit())
    assert "0 steps" in found
    assert "no better than that of the best linear model" in found


def test_a_good_model(monkeypatch):
    """The exact denoiser of independent Gaussians, which is linear and need not be trained."""
    monkeypatch.setattr(diagnosis, "LEARNED", 1.01)
    monkeypatch.setattr(diagnosis, "FEW_STEPS", 0)
    found = fit(prediction="wiener").diagnose(X, samples=256, steps=16, validation_data=X)
    assert found.findings == ()
    assert "Nothing wrong" in str(found)
    assert found.figures["loss"] == pytest.approx(found.figures["linear_loss"], rel=1e-5)


def test_a_wasted_path_and_a_scale_far_from_one():
    wide = keras_gud.schedules.Sequential(b=0.0, gamma_min=-30.0, gamma_max=5.0)
    with pytest.warns(UserWarning, match="wasted"):
        model = fit(1e3 * X, schedule=wide, data_scale="none")
    found = findings(model, 1e3 * X, samples=0)
    assert "wasted" in found
    assert "far from 1" in found


def test_over_fitting():
    assert "over-fits" in findings(fit(prediction="wiener"), validation_data=4.0 * X, samples=0)


def test_a_generator_is_read_from_its_first_batch():
    model = fit(prediction="wiener")
    options = {"samples": 0, "batch_size": 32}
    whole = model.diagnose(X, **options).figures
    assert model.diagnose(iter(np.split(X, 8)), **options).figures == pytest.approx(whole)


def test_samples_unlike_the_data():
    """A model of much wider data than those that it is shown."""
    model = fit(X, prediction="wiener")
    found = findings(model, 0.1 * X)
    assert "times the standard deviation" in found
    assert "out of the data's range" in found


@pytest.mark.parametrize(("rate", "warns"), [(30.0, True), (1e-3, False)])
def test_a_loss_far_above_the_linear_one_after_the_first_epoch(rate, warns, recwarn, monkeypatch):
    monkeypatch.setattr(first_epoch, "MIN_STEPS", 8)
    model = keras_gud.GUD(
        schedule="cosine", backbone=OneWeightPerValue(), prediction="wiener", seed=0
    )
    model.compile(keras.optimizers.Adam(rate))
    model.fit(X, batch_size=32, epochs=2, verbose=0)
    said = [str(w.message) for w in recwarn if "best linear model has" in str(w.message)]
    assert len(said) == warns
