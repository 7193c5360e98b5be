"""Convolutions of volumes, in a form that is fast everywhere."""

from typing import Any

import keras
from keras import ops

from keras_gud.backbones.padding import same_padding, with_zeros
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import Tensor


@keras.saving.register_keras_serializable(package=PACKAGE)
class Conv3D(keras.layers.Conv3D):
    """`keras.layers.Conv3D` of size 3, same padding, channels last; fast on jax on a CPU too.

    XLA has no fast convolution of volumes there. One of planes, each with the planes before and
    after it as further channels, computes the same; with gradients in an eighth of the time. (On
    torch it would take 1.5 times as long, so it is done nowhere else.)

    Args:
        by_planes: Whether to do so; `None`: on jax on a CPU.
        **kwargs: Arguments of `keras.layers.Conv3D`.

    Example:
    >>> layer = Conv3D(4, 3, padding="same", data_format="channels_last", strides=2)
    >>> tuple(layer(ops.ones((2, 5, 6, 7, 3))).shape)
    (2, 3, 3, 4, 4)
    """

    def __init__(self, *args: Any, by_planes: bool | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.by_planes = by_planes

    def call(self, inputs: Tensor) -> Tensor:
        """The convolved volumes, ``(batch, *sizes, filters)``."""
        by_planes = _is_jax_on_cpu() if self.by_planes is None else self.by_planes
        if not by_planes:
            return super().call(inputs)
        depth, *plane, channels = inputs.shape[1:]
        stride, *strides = self.strides
        count = -(-depth // stride)
        padded = with_zeros(inputs, 1, *same_padding(depth, stride))
        last = (count - 1) * stride + 1
        near = [padded[:, i : i + last : stride] for i in range(3)]
        planes = ops.reshape(ops.concatenate(near, axis=-1), (-1, *plane, 3 * channels))
        kernel = ops.transpose(self.kernel, (1, 2, 0, 3, 4))
        kernel = ops.reshape(kernel, (3, 3, 3 * channels, self.filters))
        x = ops.conv(planes, kernel, strides, "same", data_format="channels_last")
        x = ops.reshape(x, (-1, count, *x.shape[1:]))
        return x if self.bias is None else ops.add(x, self.bias)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "by_planes": self.by_planes}


def _is_jax_on_cpu() -> bool:
    # Asked first: not every backend can list its devices.
    if keras.backend.backend() != "jax":
        return False
    return keras.distribution.list_devices()[0].startswith("cpu")
