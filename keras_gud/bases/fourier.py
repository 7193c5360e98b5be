"""The Hartley transform: the Fourier basis in real numbers."""

import math

import keras
import numpy as np
from keras import ops

from keras_gud.bases.basis import Basis, frequency_coordinates, registry
from keras_gud.core.data_shape import spatial_shape
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import Coordinates, Shape, Tensor, TensorLike


@registry.register("fourier")
@keras.saving.register_keras_serializable(package=PACKAGE)
class Fourier(Basis):
    """Orthonormal Hartley transform over all spatial axes; ``(batch, *data_shape)`` both ways.

    ``z = Re F - Im F`` with F the orthonormal FFT, i.e.
    ``z_k = N^(-1/2) sum_n x_n cas(2 pi k n / N)`` with ``cas = cos + sin`` of the whole inner
    product k n (Hartley, 1942; Bracewell, 1983). It is real, symmetric and its own inverse, for any
    number of axes and any sizes. Diffusion with an even gamma (the same for k and -k) is exactly
    that of the complex FFT.

    A product of one-dimensional Hartley transforms would be a different basis, in which k and -k
    mix over the axes; so Re - Im is taken once, after the complex FFT over all axes.

    Coordinates: ``"frequency"``, |k| from `numpy.fft.fftfreq` in cycles per sample, and
    ``"channel"``.

    Raises:
        ValueError: when built for a shape with no or more than three spatial axes.

    Example:
    >>> import numpy as np
    >>> z = Fourier()(np.ones((1, 4), "float32"))
    >>> np.allclose(z, [[2.0, 0.0, 0.0, 0.0]], atol=1e-6)
    True
    """

    def call(self, x: TensorLike) -> Tensor:
        """Re - Im of the orthonormal FFT."""
        real = self.as_tensor(x)
        imag = ops.zeros_like(real)
        # Axis by axis: `keras.ops` has no FFT of three axes, and none of a chosen axis.
        for axis in self.spatial_axes:
            pair = ops.moveaxis(real, axis, -1), ops.moveaxis(imag, axis, -1)
            real, imag = (ops.moveaxis(part, -1, axis) for part in ops.fft(pair))
        return (real - imag) / math.sqrt(math.prod(spatial_shape(self.data_shape)))

    def inverse(self, z: TensorLike) -> Tensor:
        """The same transform: it is symmetric and orthogonal."""
        return self.call(z)

    def make_coordinates(self, data_shape: Shape) -> Coordinates:
        """``"frequency"`` and ``"channel"``."""
        axes = [np.fft.fftfreq(n) for n in spatial_shape(data_shape)]
        return frequency_coordinates(axes, data_shape)

    def symmetrize(self, values: np.ndarray) -> np.ndarray:
        """Averages over k and -k; of variances, this gives the power spectrum of the FFT.

        Args:
            values: Array of shape `data_shape`.
        """
        axes = tuple(axis - 1 for axis in self.spatial_axes)
        # Reversed and shifted by one, index k holds what was at (-k) mod N, jointly on all axes.
        mirrored = np.roll(np.flip(values, axes), 1, axes)
        return (values + mirrored) / 2
