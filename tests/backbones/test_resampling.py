"""Resampling against direct sums over the filter."""

import numpy as np
import pytest
from helpers.networks import as_numpy, maybe_compiled
from keras import ops

from keras_gud.backbones.resampling import fir_downsample, fir_upsample, halved

SIZES = {"even": (6,), "odd": (7,), "one": (1,), "images": (5, 4), "volumes": (2, 3, 4)}


def along(axis, x, function):
    return np.apply_along_axis(function, axis, x)


def down(v):
    """(1, 3, 3, 1)/8 around each pair; the end is repeated."""
    v = np.append(v, v[-1]) if v.size % 2 else v
    padded = np.pad(v, 1, mode="edge")
    return np.array([padded[i : i + 4] @ [1, 3, 3, 1] / 8 for i in range(0, v.size, 2)])


def up(v):
    """Zeros between the values, then (1, 3, 3, 1)/4."""
    stuffed = np.zeros(2 * v.size + 4)
    stuffed[::2] = np.pad(v, 1, mode="edge")
    return np.convolve(stuffed, [1 / 4, 3 / 4, 3 / 4, 1 / 4])[3 : 3 + 2 * v.size]


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param(sizes, id=name, marks=[pytest.mark.once] * (name != "images"))
        for name, sizes in SIZES.items()
    ],
)
def test_fir_filters(sizes, rng):
    x = rng.normal(size=(2, *sizes, 3)).astype("float32")
    halves = doubles = x
    for axis in range(1, len(sizes) + 1):
        halves, doubles = along(axis, halves, down), along(axis, doubles, up)
    targets = [tuple(2 * n - crop for n in sizes) for crop in (0, 1)]

    @maybe_compiled
    def resampled(x):
        return fir_downsample(x), *(fir_upsample(x, target) for target in targets)

    down_sampled, *up_sampled = resampled(ops.convert_to_tensor(x))
    np.testing.assert_allclose(as_numpy(down_sampled), halves, atol=1e-6)
    assert halves.shape[1:-1] == halved(sizes)
    for result, target in zip(up_sampled, targets, strict=True):
        expected = doubles[(slice(None), *(slice(n) for n in target))]
        np.testing.assert_allclose(as_numpy(result), expected, atol=1e-6)


@pytest.mark.once
def test_constants_stay_constant():
    x = ops.full((1, 5, 6, 2), 3.0)
    np.testing.assert_allclose(as_numpy(fir_downsample(x)), 3.0, rtol=1e-6)
    np.testing.assert_allclose(as_numpy(fir_upsample(x, (9, 12))), 3.0, rtol=1e-6)
