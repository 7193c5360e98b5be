"""dct and fourier against scipy and NumPy, and the pixel coordinates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from scipy import fft

from keras_gud import bases
from keras_gud.bases.batches import to_numpy

SHAPES = [(8, 8, 3), (7, 10, 1), (9, 2), (15,), (3, 5, 4, 2)]
EACH = [SHAPES[0], *(pytest.param(shape, marks=pytest.mark.once) for shape in SHAPES[1:])]
# Every new shape is compiled anew by the eager backends, so few examples and no deadline.
FEW = settings(max_examples=8, deadline=None, derandomize=True)
ANY_SHAPE = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=7)


def spatial_axes(shape):
    return tuple(range(1, max(2, len(shape))))


def hartley(x, shape):
    f = np.fft.fftn(x, axes=spatial_axes(shape), norm="ortho")
    return f.real - f.imag


@pytest.mark.parametrize("shape", EACH)
def test_dct_is_scipys(shape, rng):
    x = rng.normal(size=(3, *shape))
    expected = fft.dctn(x, axes=spatial_axes(shape), norm="ortho")
    np.testing.assert_allclose(to_numpy(bases.DCT()(x)), expected, atol=1e-5)


@pytest.mark.once
@FEW
@given(shape=ANY_SHAPE)
def test_dct_any_shape(shape):
    x = np.random.default_rng(1).normal(size=(2, *shape))
    basis = bases.DCT()
    z = to_numpy(basis(x))
    np.testing.assert_allclose(z, fft.dctn(x, axes=spatial_axes(shape), norm="ortho"), atol=1e-5)
    np.testing.assert_allclose(to_numpy(basis.inverse(z)), x, atol=1e-5)


@pytest.mark.once
def test_dct_coordinates():
    basis = bases.DCT()
    basis.build((None, 4, 2, 3))
    expected = np.hypot(np.arange(4)[:, None] / 8, np.arange(2)[None] / 4)
    for c in range(3):
        np.testing.assert_allclose(basis.coordinates["frequency"][..., c], expected)
        assert (basis.coordinates["channel"][..., c] == c).all()


@pytest.mark.parametrize("shape", EACH)
def test_fourier_is_re_minus_im_of_the_fft(shape, rng):
    x = rng.normal(size=(3, *shape))
    np.testing.assert_allclose(to_numpy(bases.Fourier()(x)), hartley(x, shape), atol=1e-5)


@pytest.mark.once
@FEW
@given(shape=ANY_SHAPE)
def test_fourier_any_shape_is_its_own_inverse(shape):
    x = np.random.default_rng(1).normal(size=(2, *shape))
    basis = bases.Fourier()
    z = to_numpy(basis(x))
    np.testing.assert_allclose(z, hartley(x, shape), atol=1e-5)
    np.testing.assert_allclose(to_numpy(basis(z)), x, atol=1e-5)


@pytest.mark.once
@pytest.mark.parametrize("shape", SHAPES[1:4])
def test_fourier_variance_over_plus_and_minus_k_is_the_power_spectrum(shape, rng):
    # Anisotropic and correlated, so that single Hartley variances are *not* the power spectrum.
    x = rng.normal(size=(50, *shape))
    x = x + np.roll(x, 1, axis=1) + 0.5 * x[:1]
    x -= x.mean(axis=0)
    basis = bases.Fourier()
    variance = to_numpy(basis(x)).astype("float64").var(axis=0)
    f = np.fft.fftn(x, axes=spatial_axes(shape), norm="ortho")
    power = (np.abs(f) ** 2).mean(axis=0)
    np.testing.assert_allclose(basis.symmetrize(variance), power, rtol=1e-4, atol=1e-5)
    assert not np.allclose(variance, power, rtol=1e-2)


@pytest.mark.once
@pytest.mark.parametrize("shape", SHAPES[1:4])
def test_an_even_gamma_is_exactly_the_diffusion_of_the_fft(shape, rng):
    basis = bases.Fourier()
    basis.build((None, *shape))
    # Even, but no function of |k| alone: k and -k agree, and nothing else does.
    gamma = basis.symmetrize(rng.normal(size=shape))
    alpha = np.sqrt(1 / (1 + np.exp(gamma)))
    x = rng.normal(size=(2, *shape))
    ours = to_numpy(basis.inverse(to_numpy(basis(x)) * alpha))
    axes = spatial_axes(shape)
    complex_result = np.fft.ifftn(alpha * np.fft.fftn(x, axes=axes), axes=axes)
    np.testing.assert_allclose(complex_result.imag, 0, atol=1e-12)
    np.testing.assert_allclose(ours, complex_result.real, atol=1e-5)


@pytest.mark.once
def test_symmetrize_pairs_k_with_minus_k_jointly_on_all_axes():
    basis = bases.Fourier()
    basis.build((None, 4, 5, 1))
    values = np.arange(20.0).reshape(4, 5, 1)
    expected = np.empty_like(values)
    for i in range(4):
        for j in range(5):
            expected[i, j] = (values[i, j] + values[-i % 4, -j % 5]) / 2
    np.testing.assert_array_equal(basis.symmetrize(values), expected)


@pytest.mark.once
@pytest.mark.parametrize("shape", SHAPES)
def test_fourier_frequency_is_even_and_from_fftfreq(shape):
    basis = bases.Fourier()
    basis.build((None, *shape))
    frequency = basis.coordinates["frequency"]
    np.testing.assert_array_equal(basis.symmetrize(frequency), frequency)
    sizes = shape if len(shape) == 1 else shape[:-1]
    grid = np.meshgrid(*[np.fft.fftfreq(n) for n in sizes], indexing="ij")
    first_channel = frequency if len(shape) == 1 else frequency[..., 0]
    np.testing.assert_allclose(first_channel, np.linalg.norm(grid, axis=0))


@pytest.mark.once
@pytest.mark.parametrize(
    ("shape", "names"),
    [
        ((3,), {"position"}),
        ((3, 2), {"position", "channel"}),
        ((3, 2, 1), {"row", "column", "channel"}),
        ((2, 3, 4, 1), {"depth", "row", "column", "channel"}),
    ],
)
def test_pixel_coordinates(shape, names):
    basis = bases.Pixel()
    basis.build((None, *shape))
    assert set(basis.coordinates) == names
    for axis, name in enumerate(basis.coordinates):
        np.testing.assert_array_equal(basis.coordinates[name], np.indices(shape)[axis])


@pytest.mark.once
def test_patches_are_numbered_as_text_is_read():
    basis = bases.Pixel(patch=2)
    basis.build((None, 3, 4, 2))
    patch = basis.coordinates["patch"]
    assert patch[..., 0].tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3]]
    np.testing.assert_array_equal(patch[..., 1], patch[..., 0])
    with pytest.raises(ValueError, match="patch=0"):
        bases.Pixel(patch=0)
