"""The part of a path that is of no use."""

import warnings

import numpy as np
import pytest
from helpers.one_weight import OneWeightPerValue

import keras_gud
from keras_gud import regions, schedules

pytestmark = pytest.mark.once


def bordered(n=256):
    """Photographs of objects on black: border pixels are nearly constant."""
    rng = np.random.default_rng(0)
    x = np.zeros((n, 8, 8, 1))
    x[:, 2:6, 2:6] = rng.normal(size=(n, 4, 4, 1))
    x[0, 0, 0] = 0.01
    return x.astype("float32")


def span_of(schedule, data_scale=1.0):
    model = keras_gud.GUD(schedule=schedule, backbone=OneWeightPerValue(), data_scale=data_scale)
    model.adapt(bordered(), verbose=0)
    return regions.measure_span(model.views[0])


def test_shares_are_those_of_the_line():
    """Noise is invisible below log(1e-4) of the mean variance, data are lost above log(100)."""
    schedule = schedules.Sequential(b=0.0, gamma_min=-20.0, gamma_max=20.0)
    with pytest.warns(UserWarning, match="wasted.*start it later.*and end it earlier"):
        span = span_of(schedule)
    variances = bordered().reshape(256, -1).var(axis=0)
    invisible = (np.log(1e-4 * variances.mean()) + 20.0) / 40.0
    lost = (20.0 - np.log(100.0 * variances.max())) / 40.0
    assert (span.low, span.high) == (-20.0, 20.0)
    assert span.invisible == pytest.approx(invisible, abs=0.02)
    assert span.lost == pytest.approx(lost, abs=0.02)


def test_the_letter_of_the_paper_warns_of_a_black_border():
    with pytest.warns(UserWarning, match="wasted.*start it later.*'cosine'"):
        span_of(schedules.Linear(floor=0.0))


@pytest.mark.parametrize("schedule", ["linear", "cosine", "columns"])
def test_defaults_waste_little_and_say_nothing(schedule):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert span_of(schedule, data_scale=None).wasted < 1.0 / 3.0


def test_adapt_reports_it(capsys):
    model = keras_gud.GUD(schedule="cosine", backbone=OneWeightPerValue())
    model.adapt(bordered(), verbose=1)
    assert "Path of Cosine: gamma from -10.0 to 10.0" in capsys.readouterr().out
