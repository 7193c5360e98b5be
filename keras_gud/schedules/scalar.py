"""Standard diffusion: one gamma for all components, in two familiar parametrizations of time."""

import math

import keras
import numpy as np
from keras import ops

from keras_gud.registry import PACKAGE
from keras_gud.schedules.pieces import check_gamma_range
from keras_gud.schedules.schedule import ComponentSchedule


class _Scalar(ComponentSchedule):
    """A curve gamma(t) shared by all components, clipped to finite end points."""

    def __init__(self, gamma_min: float, gamma_max: float, **kwargs):
        super().__init__(**kwargs)
        check_gamma_range(gamma_min, gamma_max)
        self.gamma_min, self.gamma_max = float(gamma_min), float(gamma_max)

    def time_of(self, gamma: float) -> float:
        """When the curve, not clipped, is at gamma."""
        raise NotImplementedError("A curve implements time_of(gamma).")

    def kinks(self, **params):
        """Where the curve is clipped; see `ComponentSchedule.kinks`."""
        return ops.convert_to_tensor([[self.time_of(g) for g in (self.gamma_min, self.gamma_max)]])

    def _clip(self, gamma, slope):
        active = ops.logical_and(gamma >= self.gamma_min, gamma <= self.gamma_max)
        gamma = ops.clip(gamma, self.gamma_min, self.gamma_max)
        return gamma, ops.where(active, slope, ops.zeros_like(slope))

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {"gamma_min": self.gamma_min, "gamma_max": self.gamma_max}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Cosine(_Scalar):
    """alpha = cos(pi t/2), i.e. ``gamma(t) = 2 log tan(pi t/2)`` (Nichol and Dhariwal, 2021).

    Args:
        gamma_min: Gamma is clipped from below here; reached at t = 0.0043 by default.
        gamma_max: Gamma is clipped from above here; reached at t = 0.9957 by default.

    Example:

    >>> import numpy as np
    >>> schedule = Cosine(); schedule.adapt(variance=np.ones((8, 8, 1)))
    >>> abs(round(float(schedule(0.5).gamma[0, 0, 0, 0]), 4))
    0.0
    """

    def __init__(self, gamma_min: float = -10.0, gamma_max: float = 10.0, **kwargs):
        super().__init__(gamma_min, gamma_max, **kwargs)

    def time_of(self, gamma: float) -> float:
        """When the curve is at gamma."""
        return 2.0 / math.pi * math.atan(math.exp(0.5 * gamma))

    def path(self, t):
        """The curve and its derivative 2 pi/sin(pi t)."""
        # sin and cos are symmetric about 1/2; taking both of min(t, 1-t) keeps digits near t = 1.
        near = (0.5 * math.pi) * ops.clip(ops.minimum(t, 1.0 - t), 1e-6, 0.5)
        gamma = 2.0 * ops.log(ops.tan(near)) * ops.where(t <= 0.5, 1.0, -1.0)
        return self._clip(gamma, 2.0 * math.pi / ops.sin(2.0 * near))


@keras.saving.register_keras_serializable(package=PACKAGE)
class VP(_Scalar):
    """The variance-preserving SDE of Song et al. (2021), with beta linear in t.

    ``beta = beta_min + t (beta_max - beta_min)``, so ``gamma(t) = log(e^B - 1)`` with
    ``B = beta_min t + (beta_max - beta_min) t^2/2``.

    Args:
        beta_min: Noising rate at t = 0.
        beta_max: Noising rate at t = 1.
        gamma_min: Gamma is clipped from below here (it is -inf at t = 0).
        gamma_max: Gamma is clipped from above here; the default is out of reach.

    Example:

    >>> import numpy as np
    >>> schedule = VP(); schedule.adapt(variance=np.ones(2))
    >>> round(float(schedule(1.0).gamma[0, 0]), 3)
    10.05
    """

    def __init__(
        self,
        beta_min: float = 0.1,
        beta_max: float = 20.0,
        gamma_min: float = -10.0,
        gamma_max: float = 20.0,
        **kwargs,
    ):
        super().__init__(gamma_min, gamma_max, **kwargs)
        if not 0.0 < beta_min <= beta_max:
            raise ValueError(
                "Expected 0 < `beta_min` <= `beta_max`. "
                f"Received: beta_min={beta_min}, beta_max={beta_max}."
            )
        self.beta_min, self.beta_max = float(beta_min), float(beta_max)

    def time_of(self, gamma: float) -> float:
        """When the curve is at gamma: B = log(1 + e^gamma), a quadratic equation."""
        total, growth = float(np.logaddexp(0.0, gamma)), self.beta_max - self.beta_min
        return 2.0 * total / (self.beta_min + math.sqrt(self.beta_min**2 + 2.0 * growth * total))

    def path(self, t):
        """The curve and its derivative B'/(1 - e^-B)."""
        growth = self.beta_max - self.beta_min
        total = ops.maximum(self.beta_min * t + 0.5 * growth * t**2, 1e-10)
        decayed = -ops.expm1(-total)
        return self._clip(total + ops.log(decayed), (self.beta_min + growth * t) / decayed)

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {"beta_min": self.beta_min, "beta_max": self.beta_max}
