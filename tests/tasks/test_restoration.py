"""Every task against the posterior of Gaussian images, computed in data space with NumPy."""

import itertools

import numpy as np
import pytest
from helpers.exact_model import (
    COLOURED,
    DRAWS,
    SHAPE,
    ExactModel,
    assert_distributed,
    exact_model,
    how,
    matrix_of,
    posterior,
)
from helpers.marks import once
from scipy import ndimage

from keras_gud import bases, tasks


def check(model, draws, matrix, variance, y):
    """Draws against the closed form."""
    mean, covariance = posterior(model.mean, model.covariance, matrix, variance, y)
    assert draws.shape == (DRAWS, *model.data_shape)
    assert draws.dtype == np.float32
    scale = np.sqrt(np.diag(model.covariance)).max()
    assert_distributed(draws / scale, mean / scale, covariance / scale**2)


def noise_of(y, std, seed=5):
    return y + std * np.random.default_rng(seed).normal(size=np.shape(y))


@pytest.mark.parametrize(
    ("basis", "prior"),
    once(
        itertools.product(["pixel", "haar", "dct", "fourier"], ["isotropic", "matching"]),
        but=[("haar", "matching")],
    ),
)
def test_restore(basis, prior):
    """Some components exact, some noisy, some missing, with scales of either sign."""
    model = exact_model((basis,), prior=prior)
    rng = np.random.default_rng(2)
    scale = rng.choice([0.0, 0.0, -0.5, 1.0, 2.0], size=SHAPE)
    noise = rng.choice([0.0, 0.3, 1.0], size=SHAPE)
    matrix = matrix_of(lambda x: scale * np.array(model.views[0].basis(x[None])[0]), SHAPE)
    y = (matrix @ model.image().ravel()).reshape(SHAPE) + noise * rng.normal(size=SHAPE)
    draws = tasks.restore(model, np.where(scale == 0.0, np.nan, y), scale, noise, **how(True))
    seen = scale.ravel() != 0.0
    check(model, draws, matrix[seen], noise.ravel()[seen] ** 2, y.ravel()[seen])
    exact = seen & (noise.ravel() == 0.0)
    again = draws.reshape(DRAWS, -1) @ matrix.T
    np.testing.assert_allclose(again[:, exact], np.tile(y.ravel()[exact], (DRAWS, 1)), atol=1e-5)


@pytest.mark.once
@pytest.mark.parametrize("noise_std", [0.0, 0.4])
def test_inpaint(noise_std):
    model = exact_model(("pixel",), COLOURED, "matching")
    missing = np.zeros((4, 4), bool)
    missing[:, 1:3] = missing[2] = True
    y = noise_of(model.image(), noise_std).astype("float32")
    hole = np.where(missing[..., None], np.nan, y)
    draws = tasks.inpaint(model, hole, missing, noise_std, **how(noise_std))
    seen = ~np.broadcast_to(missing[..., None], COLOURED)
    matrix = np.eye(48)[seen.ravel()]
    check(model, draws, matrix, noise_std**2, y[seen])
    if not noise_std:
        assert (draws[:, seen] == y[seen]).all()


