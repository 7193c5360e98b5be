"""The discrete cosine transform: frequencies with reflecting edges."""

import keras
import numpy as np
from scipy import fft

from keras_gud.bases.basis import Basis, frequency_coordinates, registry
from keras_gud.bases.linear import multiply_axis
from keras_gud.core.data_shape import spatial_shape
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import Coordinates, Shape, Tensor, TensorLike


@registry.register("dct")
@keras.saving.register_keras_serializable(package=PACKAGE)
class DCT(Basis):
    """Orthonormal DCT-II over every spatial axis, of any size; ``(batch, *data_shape)`` both ways.

    ``z_k = sqrt((2 - [k = 0]) / N) sum_n x_n cos(pi k (2n + 1) / (2N))`` along each axis: the basis
    of Blurring Diffusion (Hoogeboom and Salimans, 2022) and of Inverse Heat Dissipation (Rissanen
    et al., 2022). It diagonalises every blur that is symmetric along each axis, with reflecting
    edges.

    Coordinates: ``"frequency"``, the Euclidean norm |k| of ``k / (2N)`` along each axis in cycles
    per sample, and ``"channel"``.

    Raises:
        ValueError: when built for a shape with no or more than three spatial axes.

    Example:
    >>> import numpy as np
    >>> z = DCT()(np.ones((1, 4), "float32"))
    >>> np.allclose(z, [[2.0, 0.0, 0.0, 0.0]], atol=1e-6)
    True
    """

    def create_weights(self, data_shape: Shape) -> None:
        """Makes the cosine matrices: constants, so no weights, cast to the dtype of the data."""
        sizes = spatial_shape(data_shape)
        self.matrices = tuple(fft.dct(np.eye(n), axis=0, norm="ortho") for n in sizes)

    def call(self, x: TensorLike) -> Tensor:
        """The DCT-II along every spatial axis."""
        x = self.as_tensor(x)
        for axis, matrix in zip(self.spatial_axes, self.matrices, strict=True):
            x = multiply_axis(matrix, x, axis)
        return x

    def inverse(self, z: TensorLike) -> Tensor:
        """The DCT-III along every spatial axis, the transpose of `call`."""
        z = self.as_tensor(z)
        for axis, matrix in zip(self.spatial_axes, self.matrices, strict=True):
            z = multiply_axis(matrix.T, z, axis)
        return z

    def make_coordinates(self, data_shape: Shape) -> Coordinates:
        """``"frequency"`` and ``"channel"``."""
        axes = [np.arange(n) / (2 * n) for n in spatial_shape(data_shape)]
        return frequency_coordinates(axes, data_shape)
