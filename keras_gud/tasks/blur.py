"""Observed blurred images: a blur multiplies every frequency k by a factor, the response K(k).

With reflecting edges and a symmetric kernel that is so in the DCT basis, with periodic edges in the
Fourier basis, where the phases of K are corrected first: ``F^H diag(conj K/|K|) F`` is orthogonal
and makes of any blur the one with the response ``|K|`` (DESIGN sec. 3.10).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import ndimage

from keras_gud import bases
from keras_gud.backend import to_numpy
from keras_gud.core.arguments import require_built
from keras_gud.core.data_shape import spatial_shape
from keras_gud.core.registry import require_one_of
from keras_gud.core.types import ArrayLike, Shape, TensorLike
from keras_gud.tasks import inputs, views
from keras_gud.tasks.contract import Model
from keras_gud.tasks.restoration import Restored, components, draw_given, observe
from keras_gud.tasks.task import register

BOUNDARIES = {"reflect": bases.DCT, "wrap": bases.Fourier}
# Frequencies with a response below this fraction of the largest one count as unobserved.
MIN_RESPONSE = 1e-3
# Variance of the rounding to 8 bits.
_ROUNDING = 1.0 / 12.0


def _blurred(image: np.ndarray) -> dict[str, Any]:
    kernel = np.array([[0.0, 0.1, 0.0], [0.1, 0.6, 0.1], [0.0, 0.1, 0.0]])
    blurred = ndimage.convolve(image.astype("float64"), kernel[..., None], mode="reflect")
    return {"blurred": blurred, "kernel": kernel, "boundary": "reflect"}


@register(_blurred)
def deblur(
    model: Model,
    blurred: TensorLike,
    kernel: ArrayLike,
    noise_std: TensorLike = 0.0,
    boundary: str | None = None,
    **options: Any,
) -> Restored:
    """Draws sharp images given blurred ones, ``scipy.ndimage.convolve(x, kernel, boundary) + n``.

    Frequencies with a response below 1/1000 of the largest one count as unobserved. For 8-bit input
    the variance of its rounding, 1/12, is added to that of the noise.

    Args:
        model: A trained `GUDModel` with a dct or fourier basis.
        blurred: Array of the model's data shape, or a batch of them, in the data's units.
        kernel: The kernel, with an axis for each spatial axis, centred at ``size // 2``; the same
            for all channels. With ``boundary="reflect"`` it must be symmetric along each axis.
        noise_std: Standard deviation of the noise n, a number in the data's units.
        boundary: How the image is continued beyond its edges: ``"reflect"`` (half-sample
            reflection, a model with the dct basis) or ``"wrap"`` (periodic, the fourier basis).
            Default: the one for the model's basis.
        **options: See `Options`.

    Returns:
        See `restore`.

    Raises:
        ValueError: for images of another size, NaN, a kernel that the boundary does not allow, or a
            model without the basis.
    """
    require_built(model, "it restores")
    if boundary is not None:
        require_one_of("boundary", boundary, BOUNDARIES)
    fitting = bases.DCT | bases.Fourier if boundary is None else BOUNDARIES[boundary]
    needed = f"a basis of frequencies ({boundary or 'dct or fourier'})"
    view = views.find_view(
        model, "deblur", needed, lambda basis: isinstance(views.frequency_basis(basis), fitting)
    )
    x, single = inputs.as_images("blurred", blurred, [model.data_shape], model.data_space.kind)
    inputs.require_finite("blurred", x)
    variance = inputs.as_noise_std(noise_std) ** 2
    if to_numpy(blurred).dtype == np.uint8:
        variance = variance + _ROUNDING
    sizes = spatial_shape(model.data_shape)
    kernel = _check_kernel(kernel, len(sizes))
    scaling = model.data_space.scaling
    factor, offset = scaling.scale, scaling.centre
    y = (x - offset * kernel.sum()) / factor
    if isinstance(views.frequency_basis(view.basis), bases.DCT):
        response = cosine_response(kernel, sizes)
    else:
        response = fourier_response(kernel, sizes)
        y = _correct_phases(y, response, len(model.data_shape) > 1)
        response = np.abs(response)
    response = np.where(
        np.abs(response) > MIN_RESPONSE * np.abs(response).max(), response, 0.0
    ).reshape(*sizes, *[1] * (len(model.data_shape) - len(sizes)))
    observation = observe(view, components(view, y), response, np.sqrt(variance) / factor)
    return draw_given(model, view, observation, options, single)


def cosine_response(kernel: np.ndarray, sizes: Shape) -> np.ndarray:
    """Factors of the DCT's components under a blur with reflecting edges.

    Args:
        kernel: Array with an axis for each size.
        sizes: Spatial sizes.

    Returns:
        float64 array of shape `sizes`.

    Raises:
        ValueError: for a kernel that is not symmetric along each axis.

    Example:

    >>> cosine_response(np.array([0.25, 0.5, 0.25]), (2,)).round(3).tolist()
    [1.0, 0.5]
    """
    # A kernel of even size has one more weight left of its centre: with a zero added on the right
    # it is symmetric only if that weight is 0.
    kernel = np.pad(kernel, [(0, 1 - size % 2) for size in kernel.shape])
    for axis in range(kernel.ndim):
        if not np.allclose(kernel, np.flip(kernel, axis), atol=1e-6 * np.abs(kernel).max()):
            raise ValueError(
                'Expected a `kernel` that is symmetric along each axis with boundary="reflect". '
                f"Received: a kernel that is not along axis {axis}. A model with a fourier basis "
                'takes any kernel, boundary="wrap".'
            )
    return _transform(kernel, sizes, lambda k, j, n: np.cos(np.pi * k * j / n))


def fourier_response(kernel: np.ndarray, sizes: Shape) -> np.ndarray:
    """Complex factors of the FFT's components under a periodic blur; see `cosine_response`."""
    return _transform(kernel, sizes, lambda k, j, n: np.exp(-2j * np.pi * k * j / n))


def _transform(
    kernel: np.ndarray, sizes: Shape, wave: Callable[[np.ndarray, np.ndarray, int], np.ndarray]
) -> np.ndarray:
    """``sum_j kernel_j prod_axes wave(k, j, n)`` at all k; j counts from the kernel's centre."""
    for size in sizes:
        j = np.arange(kernel.shape[0]) - kernel.shape[0] // 2
        matrix = wave(np.arange(size)[:, None], j, size)
        # Contracts the first axis and appends its frequencies: after all axes the order is back.
        kernel = np.tensordot(kernel, matrix, axes=(0, 1))
    return kernel


def _correct_phases(y: np.ndarray, response: np.ndarray, has_channels: bool) -> np.ndarray:
    """``F^H diag(conj K/|K|) F y``, an image that is blurred with the response ``|K|``."""
    axes = tuple(range(1, 1 + response.ndim))
    size = np.abs(response)
    phase = np.where(size > 0.0, response.conj() / np.where(size > 0.0, size, 1.0), 1.0)
    phase = phase[..., None] if has_channels else phase
    return np.fft.ifftn(phase * np.fft.fftn(y, axes=axes), axes=axes).real


def _check_kernel(kernel: ArrayLike, rank: int) -> np.ndarray:
    kernel = np.asarray(kernel, "float64")
    if kernel.ndim != rank or not np.isfinite(kernel).all() or not kernel.any():
        raise ValueError(
            f"Expected a finite `kernel` with {rank} axes, not all 0. "
            f"Received: kernel of shape {kernel.shape}."
        )
    return kernel