@pytest.mark.once
@pytest.mark.parametrize(("factor", "noise_std"), [(2, 0.0), (2, 0.3), (4, 0.2)])
@pytest.mark.parametrize("channels", [1, 3])
def test_upscale(factor, noise_std, channels):
    shape, prior = (4, 4, channels), "isotropic" if channels == 1 else "matching"
    model = exact_model(("haar" if channels == 1 else "channel+haar",), shape, prior)

    def means(x):
        return x.reshape(4 // factor, factor, 4 // factor, factor, channels).mean(axis=(1, 3))

    matrix = matrix_of(means, shape)
    y = noise_of(means(model.image()), noise_std)
    draws = tasks.upscale(model, y, factor, noise_std, **how(noise_std))
    check(model, draws, matrix, noise_std**2, y)
    if not noise_std:
        again = np.stack([means(x) for x in draws[:50]])
        np.testing.assert_allclose(again, np.tile(y, (50, 1, 1, 1)), atol=1e-5)


@pytest.mark.once
@pytest.mark.parametrize("noise_std", [0.0, 0.3])
def test_colorize(noise_std):
    model = exact_model(("channel",), COLOURED, "matching")
    weights = np.array([0.299, 0.587, 0.114])
    matrix = matrix_of(lambda x: x @ weights, COLOURED)
    y = noise_of(model.image() @ weights, noise_std)
    draws = tasks.colorize(model, y, noise_std, **how(noise_std))
    check(model, draws, matrix, noise_std**2, y)
    if not noise_std:
        np.testing.assert_allclose(draws @ weights, np.tile(y, (DRAWS, 1, 1)), atol=1e-5)


@pytest.mark.once
def test_other_channel_bases_define_their_grey():
    """The weights are the first row's, scaled to sum 1; here that row is (-0.6, -0.8)."""
    basis = bases.ChannelMix(np.array([[-0.6, -0.8], [0.8, -0.6]]))
    model = ExactModel([basis], (4, 4, 2))
    weights = np.array([0.6, 0.8]) / 1.4
    y = model.image() @ weights
    draws = tasks.colorize(model, y[None, ..., None], draws=4)
    assert draws.shape == (1, 4, 4, 4, 2)
    np.testing.assert_allclose(draws[0] @ weights, np.tile(y, (4, 1, 1)), atol=1e-5)


KERNEL = np.outer([0.25, 0.5, 0.25], [0.2, 0.6, 0.2])
SKEW = np.array([[0.5, 0.3, 0.0, 0.1], [0.0, 0.2, 0.0, 0.0]])


@pytest.mark.once
@pytest.mark.parametrize(
    ("basis", "kernel", "boundary", "noise_std"),
    [
        ("dct", KERNEL, "reflect", 0.2),
        ("dct", KERNEL, None, 0.0),
        ("dct", np.pad(2.0 * KERNEL, 3), "reflect", 0.2),  # larger than the image
        ("dct", np.pad([[0.3, 0.7, 0.3]], ((1, 0), (1, 0))), "reflect", 0.2),  # even sizes
        ("fourier", KERNEL, "wrap", 0.2),
        ("fourier", SKEW, None, 0.2),
        ("fourier", np.array([[0.2, 1.0, -0.1]]), "wrap", 0.0),
    ],
)
def test_deblur(basis, kernel, boundary, noise_std):
    model = exact_model((basis,), prior="isotropic" if basis == "dct" else "matching")
    mode = {"dct": "reflect", "fourier": "wrap"}[basis]

    def blur(x):
        return ndimage.convolve(x[..., 0], kernel, mode=mode)[..., None]

    matrix = matrix_of(blur, SHAPE)
    y = noise_of(blur(model.image()), noise_std)
    draws = tasks.deblur(model, y, kernel, noise_std, boundary, **how(noise_std))
    check(model, draws, matrix, noise_std**2, y)
    if not noise_std:
        np.testing.assert_allclose(
            draws.reshape(DRAWS, -1) @ matrix.T, np.tile(y.ravel(), (DRAWS, 1)), atol=2e-5
        )


@pytest.mark.once
def test_deblur_in_colour_with_mixed_channels():
    model = exact_model(("channel+dct",), COLOURED)

    def blur(x):
        return ndimage.convolve(x, KERNEL[..., None], mode="reflect")

    y = noise_of(blur(model.image()), 0.2)
    draws = tasks.deblur(model, y, KERNEL, 0.2, **how(True))
    check(model, draws, matrix_of(blur, COLOURED), 0.04, y)


@pytest.mark.once
def test_frequencies_that_a_kernel_blocks_are_unobserved():
    model = exact_model(("fourier",))
    kernel = np.array([[0.25, 0.5, 0.25]])  # nothing at half a cycle per sample
    matrix = matrix_of(lambda x: ndimage.convolve(x[..., 0], kernel, mode="wrap"), SHAPE)
    y = matrix @ model.image().ravel()
    draws = tasks.deblur(model, y.reshape(SHAPE), kernel, **how(False))
    check(model, draws, matrix, 0.0, y)
    assert draws.std(axis=0).max() > 0.1


@pytest.mark.once
@pytest.mark.parametrize("basis", ["pixel", "haar", "dct", "fourier"])
def test_denoise(basis):
    model = exact_model((basis,), prior="matching")
    y = noise_of(model.image(), 0.5)
    draws = tasks.denoise(model, y, 0.5, **how(True))
    check(model, draws, np.eye(16), 0.25, y)


@pytest.mark.once
def test_denoise_value_by_value():
    model = exact_model(("haar", "pixel"), prior="matching")
    noise_std = np.linspace(0.0, 1.5, 16).reshape(SHAPE)
    y = noise_of(model.image(), noise_std)
    draws = tasks.denoise(model, y, noise_std, **how(True))
    check(model, draws, np.eye(16), noise_std.ravel() ** 2, y)
    assert (draws[:, 0, 0] == np.float32(y[0, 0])).all()


@pytest.mark.once
@pytest.mark.parametrize("basis", ["pixel", "haar", "dct"])
def test_complete(basis):
    """A part of the image is noise at this time; the rest has as little as it ever has."""
    model = exact_model((basis,))
    view, image = model.views[0], model.image().astype("float32")
    partly = tasks.noised(model, image, 0.6, seed=4, b=0.5)
    draws = tasks.complete(model, partly, 0.6, b=0.5, **how(True))
    state = view.schedule(0.6, b=0.5)
    gamma = np.broadcast_to(np.array(state.gamma), (1, *SHAPE)).ravel()
    alpha, sigma = (1.0 / np.sqrt(1.0 + np.exp(s * gamma)) for s in (1.0, -1.0))
    # z = alpha S^-1 (U x - mean) + sigma eps.
    unitary = matrix_of(lambda x: np.array(view.basis(x[None])), SHAPE)
    s, shift = (np.array(v).ravel() for v in (view.prior.scale, view.prior.mean))
    z = (unitary @ partly.ravel() - shift) / s
    matrix = (alpha / s)[:, None] * unitary
    check(model, draws, matrix, sigma**2, z + alpha * shift / s)
