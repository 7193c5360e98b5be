"""Time warps: ``gamma(s(t))`` with a monotone change of time s (paper app. B)."""

from typing import Any

import keras
from keras import ops

from keras_gud.core.arguments import check_numbers
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import ArrayLike, Coordinates, Identifier, Shape, Tensor, TensorLike
from keras_gud.diffusion.noising_state import NoisingState
from keras_gud.schedules.schedule import ComponentSchedule, registry

MAX_POWER = 16.0


@keras.saving.register_keras_serializable(package=PACKAGE)
class TimeWarp(ComponentSchedule):
    """``gamma(s(t))`` with ``s(t) = t^k/(t^k + (1-t)^k)`` (paper app. B, where k = 0.5).

    The path through the noising states stays the same; only the time spent along it changes.
    For k < 1 the true dgamma/dt is infinite at both ends: within 1e-6 of an end its value at that
    distance is returned. Gamma itself is exact everywhere.

    Args:
        schedule: The schedule to warp: a name, a config or an instance.
        power: The exponent k, from 1/16 to 16; 1 changes nothing.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for another power, or an unknown schedule.

    Example:

    >>> import numpy as np
    >>> schedule = TimeWarp("cosine", power=0.5)
    >>> schedule.adapt(variance=np.ones(2))
    >>> abs(round(float(schedule(0.5).gamma[0, 0]), 4))
    0.0
    """

    def __init__(self, schedule: Identifier, power: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_numbers(power=power)
        if not 1.0 / MAX_POWER <= power <= MAX_POWER:
            raise ValueError(
                f"Expected `power` > 0, from 1/{MAX_POWER:g} to {MAX_POWER:g}, beyond which "
                f"float32 has no digits left. Received: power={power}."
            )
        self.schedule = registry.get(schedule)
        self.power = float(power)
        # A warped schedule has the parameters of the schedule inside.
        self.bounds, self.ranges = self.schedule.bounds, self.schedule.ranges

    def adapt(
        self,
        variance: ArrayLike,
        data_variance: ArrayLike | None = None,
        coordinates: Coordinates | None = None,
    ) -> None:
        """Adapts the schedule inside; see `ComponentSchedule.adapt`."""
        self.schedule.adapt(variance, data_variance, coordinates)
        inner = self.schedule
        self.build(inner.group_shape, inner.n_groups, inner.in_order)
        self._check_monotone()

    def build(self, group_shape: Shape, n_groups: int, in_order: bool = False) -> None:
        """Takes over the grouping of the schedule inside."""
        self.group_shape, self.n_groups = tuple(group_shape), n_groups
        self.in_order, self.groups = in_order, self.schedule.groups

    def call(self, t: TensorLike, **params: Any) -> NoisingState:
        """The noising state at time t; see `ComponentSchedule.call`."""
        t = ops.reshape(ops.cast(t, "float32"), (-1,))
        rising, falling = t**self.power, (1.0 - t) ** self.power
        inner = self.schedule(rising / (rising + falling), **params)
        shape = (-1, *(1 for _ in self.group_shape))
        return NoisingState(inner.gamma, inner.dgamma_dt * ops.reshape(self._speed(t), shape))

    def unbuilt(self) -> "TimeWarp":
        """See `ComponentSchedule.unbuilt`."""
        return TimeWarp(self.schedule.unbuilt(), self.power)

    def unwarped(self) -> ComponentSchedule:
        """The schedule inside: ds/dt may be infinite at the ends."""
        return self.schedule.unwarped()

    def kinks(self, **params: Any) -> Tensor | None:
        """Those of the schedule inside, in warped time; see `ComponentSchedule.kinks`."""
        kinks = self.schedule.kinks(**params)
        if kinks is None:
            return None
        # The inverse of the warp is the warp with the inverse power.
        kinks = ops.clip(kinks, 0.0, 1.0)
        rising, falling = kinks ** (1.0 / self.power), (1.0 - kinks) ** (1.0 / self.power)
        return rising / (rising + falling)

    def _speed(self, t: Tensor) -> Tensor:
        """ds/dt = k (t (1-t))^(k-1)/(t^k + (1-t)^k)^2."""
        t, k = ops.clip(t, 1e-6, 1.0 - 1e-6), self.power
        return k * (t * (1.0 - t)) ** (k - 1.0) / (t**k + (1.0 - t) ** k) ** 2

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "name": self.name,
            "schedule": keras.saving.serialize_keras_object(self.schedule),
            "power": self.power,
        }
