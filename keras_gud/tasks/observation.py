"""Observed components, and what they leave to do along a schedule (DESIGN sec. 3.10)."""

from dataclasses import dataclass

import numpy as np
from keras import ops

# Parts of the way that is left at which `on_path` sees the noising state.
_SEEN_AT = (1.0, 0.6, 0.2)
_SEEN_EXAMPLES = 4
_HALVINGS = 20


@dataclass(frozen=True)
class Observation:
    """Noisy values of the clean components: ``chi_i + n_i`` with ``n_i ~ N(0, exp(gamma_i))``.

    Attributes:
        z0: The values, ``(n, *data_shape)``; where unobserved, anything.
        gamma: Log variance of their noise, broadcastable against z0: ``-inf`` for an exact value,
            ``inf`` for an unobserved one.

    Example:

    >>> one_of_two = Observation(z0=np.array([[1.0, np.nan]]), gamma=np.array([-np.inf, np.inf]))
    """

    z0: object
    gamma: object

    def __post_init__(self):
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


class Plan:
    """What an observation leaves to do along a schedule.

    Args:
        schedule: An adapted `ComponentSchedule`.
        observation: The `Observation`.
        params: Parameters of the schedule, resolved: one row, or one for each example.

    Attributes:
        caps: Where components wait on the path: gamma of the observation, or gamma(0) where that
            is larger, since no state has less noise; ``inf`` for unobserved components, among them
            those whose observation is no less noisy than gamma(1).
        extra: Standard deviation of the noise to be added to reach the caps.
        noisy: Whether an observed component waits with more noise than gamma(0).
        begin: The largest time at which a component moves; 0 if none does.
    """

    def __init__(self, schedule, observation: Observation, params: dict):
        self.schedule, self.params = schedule, params
        gamma, first, last = observation.gamma, self._schedule_gamma(0.0), self._schedule_gamma(1.0)
        observed = gamma < last
        self.caps = np.where(observed, np.maximum(gamma, first), np.inf).astype("float32")
        self.noisy = bool((observed & (self.caps > first)).any())
        added = np.exp(self.caps, where=observed, out=np.zeros_like(self.caps))
        added -= np.exp(gamma, where=observed, out=np.zeros_like(self.caps))
        self.extra = np.sqrt(np.maximum(added, 0.0))
        self.begin = self._last_move(np.minimum(self.caps, last), last.shape)

    def _schedule_gamma(self, t):
        return ops.convert_to_numpy(self.schedule(np.float32(t), **self.params).gamma)

    def _last_move(self, held, shape) -> float:
        """The time after which the schedule's gamma is nowhere below what is held there."""
        axes = tuple(axis for axis, size in enumerate(shape) if size == 1)
        held = held.max(axis=axes, keepdims=True)  # one number where gamma is one

        def still(t):
            return bool((self._schedule_gamma(t) >= held).all())

        low, high = 0.0, 1.0
        if still(low):
            return low
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            low, high = (low, middle) if still(middle) else (middle, high)
        return high

    def gamma(self) -> np.ndarray:
        """Gamma at a few times of the path and of a few examples, ``(k, *data_shape)``."""
        met = [
            np.minimum(self._schedule_gamma(part * self.begin), self.caps)[:_SEEN_EXAMPLES]
            for part in _SEEN_AT
        ]
        return np.concatenate(met)
