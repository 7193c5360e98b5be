"""Observed components, and the path from their observation to the data (DESIGN sec. 3.10).

An observation ``z0_i + n_i``, n_i ~ N(0, r_i^2), times alpha_i is the component z_i at
``gamma_i = log r_i^2``. From there the reverse process follows ``min(gamma(t), gamma_observed)``.
"""

from dataclasses import dataclass

import numpy as np
from keras import ops

from keras_gud.core.types import Shape
from keras_gud.schedules import ComponentSchedule

# Fractions of the time from 0 to `begin` at which `gamma_on_path` takes the noising state.
_CHECKED_AT = (1.0, 0.6, 0.2)
_CHECKED_EXAMPLES = 4
_BISECTIONS = 20


@dataclass(frozen=True)
class Observation:
    """Noisy values of the clean components: ``z0_i + n_i`` with ``n_i ~ N(0, exp(gamma_i))``.

    Attributes:
        z0: The values, array-like ``(n, *data_shape)``; where unobserved, anything. Kept in
            float32, 0 where unobserved.
        gamma: Log variance of their noise, array-like that broadcasts against z0: ``-inf`` for an
            exact value, ``inf`` for an unobserved one. Kept in float32 ``(1 or n, *data_shape)``.

    Raises:
        ValueError: for shapes that do not fit, NaN, or an observed value that is not finite.

    Example:

    >>> first = Observation(z0=np.array([[1.0, np.nan]]), gamma=np.array([-np.inf, np.inf]))
    >>> first.z0.tolist(), first.gamma.shape
    ([[1.0, 0.0]], (1, 2))
    """

    z0: np.ndarray
    gamma: np.ndarray

    def __post_init__(self) -> None:
        z0, gamma = np.array(self.z0, "float32"), np.asarray(self.gamma, "float32")
        gamma = gamma.reshape((1,) * (z0.ndim - gamma.ndim) + gamma.shape)
        if z0.ndim < 2 or gamma.ndim != z0.ndim or gamma.shape[0] not in (1, len(z0)):
            raise ValueError(
                "Expected `z0` of shape (n, *data_shape) and `gamma` that broadcasts against it. "
                f"Received: z0 of shape {z0.shape} and gamma of shape {np.shape(self.gamma)}."
            )
        gamma = np.broadcast_to(gamma, (len(gamma), *z0.shape[1:]))
        z0[np.broadcast_to(np.isposinf(gamma), z0.shape)] = 0.0
        if np.isnan(gamma).any() or not np.isfinite(z0).all():
            raise ValueError("Expected finite observed values. Received: NaN or inf.")
        object.__setattr__(self, "z0", z0)
        object.__setattr__(self, "gamma", gamma)


class ObservedPath:
    """The path from an observation to the data along a schedule.

    Args:
        schedule: An adapted `ComponentSchedule`.
        observation: The `Observation`.
        params: Parameters of the schedule, resolved: one row, or one for each example.

    Attributes:
        caps: Largest gamma of components on the path: that of the observation, or gamma(0) where
            that is larger, since no state has less noise; ``inf`` for unobserved components, among
            them those whose observation is no less noisy than gamma(1). float32 ``(1 or n,
            *data_shape)``.
        extra: Standard deviation of the noise to be added to reach the caps, of the same shape.
        noisy: Whether the cap of an observed component is larger than gamma(0).
        begin: The largest time at which a component moves; 0 if none does.
    """

    def __init__(
        self,
        schedule: ComponentSchedule,
        observation: Observation,
        params: dict[str, np.ndarray],
    ) -> None:
        self.schedule, self.params = schedule, params
        gamma, first, last = observation.gamma, self._schedule_gamma(0.0), self._schedule_gamma(1.0)
        observed = gamma < last
        self.caps = np.where(observed, np.maximum(gamma, first), np.inf).astype("float32")
        self.noisy = bool((observed & (self.caps > first)).any())
        added = np.exp(self.caps, where=observed, out=np.zeros_like(self.caps))
        added -= np.exp(gamma, where=observed, out=np.zeros_like(self.caps))
        self.extra = np.sqrt(np.maximum(added, 0.0))
        self.begin = self._last_move(np.minimum(self.caps, last), last.shape)

    def _schedule_gamma(self, t: float) -> np.ndarray:
        return ops.convert_to_numpy(self.schedule(np.float32(t), **self.params).gamma)

    def _last_move(self, reached: np.ndarray, shape: Shape) -> float:
        """The time from which on the schedule's gamma is at least `reached` everywhere.

        Args:
            reached: The gamma at which components stay.
            shape: Shape of the schedule's gamma.
        """
        axes = tuple(axis for axis, size in enumerate(shape) if size == 1)
        reached = reached.max(axis=axes, keepdims=True)  # one number where gamma is one

        def stays(t: float) -> bool:
            return bool((self._schedule_gamma(t) >= reached).all())

        low, high = 0.0, 1.0
        if stays(low):
            return low
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            low, high = (low, middle) if stays(middle) else (middle, high)
        return high

    def gamma_on_path(self) -> np.ndarray:
        """Gamma at a few times of the path and of a few examples, ``(k, *data_shape)``."""
        states = [
            np.minimum(self._schedule_gamma(part * self.begin), self.caps)[:_CHECKED_EXAMPLES]
            for part in _CHECKED_AT
        ]
        return np.concatenate(states)
