"""A given orthogonal matrix."""

import math
from typing import Any

import keras

from keras_gud.bases.basis import Basis, channel_coordinate, index_coordinate, spatial_coordinate
from keras_gud.bases.linear import multiply_flat, orthogonal_matrix
from keras_gud.core.data_shape import spatial_shape
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import ArrayLike, Coordinates, Shape, Tensor, TensorLike


@keras.saving.register_keras_serializable(package=PACKAGE)
class Matrix(Basis):
    """Components ``z_k = sum_j M[k, j] x_j`` of flattened data; ``(batch, *data_shape)`` both ways.

    The size of the matrix decides whether j numbers the positions, with the same matrix for each
    channel, or all components, channels included (with one channel there is no difference).

    Coordinates: ``"component"``, the row of the matrix, and ``"channel"`` unless channels are
    mixed.

    Args:
        matrix: Array or nested list ``(d, d)``, orthogonal within 1e-4. It is saved in the config,
            so a very large one makes a large config.

    Raises:
        ValueError: if the matrix is not square or not orthogonal, or when built for data that have
            neither as many positions nor as many components as it has rows.

    Example:
    >>> import numpy as np
    >>> basis = Matrix([[0.0, 1.0], [1.0, 0.0]])
    >>> np.array(basis(np.array([[1.0, 2.0]], "float32"))).tolist()
    [[2.0, 1.0]]
    """

    def __init__(self, matrix: ArrayLike, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.matrix = orthogonal_matrix(matrix)

    def check_shape(self, data_shape: Shape) -> None:
        """Finds out whether channels are mixed; raises a `ValueError` for another size."""
        positions, components = math.prod(spatial_shape(data_shape)), math.prod(data_shape)
        if len(self.matrix) not in (positions, components):
            raise ValueError(
                f"Expected `matrix` to be of size {positions} (positions) or {components} "
                f"(all components) for data_shape={data_shape}. "
                f"Received: matrix of shape {self.matrix.shape}."
            )
        self.mixes_channels = len(self.matrix) != positions

    def call(self, x: TensorLike) -> Tensor:
        """Applies the matrix."""
        return multiply_flat(self.matrix, self.as_tensor(x))

    def inverse(self, z: TensorLike) -> Tensor:
        """Applies the transpose."""
        return multiply_flat(self.matrix.T, self.as_tensor(z))

    def make_coordinates(self, data_shape: Shape) -> Coordinates:
        """``"component"``, and ``"channel"`` unless the channels are mixed."""
        if self.mixes_channels:
            return {"component": index_coordinate(data_shape)}
        component = spatial_coordinate(index_coordinate(spatial_shape(data_shape)), data_shape)
        return {"component": component} | channel_coordinate(data_shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; the matrix as a nested list."""
        return super().get_config() | {"matrix": self.matrix.tolist()}
