"""haar against PyWavelets and against eq. 26 of the paper, written out."""

import numpy as np
import pytest
import pywt
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_gud import bases
from keras_gud.bases.batches import to_numpy

pytestmark = pytest.mark.once


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_bands_are_those_of_pywavelets(levels, rng):
    """PyWavelets' 'haar' high-pass is (even - odd)/sqrt(2) too, so all signs agree.

    Its cH is high-pass along axis 0 (low along axis 1), i.e. orientation 0b01, below the corner;
    cV is high-pass along axis 1, orientation 0b10, to the right of it; cD is both, 0b11. With
    LH of eq. 26 = low along the first index, high along the second: LH = cV and HL = cH.
    `wavedec2` lists LL first and then the details from coarse to fine, as our bands are numbered.
    """
    x = rng.normal(size=(2, 16, 24, 3))
    basis = bases.Haar(levels=levels)
    z = to_numpy(basis(x))
    coordinates = basis.coordinates
    approximation, *details = pywt.wavedec2(x, "haar", level=levels, axes=(1, 2))

    def band(number, orientation):
        mask = (coordinates["band"] == number) & (coordinates["orientation"] == orientation)
        return z[:, mask].ravel()

    np.testing.assert_allclose(band(0, 0), approximation.ravel(), atol=1e-5)
    for number, (horizontal, vertical, diagonal) in enumerate(details, start=1):
        np.testing.assert_allclose(band(number, 0b01), horizontal.ravel(), atol=1e-5)
        np.testing.assert_allclose(band(number, 0b10), vertical.ravel(), atol=1e-5)
        np.testing.assert_allclose(band(number, 0b11), diagonal.ravel(), atol=1e-5)


@pytest.mark.parametrize("shape", [(16,), (16, 2), (8, 12, 3), (4, 8, 12, 2)])
def test_pyramid_layout_is_that_of_pywavelets(shape, rng):
    axes = tuple(range(1, max(2, len(shape))))
    x = rng.normal(size=(2, *shape))
    coefficients = pywt.wavedecn(x, "haar", level=2, axes=axes)
    pyramid, _ = pywt.coeffs_to_array(coefficients, axes=axes)
    np.testing.assert_allclose(to_numpy(bases.Haar(levels=2)(x)), pyramid, atol=1e-5)


def test_one_level_is_equation_26():
    x = np.arange(16.0).reshape(4, 4) ** 2
    low, high = (x[0::2] + x[1::2]) / np.sqrt(2), (x[0::2] - x[1::2]) / np.sqrt(2)
    ll, lh = (low[:, 0::2] + low[:, 1::2]) / np.sqrt(2), (low[:, 0::2] - low[:, 1::2]) / np.sqrt(2)
    hl, hh = (
        (high[:, 0::2] + high[:, 1::2]) / np.sqrt(2),
        (high[:, 0::2] - high[:, 1::2]) / np.sqrt(2),
    )
    z = to_numpy(bases.Haar(levels=1)(x[None, ..., None]))[0, ..., 0]
    np.testing.assert_allclose(z, np.block([[ll, lh], [hl, hh]]), rtol=1e-5, atol=1e-4)


def test_coarsest_band_is_the_scaled_block_mean(rng):
    x = rng.normal(size=(2, 8, 8, 1))
    z = to_numpy(bases.Haar(levels=2)(x))
    means = x.reshape(2, 2, 4, 2, 4, 1).mean(axis=(2, 4))
    np.testing.assert_allclose(z[:, :2, :2], 4 * means, atol=1e-5)


def test_coordinates_of_two_levels():
    basis = bases.Haar(levels=2)
    basis.build((None, 4, 8, 1))
    coordinates = {name: values[..., 0] for name, values in basis.coordinates.items()}
    np.testing.assert_array_equal(
        coordinates["band"],
        [
            [0, 0, 1, 1, 2, 2, 2, 2],
            [1, 1, 1, 1, 2, 2, 2, 2],
            [2, 2, 2, 2, 2, 2, 2, 2],
            [2, 2, 2, 2, 2, 2, 2, 2],
        ],
    )
    np.testing.assert_array_equal(
        coordinates["orientation"],
        [
            [0, 0, 2, 2, 2, 2, 2, 2],
            [1, 1, 3, 3, 2, 2, 2, 2],
            [1, 1, 1, 1, 3, 3, 3, 3],
            [1, 1, 1, 1, 3, 3, 3, 3],
        ],
    )
    np.testing.assert_array_equal(
        coordinates["column"],
        [[0, 1, 0, 1, 0, 1, 2, 3], [0, 1, 0, 1, 0, 1, 2, 3], [0, 1, 2, 3] * 2, [0, 1, 2, 3] * 2],
    )
    np.testing.assert_array_equal(
        coordinates["row"], [[0] * 8, [0] * 4 + [1] * 4, [0] * 8, [1] * 8]
    )


# Every new shape compiles each operation of the eager backends anew, hence few examples.
@settings(max_examples=5, deadline=None, derandomize=True)
@given(
    levels=st.integers(1, 3),
    blocks=st.lists(st.integers(1, 3), min_size=1, max_size=2),
    channels=st.integers(1, 2),
)
def test_any_divisible_shape(levels, blocks, channels):
    shape = (*(b * 2**levels for b in blocks), channels)
    basis = bases.Haar(levels=levels)
    x = np.random.default_rng(1).normal(size=(2, *shape))
    z = to_numpy(basis(x))
    np.testing.assert_allclose(to_numpy(basis.inverse(z)), x, atol=1e-5)
    np.testing.assert_allclose((z**2).sum(), (x**2).sum(), rtol=1e-5)
    # Band b > 0 has 2^d - 1 orientations of equally many components.
    band, dimensions = basis.coordinates["band"], len(blocks)
    coarsest = (band == 0).sum()
    for b in range(1, levels + 1):
        size = coarsest * 2 ** (dimensions * (b - 1))
        assert (band == b).sum() == (2**dimensions - 1) * size


@pytest.mark.parametrize(
    ("shape", "levels"), [((8, 8, 3), 3), ((64, 64, 3), 3), ((8, 12, 1), 2), ((6,), 1)]
)
def test_default_levels(shape, levels):
    basis = bases.Haar()
    basis.build((None, *shape))
    assert basis.levels == levels
    assert basis.coordinates["band"].max() == levels


@pytest.mark.parametrize("levels", [0, -1, 1.5, "2"])
def test_bad_levels(levels):
    with pytest.raises(ValueError, match=f"positive integer or None. Received: levels={levels!r}"):
        bases.Haar(levels=levels)


def test_indivisible_sizes_say_what_would_work():
    with pytest.raises(
        ValueError, match=r"levels=3 with spatial sizes \(8, 12\); levels=1 to levels=2"
    ):
        bases.Haar(levels=3).build((None, 8, 12, 1))
    with pytest.raises(ValueError, match="levels=1000000 with"):
        bases.Haar(levels=10**6).build((None, 8, 12, 1))
    with pytest.raises(ValueError, match=r"\(8, 7\), for which no number of levels works; pad"):
        bases.Haar().build((None, 8, 7, 1))
