"""Haar wavelets: block averages and the details that they miss, level by level."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud.bases.basis import Basis, channel_coordinate, registry, spatial_coordinate
from keras_gud.core.data_shape import axis_names, spatial_shape
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import Coordinates, Shape, Tensor, TensorLike

DEFAULT_LEVELS = 3


@registry.register("haar")
@keras.saving.register_keras_serializable(package=PACKAGE)
class Haar(Basis):
    """Orthonormal Haar transform of one or more levels; ``(batch, *data_shape)`` both ways.

    Eq. 26 of the paper (app. D) along every spatial axis: ``low = (even + odd) / sqrt(2)``,
    ``high = (even - odd) / sqrt(2)``, repeated on the part that is low along all axes (eq. 28). The
    result is laid out as a pyramid of the same shape, the coarsest band top left.

    Coordinates: ``"band"`` (0 is the LL band, then the detail bands 1 to `levels` from coarse to
    fine), the index within the sub-band along each spatial axis (``"row"``, ``"column"``, ...),
    ``"orientation"`` (bit i is set where spatial axis i is high-pass) and ``"channel"``.

    Args:
        levels: Number of decompositions. `None`: as many as the shape allows, at most 3; after
            `build` the attribute holds the number.

    Raises:
        ValueError: if `levels` is not a positive integer, or when built for sizes that are not
            divisible by ``2**levels``.

    Example:
    >>> import numpy as np
    >>> z = Haar(levels=2)(np.ones((1, 4), "float32"))
    >>> np.allclose(z, [[2.0, 0.0, 0.0, 0.0]], atol=1e-6)
    True
    """

    def __init__(self, levels: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if levels is not None and (not isinstance(levels, int) or levels < 1):
            raise ValueError(
                f"Expected `levels` to be a positive integer or None. Received: levels={levels!r}."
            )
        self.levels: int = levels  # type: ignore[assignment]  # may be None until it is built

    def check_shape(self, data_shape: Shape) -> None:
        """Determines the number of levels, or raises a `ValueError` that says which would work."""
        sizes = spatial_shape(data_shape)
        # The power of two in the greatest common divisor: its lowest set bit.
        divisor = math.gcd(*sizes)
        possible = (divisor & -divisor).bit_length() - 1
        if possible < 1:
            raise ValueError(
                "Expected every spatial size to be even for the haar basis. Received: spatial "
                f"sizes {sizes}, for which no number of levels works; pad or crop the data, or "
                "use the dct or fourier basis."
            )
        if self.levels is None:
            self.levels = min(possible, DEFAULT_LEVELS)
        if self.levels > possible:
            raise ValueError(
                "Expected every spatial size to be divisible by 2**levels. "
                f"Received: levels={self.levels} with spatial sizes {sizes}; levels=1 to "
                f"levels={possible} would work."
            )

    def call(self, x: TensorLike) -> Tensor:
        """The analysis: data to the pyramid."""
        return self._analyse(self.as_tensor(x), self.levels)

    def inverse(self, z: TensorLike) -> Tensor:
        """The synthesis: the pyramid to data."""
        return self._synthesise(self.as_tensor(z), self.levels)

    def _analyse(self, x: Tensor, levels: int) -> Tensor:
        for axis in self.spatial_axes:
            shape = x.shape[1:]
            pairs = ops.reshape(x, (-1, *shape[: axis - 1], shape[axis - 1] // 2, 2, *shape[axis:]))
            even, odd = ops.unstack(pairs, 2, axis=axis + 1)
            x = ops.concatenate([even + odd, even - odd], axis=axis)
        x = x * self._norm
        if levels == 1:
            return x
        return self._replace_corner(x, self._analyse(self._corner(x), levels - 1))

    def _synthesise(self, z: Tensor, levels: int) -> Tensor:
        if levels > 1:
            z = self._replace_corner(z, self._synthesise(self._corner(z), levels - 1))
        for axis in self.spatial_axes:
            shape = z.shape[1:]
            low, high = ops.split(z, 2, axis=axis)
            pairs = ops.stack([low + high, low - high], axis=axis + 1)
            z = ops.reshape(pairs, (-1, *shape))
        return z * self._norm

    @property
    def n_scales(self) -> int:
        """The averages, and the details of each level."""
        return self.levels + 1

    def gamma_by_scale(self, gamma: Tensor) -> Tensor:
        """That of the block average and of the details of each level, coarse to fine.

        Of the details of one level at one place, which differ in orientation, it is the mean.
        """
        return ops.concatenate(self._by_scale(gamma, self.levels), axis=-1)

    def _by_scale(self, gamma: Tensor, levels: int) -> list[Tensor]:
        if levels == 0:
            return [gamma]
        corner, total = self._corner(gamma), gamma
        for axis in self.spatial_axes:
            low, high = ops.split(total, 2, axis=axis)
            total = low + high
        detail = (total - corner) / (2 ** len(self.spatial_axes) - 1)
        found = [*self._by_scale(corner, levels - 1), detail]
        for axis in self.spatial_axes:
            found = [ops.repeat(part, 2, axis=axis) for part in found]
        return found

    @property
    def _norm(self) -> float:
        """The product of the factors 1/sqrt(2) of all axes, for one level."""
        return 0.5 ** (len(self.spatial_axes) / 2)

    def _corner(self, x: Tensor) -> Tensor:
        """The first half of every spatial axis: the block that is low-pass along all of them."""
        return x[(slice(None), *(slice(x.shape[axis] // 2) for axis in self.spatial_axes))]

    def _replace_corner(self, x: Tensor, corner: Tensor) -> Tensor:
        """The tensor with another corner, by concatenation: tensors allow no assignment."""
        for last in reversed(self.spatial_axes):
            # The block beside the corner along `last`: the first half of the axes before it, the
            # second half of it, and the whole of the axes after it, which are complete by now.
            halves = [slice(x.shape[axis] // 2) for axis in range(1, last)]
            beside = x[(slice(None), *halves, slice(x.shape[last] // 2, None))]
            corner = ops.concatenate([corner, beside], axis=last)
        return corner

    def make_coordinates(self, data_shape: Shape) -> Coordinates:
        """``"band"``, ``"orientation"``, the index within the sub-band, and ``"channel"``."""
        sizes = np.array(spatial_shape(data_shape))
        index = np.indices(spatial_shape(data_shape))
        band, orientation = np.zeros((2, *sizes), dtype="int64")
        # From the finest band inwards: each coarser one overwrites the corner of the one before.
        for level in range(self.levels, 0, -1):
            half = sizes // 2 ** (self.levels - level + 1)
            region = tuple(slice(2 * n) for n in half)
            half = half.reshape(-1, *[1] * len(sizes))
            high = index[(slice(None), *region)] >= half
            band[region] = level
            orientation[region] = sum(bits << i for i, bits in enumerate(high.astype("int64")))
            index[(slice(None), *region)] %= half
        band[tuple(slice(n // 2**self.levels) for n in sizes)] = 0
        coordinates = dict(zip(axis_names(data_shape), index, strict=True))
        coordinates |= {"band": band, "orientation": orientation}
        coordinates = {
            name: spatial_coordinate(values, data_shape) for name, values in coordinates.items()
        }
        return coordinates | channel_coordinate(data_shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; once built, the number of levels."""
        return super().get_config() | {"levels": self.levels}
