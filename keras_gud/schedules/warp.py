"""Time warps: any schedule run through a monotone change of time (paper app. B)."""

import keras
from keras import ops

from keras_gud.core.arguments import check_numbers
from keras_gud.core.registry import PACKAGE
from keras_gud.diffusion.noising_state import NoisingState
from keras_gud.schedules.schedule import ComponentSchedule, registry

MOST_POWER = 16.0


@keras.saving.register_keras_serializable(package=PACKAGE)
class TimeWarp(ComponentSchedule):
    """``gamma(s(t))`` with ``s(t) = t^k/(t^k + (1-t)^k)`` (paper app. B, where k = 0.5).

    The path through the noising states stays the same; only the time spent along it changes.
    For k < 1 the true dgamma/dt is infinite at both ends: there it is reported at a distance of
    1e-6 from the end. Gamma itself is exact everywhere.

    Args:
        schedule: The schedule to warp: a name, a config or an instance.
        power: The exponent k, from 1/16 to 16; 1 changes nothing.

    Raises:
        ValueError: for another power.

    Example:

    >>> import numpy as np
    >>> schedule = TimeWarp("cosine", power=0.5)
    >>> schedule.adapt(variance=np.ones(2))
    >>> abs(round(float(schedule(0.5).gamma[0, 0]), 4))
    0.0
    """

    def __init__(self, schedule, power: float = 0.5, **kwargs):
        super().__init__(**kwargs)
        check_numbers(power=power)
        if not 1.0 / MOST_POWER <= power <= MOST_POWER:
            raise ValueError(
                f"Expected `power` > 0, from 1/{MOST_POWER:g} to {MOST_POWER:g}, beyond which "
                f"float32 has no digits left. Received: power={power}."
            )
        self.schedule = registry.get(schedule)
        self.power = float(power)
        # The family of a warped schedule is that of the schedule.
        self.bounds, self.ranges = self.schedule.bounds, self.schedule.ranges

    def adapt(self, variance, data_variance=None, coordinates=None):
        """Adapts the schedule inside."""
        self.schedule.adapt(variance, data_variance, coordinates)
        self.build(**self.schedule.get_build_config())
        self._check_monotone()

    def build(self, group_shape, n_groups, in_order=False):
        """Takes over the grouping of the schedule inside."""
        self.group_shape, self.n_groups = tuple(group_shape), n_groups
        self.in_order, self.groups = in_order, self.schedule.groups

    def call(self, t, **params):
        """The noising state at time t; see `ComponentSchedule.call`."""
        t = ops.reshape(ops.cast(t, "float32"), (-1,))
        rising, falling = t**self.power, (1.0 - t) ** self.power
        inner = self.schedule(rising / (rising + falling), **params)
        shape = (-1, *(1 for _ in self.group_shape))
        return NoisingState(inner.gamma, inner.dgamma_dt * ops.reshape(self._speed(t), shape))

    def unwarped(self):
        """The schedule inside: the warp's pace may be infinite at the ends."""
        return self.schedule.unwarped()

    def kinks(self, **params):
        """Those of the schedule inside, in warped time; see `ComponentSchedule.kinks`."""
        kinks = self.schedule.kinks(**params)
        if kinks is None:
            return None
        # The inverse of the warp is the warp with the inverse power.
        kinks = ops.clip(kinks, 0.0, 1.0)
        rising, falling = kinks ** (1.0 / self.power), (1.0 - kinks) ** (1.0 / self.power)
        return rising / (rising + falling)

    def _speed(self, t):
        """ds/dt = k (t (1-t))^(k-1)/(t^k + (1-t)^k)^2."""
        t, k = ops.clip(t, 1e-6, 1.0 - 1e-6), self.power
        return k * (t * (1.0 - t)) ** (k - 1.0) / (t**k + (1.0 - t) ** k) ** 2

    def get_config(self):
        """The constructor's arguments."""
        return {
            "name": self.name,
            "schedule": keras.saving.serialize_keras_object(self.schedule),
            "power": self.power,
        }
