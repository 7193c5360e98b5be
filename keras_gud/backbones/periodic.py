"""Convolutions of data that are periodic along some axes: lattices, textures, longitudes."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_gud.backbones.padding import KERNEL_SIZE, same_padding, with_zeros, wrapped
from keras_gud.core.registry import PACKAGE, require_one_of
from keras_gud.core.types import BatchShape, Shape, Tensor

BOUNDARIES = ("zero", "periodic")
_LAYERS = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D, 3: keras.layers.Conv3D}


def check_boundary(boundary: str | Sequence[str]) -> str | tuple[str, ...]:
    """The argument, a sequence as a tuple; a `ValueError` for unknown names."""
    for name in (boundary,) if isinstance(boundary, str) else boundary:
        require_one_of("boundary", name, BOUNDARIES)
    return boundary if isinstance(boundary, str) else tuple(boundary)


def periodic_axes(boundary: str | Sequence[str], sizes: Shape, stride: int) -> tuple[bool, ...]:
    """Which axes are periodic.

    Args:
        boundary: ``"zero"`` or ``"periodic"``, for all axes or for each.
        sizes: The spatial sizes of the data.
        stride: The number of positions that are one at the coarsest level.

    Raises:
        ValueError: for another number of names than axes, or periodic axes that the stride does not
            divide: shifted data would not be seen alike.

    >>> periodic_axes(("zero", "periodic"), (7, 8), stride=4)
    (False, True)
    """
    names = (boundary,) * len(sizes) if isinstance(boundary, str) else tuple(boundary)
    if len(names) != len(sizes):
        raise ValueError(
            f"Expected one `boundary`, or one for each of the spatial axes {sizes}. "
            f"Received: boundary={boundary!r}."
        )
    found = tuple(name == "periodic" for name in names)
    if any(size % stride for size, periodic in zip(sizes, found, strict=True) if periodic):
        raise ValueError(
            f"Expected periodic axes of sizes that {stride} divides, so that none is rounded up. "
            f"Received: sizes {sizes}, boundary={boundary!r}; fewer `widths` need less."
        )
    return found


@keras.saving.register_keras_serializable(package=PACKAGE)
class PeriodicConvolution(keras.layers.Layer):
    """A convolution of size 3 of data that go on periodically along some axes, else with zeros.

    Args:
        filters: Number of output channels.
        periodic: For each spatial axis whether it is periodic.
        strides: 1 or 2, of all axes.
        kernel_initializer: As in Keras.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:
    >>> from keras import ops
    >>> layer = PeriodicConvolution(4, (True, False), strides=2)
    >>> tuple(layer(ops.ones((2, 6, 5, 3))).shape)
    (2, 3, 3, 4)
    """

    def __init__(
        self,
        filters: int,
        periodic: Sequence[bool],
        strides: int = 1,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.periodic, self.strides = tuple(periodic), strides
        self.convolution = _LAYERS[len(self.periodic)](
            filters,
            KERNEL_SIZE,
            strides=strides,
            padding="valid",
            data_format="channels_last",
            kernel_initializer=kernel_initializer,
            dtype=self.dtype_policy,
        )

    def build(self, x_shape: BatchShape) -> None:
        """Builds for ``(batch, *spatial, channels)``."""
        # Small levels have room for the kernel only once they have been continued.
        self.convolution.build((None, *[None] * len(self.periodic), x_shape[-1]))

    def call(self, x: Tensor) -> Tensor:
        """The result, of the sizes of ``padding="same"``."""
        for axis, periodic in enumerate(self.periodic, start=1):
            extend = wrapped if periodic else with_zeros
            x = extend(x, axis, *same_padding(x.shape[axis], self.strides))
        return self.convolution(x)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        inner = self.convolution.get_config()
        own = {"periodic": self.periodic, "strides": self.strides}
        kept = {name: inner[name] for name in ("filters", "kernel_initializer")}
        return {**super().get_config(), **own, **kept}
