"""Group normalisation fused with FiLM, in float32 whatever the policy of the network."""

import math
from typing import Any

import keras
from keras import ops

from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import BatchShape, Tensor


def group_count(channels: int, max_groups: int = 32) -> int:
    """The largest number <= `max_groups` that divides `channels` into groups of 4 or more.

    >>> group_count(32), group_count(18), group_count(2)
    (8, 3, 1)
    """
    limit = min(max_groups, max(channels // 4, 1))
    return max(n for n in range(1, limit + 1) if channels % n == 0)


@keras.saving.register_keras_serializable(package=PACKAGE)
class GroupNorm(keras.layers.Layer):
    """Group norm (Wu and He 2018, arXiv:1803.08494), then ``h * (1 + scale) + shift``.

    Statistics are taken per channel first and averaged over groups on the small ``(batch,
    channels)`` array, so that mean, scale and FiLM become one multiply-add over the image: on jax
    on a CPU, forward and backward take 0.4 to 0.7 of the time of
    `keras.layers.GroupNormalization`.

    Args:
        epsilon: Added to the variance.
        **kwargs: Arguments of `keras.layers.Layer`; the dtype is float32 unless given, to which
            inputs of half precision are cast.

    Example:
    >>> norm = GroupNorm()
    >>> tuple(norm(ops.ones((2, 8, 8, 16))).shape)
    (2, 8, 8, 16)
    """

    def __init__(self, epsilon: float = 1e-5, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, x_shape: BatchShape, film_shape: BatchShape | None = None) -> None:
        """Builds for inputs ``(batch, *spatial, channels)`` or ``(batch, channels)``."""
        width = x_shape[-1]
        self.groups = group_count(width)
        self.gain = self.add_weight(shape=(width,), initializer="ones", name="gain")
        self.offset = self.add_weight(shape=(width,), initializer="zeros", name="offset")

    def group_mean(self, values: Tensor) -> Tensor:
        """The mean over the group of each channel; ``(batch, channels)`` both ways."""
        width = values.shape[-1]
        grouped = ops.reshape(values, (-1, self.groups, width // self.groups))
        mean = ops.mean(grouped, axis=-1, keepdims=True)
        return ops.reshape(ops.broadcast_to(mean, ops.shape(grouped)), (-1, width))

    def call(self, x: Tensor, film: Tensor | None = None) -> Tensor:
        """The normalised input, of the same shape.

        Args:
            x: ``(batch, *spatial, channels)`` or ``(batch, channels)``.
            film: ``(batch, 2 * channels)``: scale, then shift.
        """
        width = x.shape[-1]
        flat = ops.reshape(x, (-1, math.prod(x.shape[1:-1]), width))
        mean = self.group_mean(ops.mean(flat, axis=1))
        square = self.group_mean(ops.mean(ops.square(flat), axis=1))
        # By rounding, the difference may be slightly negative.
        variance = ops.maximum(square - ops.square(mean), 0.0)
        factor = ops.rsqrt(variance + self.epsilon) * self.gain
        shift = self.offset - mean * factor
        if film is not None:
            scale = 1.0 + film[:, :width]
            factor, shift = factor * scale, shift * scale + film[:, width:]
        flat = flat * factor[:, None, :] + shift[:, None, :]
        return ops.reshape(flat, (-1, *x.shape[1:]))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "epsilon": self.epsilon}
