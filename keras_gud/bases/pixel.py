"""The identity: components are the pixels themselves."""

import keras
import numpy as np

from keras_gud.bases.basis import Basis, channel_coordinate, registry, spatial_coordinate
from keras_gud.core.data_shape import axis_names, spatial_shape
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import Coordinates, Shape, Tensor, TensorLike


@registry.register("pixel")
@keras.saving.register_keras_serializable(package=PACKAGE)
class Pixel(Basis):
    """The data's own axes, U = 1; inputs and outputs are ``(batch, *data_shape)``.

    Coordinates: the index along each spatial axis (``"row"``, ``"column"``, ``"depth"`` or
    ``"position"``), by which sequential schedules form groups (paper, sec. 5.2), and ``"channel"``.

    Raises:
        ValueError: when built for a shape with no or more than three spatial axes.

    Example:
    >>> basis = Pixel()
    >>> basis.build((None, 2, 3, 1))
    >>> basis.coordinates["column"][..., 0].tolist()
    [[0, 1, 2], [0, 1, 2]]
    """

    mixes_space = False

    def call(self, x: TensorLike) -> Tensor:
        """Returns x."""
        return self.as_tensor(x)

    def inverse(self, z: TensorLike) -> Tensor:
        """Returns z."""
        return self.as_tensor(z)

    def make_coordinates(self, data_shape: Shape) -> Coordinates:
        """``"row"``, ``"column"``, ... and ``"channel"``."""
        names = axis_names(data_shape)
        indices = np.indices(spatial_shape(data_shape))
        coordinates = {
            n: spatial_coordinate(i, data_shape) for n, i in zip(names, indices, strict=True)
        }
        return coordinates | channel_coordinate(data_shape)
