"""Raw data to the model's floats and back, for every type."""

import numpy as np
import pytest
from keras import ops

from keras_gud.diffusion.data_scaling import DataScaling, log_density_terms

pytestmark = pytest.mark.once

INTEGERS = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]


@pytest.mark.parametrize("kind", INTEGERS)
def test_an_integer_type_fills_minus_one_to_one(kind):
    """By the type alone, as the paper has it for 8-bit images."""
    scaling = DataScaling(kind)
    bounds = (0, 1) if kind == "bool" else (np.iinfo(kind).min, np.iinfo(kind).max)
    low, high = scaling.expected(np.array(bounds, kind))
    half = 0.5 / float(scaling.scale)
    assert float(low) == pytest.approx(-1.0 + half)
    assert float(high) == pytest.approx(1.0 - half)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("uint8", {}),
        ("uint16", {"centre": 900.0, "scale": 55.0, "step": 1.0, "low": 3, "high": 4000}),
        ("bool", {"centre": 0.3, "scale": 0.46, "step": 1.0}),
        ("float", {"centre": 0.4, "scale": 0.3, "step": 1 / 255, "low": 0.0, "high": 1.0}),
    ],
)
def test_every_value_and_its_noise_come_back(kind, arguments):
    """Dequantised anywhere within its step a value is rounded to itself."""
    scaling = DataScaling(kind, **arguments)
    low, high, step = float(scaling.low), float(scaling.high), float(scaling.step)
    raw = low + step * np.arange(round((high - low) / step) + 1)
    x = raw.astype("float32" if kind == "float" else kind)
    for u in (0.001, 0.5, 0.999):
        phi = scaling.to_phi(ops.convert_to_tensor(x), lambda u=u: u)
        back = scaling.rounded(scaling.to_raw(ops.convert_to_numpy(phi)))
        assert back.dtype == x.dtype
        np.testing.assert_allclose(back, x, atol=1e-6)
    phi = scaling.to_phi(ops.convert_to_tensor(x), lambda: 0.5)
    np.testing.assert_allclose(ops.convert_to_numpy(phi), scaling.expected(x), atol=1e-6)


def test_what_is_out_of_bounds_is_put_on_them():
    scaling = DataScaling("float", step=0.5, low=0.0, high=2.0)
    rounded = scaling.rounded(np.array([-3.0, 0.3, 1.76, 9.0], "float32"))
    assert rounded.tolist() == [0.0, 0.5, 2.0, 2.0]
    continuous = np.array([-3.0, 9.0], "float32")
    assert DataScaling("float").rounded(continuous).tolist() == [-3.0, 9.0]


def test_columns_are_scaled_each():
    arguments = {"centre": [1e6, 0.0], "scale": [1e3, 1e-2], "step": [0.0, 1e-2]}
    scaling = DataScaling("float", **arguments, low=[-np.inf, 0.0], high=[np.inf, 1e-2])
    x = np.array([[1.001e6, 0.0], [0.999e6, 1e-2]], "float32")
    np.testing.assert_allclose(scaling.expected(x), [[1.0, 0.0], [-1.0, 1.0]], rtol=1e-4)
    np.testing.assert_allclose(scaling.dequantisation_variance, [0.0, 1 / 12])
    np.testing.assert_allclose(scaling.rounded(scaling.to_raw(scaling.expected(x))), x, rtol=1e-6)
    terms = log_density_terms(np.ones(2), np.ones(2), scaling, np.ones(2), np)
    assert terms["data_scaling"] == pytest.approx(-np.log(10.0), abs=1e-9)


@pytest.mark.parametrize("kind", ["uint8", "int64", "float"])
def test_a_config_is_read_back(kind):
    scaling = DataScaling(kind, centre=[0.1, 2.0], scale=[3.0, 1.0], step=[0.0, 1.0])
    again = DataScaling(**scaling.get_config())
    assert again.get_config() == scaling.get_config()
    assert np.array_equal(again.high, scaling.high)
