"""Time warps: ``gamma(s(t))`` with a monotone change of time s (paper app. B).

TimeWarp    s(t) = t^k/(t^k + (1-t)^k)          the paper's, with k = 0.5
Retimed     s(t) through given values           as `keras_gud.paths.warp` finds them
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud.core.arguments import as_floats, check_numbers
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import ArrayLike, Coordinates, Identifier, Shape, Tensor, TensorLike
from keras_gud.diffusion.noising_state import NoisingState
from keras_gud.schedules import monotone
from keras_gud.schedules.schedule import ComponentSchedule, registry

MAX_POWER = 16.0


class WarpedSchedule(ComponentSchedule):
    """Base class of time warps: a subclass implements `warp`.

    Args:
        schedule: The schedule to warp: a name, a config or an instance.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, schedule: Identifier, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.schedule = registry.get(schedule)
        # A warped schedule has the parameters of the schedule inside, and its basis.
        self.bounds, self.ranges = self.schedule.bounds, self.schedule.ranges
        self.home = self.schedule.home
        if self.schedule.built:
            self._build_inside()

    def warp(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """s(t) and ds/dt, float32 ``(batch,)`` of t ``(batch,)``."""
        raise NotImplementedError("A WarpedSchedule implements warp(t).")

    def adapt(
        self,
        variance: ArrayLike,
        data_variance: ArrayLike | None = None,
        coordinates: Coordinates | None = None,
    ) -> None:
        """Adapts the schedule inside; see `ComponentSchedule.adapt`.

        Raises:
            ValueError: for one that learns and has not: within a warp its curves do not move.
        """
        if self.schedule.learns and not self.schedule.built:
            raise ValueError(
                f"Expected a `schedule` to warp that does not learn, or has learned. Received: "
                f"{type(self.schedule).__name__}; train with it first, and warp it then."
            )
        self.schedule.adapt(variance, data_variance, coordinates)
        self._build_inside()
        self._check_monotone()

    def _build_inside(self) -> None:
        inner = self.schedule
        self.build(inner.group_shape, inner.n_groups, inner.in_order)
        self.built = True

    def build(self, group_shape: Shape, n_groups: int, in_order: bool = False) -> None:
        """Takes over the grouping of the schedule inside."""
        self.group_shape, self.n_groups = tuple(group_shape), n_groups
        self.in_order, self.groups = in_order, self.schedule.groups

    def call(self, t: TensorLike, **params: Any) -> NoisingState:
        """The noising state at time t; see `ComponentSchedule.call`."""
        t = ops.reshape(ops.cast(t, "float32"), (-1,))
        s, speed = self.warp(t)
        inner = self.schedule(s, **params)
        shape = (-1, *(1 for _ in self.group_shape))
        return NoisingState(inner.gamma, inner.dgamma_dt * ops.reshape(speed, shape), t)

    def group_names(self, data_shape: Shape) -> tuple[str, ...]:
        """Those of the schedule inside."""
        return self.schedule.group_names(data_shape)

    def unwarped(self) -> ComponentSchedule:
        """The schedule inside: ds/dt may be infinite at the ends."""
        return self.schedule.unwarped()

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"name": self.name, "schedule": keras.saving.serialize_keras_object(self.schedule)}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Retimed(WarpedSchedule):
    """``gamma(s(t))`` with s a monotone cubic through given values.

    Args:
        schedule: The schedule to warp: a name, a config or an instance.
        times: s at n >= 2 equally spaced times, from 0 to 1, never decreasing.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for other times, or an unknown schedule.

    Example:

    >>> import numpy as np
    >>> schedule = Retimed("cosine", [0.0, 0.25, 1.0])
    >>> schedule.adapt(variance=np.ones(2))
    >>> inner = schedule.schedule
    >>> abs(float(schedule(0.5).gamma[0, 0] - inner(0.25).gamma[0, 0])) < 1e-5
    True
    """

    def __init__(self, schedule: Identifier, times: ArrayLike, **kwargs: Any) -> None:
        super().__init__(schedule, **kwargs)
        self.times = as_floats(times)
        ends = self.times[:1].tolist() + self.times[-1:].tolist() if self.times.ndim == 1 else []
        if ends != [0.0, 1.0] or len(self.times) < 2 or not (np.diff(self.times) >= 0.0).all():
            raise ValueError(
                "Expected `times` from 0 to 1, at least two, that never decrease. "
                f"Received: times={times!r}."
            )

    def warp(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """s(t) and ds/dt; see `WarpedSchedule.warp`."""
        values = self.times[:, None]
        slopes = monotone.knot_slopes(values).astype("float32")
        parts = ops.convert_to_tensor(values), ops.convert_to_tensor(slopes)
        s, speed = monotone.evaluate(*parts, t[:, None])
        return ops.clip(s[:, 0], 0.0, 1.0), speed[:, 0]

    def unbuilt(self) -> "Retimed":
        """See `ComponentSchedule.unbuilt`."""
        return Retimed(self.schedule.unbuilt(), self.times)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"times": self.times.tolist()}


@keras.saving.register_keras_serializable(package=PACKAGE)
class TimeWarp(WarpedSchedule):
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
        check_numbers(power=power)
        if not 1.0 / MAX_POWER <= power <= MAX_POWER:
            raise ValueError(
                f"Expected `power` > 0, from 1/{MAX_POWER:g} to {MAX_POWER:g}, beyond which "
                f"float32 has no digits left. Received: power={power}."
            )
        super().__init__(schedule, **kwargs)
        self.power = float(power)

    def warp(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """s(t), and ds/dt = k (t (1-t))^(k-1)/(t^k + (1-t)^k)^2; see `WarpedSchedule.warp`."""
        rising, falling = t**self.power, (1.0 - t) ** self.power
        s = rising / (rising + falling)
        t, k = ops.clip(t, 1e-6, 1.0 - 1e-6), self.power
        return s, k * (t * (1.0 - t)) ** (k - 1.0) / (t**k + (1.0 - t) ** k) ** 2

    def unbuilt(self) -> "TimeWarp":
        """See `ComponentSchedule.unbuilt`."""
        return TimeWarp(self.schedule.unbuilt(), self.power)

    def kinks(self, **params: Any) -> Tensor | None:
        """Those of the schedule inside, in warped time; see `ComponentSchedule.kinks`."""
        kinks = self.schedule.kinks(**params)
        if kinks is None:
            return None
        # The inverse of the warp is the warp with the inverse power.
        kinks = ops.clip(kinks, 0.0, 1.0)
        rising, falling = kinks ** (1.0 / self.power), (1.0 - kinks) ** (1.0 / self.power)
        return rising / (rising + falling)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"power": self.power}
