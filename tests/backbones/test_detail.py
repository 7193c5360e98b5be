"""Bands of fine detail as inputs of networks."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_gud import backbones
from keras_gud.backbones.detail import detail, with_detail

RNG = np.random.default_rng(0)
BANDS = 3


def bands_of(y, periodic):
    return [ops.convert_to_numpy(band) for band in detail(y, BANDS, periodic)]


def blurred(y, distance, axes, mode):
    """By hand: the mean with weights (1, 2, 1)/4 along some axes."""
    for axis in axes:
        width = [(distance, distance) if i == axis else (0, 0) for i in range(y.ndim)]
        padded, n = np.pad(y, width, mode=mode), y.shape[axis]
        parts = [np.take(padded, np.arange(n) + k * distance, axis) for k in range(3)]
        y = (parts[0] + 2.0 * parts[1] + parts[2]) / 4.0
    return y


@pytest.mark.once
@pytest.mark.parametrize("shape", [(9,), (8, 12), (5, 8, 6)])
@pytest.mark.parametrize("mode", ["edge", "wrap"])
def test_bands_are_differences_of_blurs_at_unit_size(shape, mode):
    y = RNG.normal(size=(3, *shape, 2)).astype("float32")
    finer, axes = y.astype("float64"), range(1, len(shape) + 1)
    for j, band in enumerate(bands_of(y, (mode == "wrap",) * len(shape))):
        coarser = blurred(finer, 2**j, axes, mode)
        expected = finer - coarser
        size = np.sqrt((expected**2).mean(axis=tuple(axes), keepdims=True))
        np.testing.assert_allclose(band, expected / size, atol=1e-4)
        finer = coarser


@pytest.mark.once
def test_examples_do_not_know_of_each_other_and_constants_have_no_detail():
    y = RNG.normal(size=(4, 8, 8, 1)).astype("float32")
    y[0], y[1] = 3.0, 100.0 * y[2]
    first = bands_of(y, (False, False))[0]
    np.testing.assert_array_equal(first[0], 0.0)
    np.testing.assert_allclose(first[1], first[2], rtol=1e-4, atol=1e-5)
    alone = bands_of(y[3:], (False, False))[0]
    np.testing.assert_allclose(first[3:], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.once
def test_detail_is_found_before_the_data_are_rounded():
    y = (5.0 + 1e-3 * RNG.normal(size=(1, 8, 8, 1))).astype("float32")
    exact = ops.convert_to_numpy(with_detail(y, 1, "zero", "float32"))[..., 1]
    rounded = with_detail(y, 1, "zero", "bfloat16")
    assert keras.backend.standardize_dtype(rounded.dtype) == "bfloat16"
    found = ops.convert_to_numpy(ops.cast(rounded, "float32"))
    assert np.ptp(found[..., 0]) == 0.0  # of the data nothing is left
    np.testing.assert_allclose(found[..., 1], exact, rtol=5e-3)


NETWORKS = {
    "unet": lambda **k: backbones.UNet(widths=(8, 12), blocks=1, patch=2, **k),
    "dit": lambda **k: backbones.DiT(width=8, blocks=1, heads=2, patch=2, **k),
    "ncsnpp": lambda **k: backbones.NCSNpp(widths=(8, 8), blocks=1, heads=1, **k),
}


def inputs():
    return [RNG.normal(size=s).astype("float32") for s in ((2, 8, 8, 3), (2, 4, 2))]


def trained(network):
    """The network with a last layer that is no longer zero."""
    network([ops.convert_to_tensor(x) for x in inputs()])
    network.head.kernel.assign(RNG.normal(size=network.head.kernel.shape))
    return network


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_use_what_they_are_given(name):
    y, tokens = inputs()
    network = trained(NETWORKS[name](detail_bands=2))
    before = ops.convert_to_numpy(network([y, tokens]))
    kernel = network.stem.kernel
    changed = ops.convert_to_numpy(kernel).copy()
    positions = changed.shape[-2] // 9
    # Of each position of a patch the data's channels come first, then those of the bands.
    parts = changed.reshape(*changed.shape[:-2], positions, 9, changed.shape[-1])
    parts[..., 3:, :] = 0.0
    kernel.assign(parts.reshape(changed.shape))
    without = ops.convert_to_numpy(network([y, tokens]))
    assert np.abs(before - without).max() > 1e-3
    plain = trained(NETWORKS[name]())
    for old, new in zip(network.weights, plain.weights, strict=True):
        value = parts[..., :3, :] if old is kernel else ops.convert_to_numpy(old.value)
        new.assign(value.reshape(new.shape))
    expected = ops.convert_to_numpy(plain([y, tokens]))
    np.testing.assert_allclose(without, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.once
def test_named_unets_have_detail_and_vectors_none():
    assert backbones.get("small", (16, 16, 1)).detail_bands > 0
    assert backbones.get("small", (5,)).detail_bands == 0
    assert backbones.UNet().detail_bands == 0  # as networks saved before there were any
    with pytest.raises(ValueError, match="Expected data with spatial axes"):
        backbones.MLP(detail_bands=1).build([(None, 5), (None, 4, 2)])
    with pytest.raises(ValueError, match="detail_bands=-1"):
        backbones.UNet(detail_bands=-1)
