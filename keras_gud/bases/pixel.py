"""The identity: components are the pixels themselves."""

from typing import Any

import keras
import numpy as np

from keras_gud.bases.basis import Basis, channel_coordinate, registry, spatial_coordinate
from keras_gud.core.arguments import check_integer
from keras_gud.core.data_shape import axis_names, spatial_shape
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import Coordinates, Shape, Tensor, TensorLike


@registry.register("pixel")
@keras.saving.register_keras_serializable(package=PACKAGE)
class Pixel(Basis):
    """The data's own axes, U = 1; inputs and outputs are ``(batch, *data_shape)``.

    Coordinates: the index along each spatial axis (``"row"``, ``"column"``, ``"depth"`` or
    ``"position"``), by which sequential schedules form groups (paper, sec. 5.2), and ``"channel"``;
    with `patch` also ``"patch"``, the index of the block that a pixel is in.

    Args:
        patch: `None`, or the edge of square blocks, counted as text is read; blocks at the far ends
            may be smaller.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for a `patch` that is no integer >= 1; when built for a shape with no or more
            than three spatial axes.

    Example:
    >>> basis = Pixel()
    >>> basis.build((None, 2, 3, 1))
    >>> basis.coordinates["column"][..., 0].tolist()
    [[0, 1, 2], [0, 1, 2]]
    """

    mixes_space = False

    def __init__(self, patch: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.patch = None if patch is None else check_integer("patch", patch, 1)

    def call(self, x: TensorLike) -> Tensor:
        """Returns x."""
        return self.as_tensor(x)

    def inverse(self, z: TensorLike) -> Tensor:
        """Returns z."""
        return self.as_tensor(z)

    def make_coordinates(self, data_shape: Shape) -> Coordinates:
        """``"row"``, ``"column"``, ..., ``"channel"`` and, where there are some, ``"patch"``."""
        names, sizes = axis_names(data_shape), spatial_shape(data_shape)
        indices = np.indices(sizes)
        coordinates = {
            n: spatial_coordinate(i, data_shape) for n, i in zip(names, indices, strict=True)
        }
        if self.patch is not None:
            counts = [-(-size // self.patch) for size in sizes]
            blocks = np.ravel_multi_index(tuple(indices // self.patch), counts)
            coordinates["patch"] = spatial_coordinate(blocks, data_shape)
        return coordinates | channel_coordinate(data_shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"patch": self.patch}
