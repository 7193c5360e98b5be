"""Standard diffusion: one curve gamma(t) for all components.

Gamma and sources::

    Cosine          gamma = 2 log tan(pi t/2)                      Nichol and Dhariwal, 2021
    VP              gamma = log(e^B - 1),  B = int_0^t beta        Song et al., 2021
    SubVP           gamma = B + 2 log(1 - e^-B)                    Song et al., 2021
    FlowMatching    gamma = 2 log(t/(1 - t))                       Lipman et al., 2023
    EDM             gamma = 2 log sigma, sigma^(1/rho) linear      Karras et al., 2022
"""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud.core.arguments import check_numbers
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import Tensor
from keras_gud.schedules.checks import check_gamma_range
from keras_gud.schedules.clipping import clip_curve
from keras_gud.schedules.schedule import ComponentSchedule, registry


def _exp(x: float) -> float:
    """The exponential; beyond e^700, near the largest float, it is e^700."""
    return math.exp(min(x, 700.0))


class _Scalar(ComponentSchedule):
    """A curve gamma(t) shared by all components, clipped to finite end points."""

    def __init__(self, gamma_min: float, gamma_max: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_gamma_range(gamma_min, gamma_max)
        self.gamma_min, self.gamma_max = float(gamma_min), float(gamma_max)

    def time_of(self, gamma: float) -> float:
        """The time at which the curve, before it is clipped, is at gamma."""
        raise NotImplementedError("A curve implements time_of(gamma).")

    def kinks(self, **params: Any) -> Tensor | None:
        """Where the curve is clipped; see `ComponentSchedule.kinks`."""
        return ops.convert_to_tensor([[self.time_of(g) for g in (self.gamma_min, self.gamma_max)]])

    def _clip(self, gamma: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
        return clip_curve(gamma, slope, self.gamma_min, self.gamma_max)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"gamma_min": self.gamma_min, "gamma_max": self.gamma_max}


@registry.register("cosine")
@keras.saving.register_keras_serializable(package=PACKAGE)
class Cosine(_Scalar):
    """``alpha = cos(pi t/2)``, ``gamma(t) = 2 log tan(pi t/2)`` (Nichol and Dhariwal, 2021).

    Args:
        gamma_min: Gamma is clipped from below here; reached at t = 0.0043 by default.
        gamma_max: Gamma is clipped from above here; reached at t = 0.9957 by default.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: unless gamma_min < gamma_max, both finite.

    Example:

    >>> import numpy as np
    >>> schedule = Cosine(); schedule.adapt(variance=np.ones((8, 8, 1)))
    >>> abs(round(float(schedule(0.5).gamma[0, 0, 0, 0]), 4))
    0.0
    """

    def __init__(self, gamma_min: float = -10.0, gamma_max: float = 10.0, **kwargs: Any) -> None:
        super().__init__(gamma_min, gamma_max, **kwargs)

    def time_of(self, gamma: float) -> float:
        """The time at which the curve is at gamma."""
        return 2.0 / math.pi * math.atan(_exp(0.5 * gamma))

    def path(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """The curve and its derivative 2 pi/sin(pi t)."""
        # gamma(1 - t) = -gamma(t): evaluated at min(t, 1 - t), it keeps its digits near t = 1.
        near = (0.5 * math.pi) * ops.clip(ops.minimum(t, 1.0 - t), 1e-6, 0.5)
        gamma = 2.0 * ops.log(ops.tan(near)) * ops.where(t <= 0.5, 1.0, -1.0)
        return self._clip(gamma, 2.0 * math.pi / ops.sin(2.0 * near))


@registry.register("vp")
@keras.saving.register_keras_serializable(package=PACKAGE)
class VP(_Scalar):
    """The variance-preserving SDE of Song et al. (2021), with beta linear in t.

    ``beta = beta_min + t (beta_max - beta_min)``, so ``gamma(t) = log(e^B - 1)`` with
    ``B = beta_min t + (beta_max - beta_min) t^2/2``.

    Args:
        beta_min: Noising rate at t = 0, > 0.
        beta_max: Noising rate at t = 1, >= `beta_min`.
        gamma_min: Gamma is clipped from below here (it is -inf at t = 0).
        gamma_max: Gamma is clipped from above here; the default is out of reach.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: unless 0 < beta_min <= beta_max and gamma_min < gamma_max, finite.

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
        **kwargs: Any,
    ) -> None:
        super().__init__(gamma_min, gamma_max, **kwargs)
        check_numbers(beta_min=beta_min, beta_max=beta_max)
        if not 0.0 < beta_min <= beta_max:
            raise ValueError(
                "Expected 0 < `beta_min` <= `beta_max`. "
                f"Received: beta_min={beta_min}, beta_max={beta_max}."
            )
        self.beta_min, self.beta_max = float(beta_min), float(beta_max)

    def time_of(self, gamma: float) -> float:
        """The time at which the curve is at gamma: B is a quadratic function of t."""
        total, growth = self._total_at(gamma), self.beta_max - self.beta_min
        return 2.0 * total / (self.beta_min + math.sqrt(self.beta_min**2 + 2.0 * growth * total))

    def _total_at(self, gamma: float) -> float:
        """B where the curve is at gamma."""
        return float(np.logaddexp(0.0, gamma))

    def path(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """The curve and its derivative."""
        growth = self.beta_max - self.beta_min
        total = ops.maximum(self.beta_min * t + 0.5 * growth * t**2, 1e-10)
        gamma, dgamma_db = self._curve(total)
        return self._clip(gamma, dgamma_db * (self.beta_min + growth * t))

    def _curve(self, total: Tensor) -> tuple[Tensor, Tensor]:
        """Gamma as a function of B, and its derivative 1/(1 - e^-B)."""
        decayed = -ops.expm1(-total)
        return total + ops.log(decayed), 1.0 / decayed

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"beta_min": self.beta_min, "beta_max": self.beta_max}


@registry.register("subvp")
@keras.saving.register_keras_serializable(package=PACKAGE)
class SubVP(VP):
    """The sub-VP SDE of Song et al. (2021): sigma = 1 - e^-B in place of its square root.

    ``gamma(t) = B + 2 log(1 - e^-B)`` with B as in `VP`. Its signal and noise are divided by
    ``sqrt(alpha^2 + sigma^2)``, so that it is variance preserving like all schedules here.

    Args:
        beta_min: Noising rate at t = 0, > 0.
        beta_max: Noising rate at t = 1, >= `beta_min`.
        gamma_min: Gamma is clipped from below here (it is -inf at t = 0).
        gamma_max: Gamma is clipped from above here; the default is out of reach.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: unless 0 < beta_min <= beta_max and gamma_min < gamma_max, finite.

    Example:

    >>> import numpy as np
    >>> schedule = SubVP(); schedule.adapt(variance=np.ones(2))
    >>> round(float(schedule(0.1).gamma[0, 0]), 3)
    -4.423
    """

    def _total_at(self, gamma: float) -> float:
        # gamma = 2 log(2 sinh(B/2))
        return 2.0 * math.asinh(0.5 * _exp(0.5 * gamma))

    def _curve(self, total: Tensor) -> tuple[Tensor, Tensor]:
        decayed = -ops.expm1(-total)
        return total + 2.0 * ops.log(decayed), (2.0 - decayed) / decayed


@registry.register("flow")
@keras.saving.register_keras_serializable(package=PACKAGE)
class FlowMatching(_Scalar):
    """The straight line ``(1 - t) z0 + t eps``, i.e. ``gamma(t) = 2 log(t/(1 - t))``.

    Rectified flow (Liu et al., 2023), and flow matching with the optimal transport path (Lipman et
    al., 2023). Signal and noise are divided by ``sqrt((1 - t)^2 + t^2)``, as in `SubVP`.

    Args:
        gamma_min: Gamma is clipped from below here; reached at t = 0.0067 by default.
        gamma_max: Gamma is clipped from above here; reached at t = 0.9933 by default.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: unless gamma_min < gamma_max, both finite.

    Example:

    >>> import numpy as np
    >>> schedule = FlowMatching(); schedule.adapt(variance=np.ones(2))
    >>> round(float(schedule(0.75).gamma[0, 0]), 3)
    2.197
    """

    def __init__(self, gamma_min: float = -10.0, gamma_max: float = 10.0, **kwargs: Any) -> None:
        super().__init__(gamma_min, gamma_max, **kwargs)

    def time_of(self, gamma: float) -> float:
        """The time at which the curve is at gamma."""
        return 1.0 / (1.0 + _exp(-0.5 * gamma))

    def path(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """The curve and its derivative 2/(t (1 - t))."""
        t = ops.clip(t, 1e-6, 1.0 - 1e-6)
        gamma = 2.0 * (ops.log(t) - ops.log1p(-t))
        return self._clip(gamma, 2.0 / (t * (1.0 - t)))


@registry.register("edm")
@keras.saving.register_keras_serializable(package=PACKAGE)
class EDM(ComponentSchedule):
    """The noise levels of Karras et al. (2022, eq. 5): ``sigma^(1/rho)`` is linear in t.

    ``gamma(t) = 2 log sigma(t)``, ``sigma = (sigma_min^(1/rho) + t (sigma_max^(1/rho) -
    sigma_min^(1/rho)))^rho``. A very large rho gives the geometric levels of the variance exploding
    SDE.

    Args:
        sigma_min: Standard deviation of the noise over that of the signal at t = 0, > 0; in units
            of the prior's scale.
        sigma_max: The same at t = 1.
        rho: The exponent, > 0; large values put more time at small sigma.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: unless 0 < sigma_min < sigma_max, finite, and rho > 0.

    Example:

    >>> import numpy as np
    >>> schedule = EDM(); schedule.adapt(variance=np.ones(2))
    >>> [round(float(schedule(t).sigma[0, 0] / schedule(t).alpha[0, 0]), 3) for t in (0.0, 0.5)]
    [0.002, 2.515]
    """

    def __init__(
        self, sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_numbers(sigma_min=sigma_min, sigma_max=sigma_max, rho=rho)
        if not (0.0 < sigma_min < sigma_max < math.inf and 0.0 < rho < math.inf):
            raise ValueError(
                "Expected finite 0 < `sigma_min` < `sigma_max` and `rho` > 0. "
                f"Received: sigma_min={sigma_min}, sigma_max={sigma_max}, rho={rho}."
            )
        self.sigma_min, self.sigma_max = float(sigma_min), float(sigma_max)
        self.rho = float(rho)

    def path(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """The curve and its derivative."""
        # Relative to sigma_max, so that a large rho loses no digits.
        low = (math.log(self.sigma_min) - math.log(self.sigma_max)) / self.rho
        missing = -math.expm1(low)
        root = 1.0 - missing * (1.0 - t)
        gamma = 2.0 * (math.log(self.sigma_max) + self.rho * ops.log1p(-missing * (1.0 - t)))
        return gamma, 2.0 * self.rho * missing / root

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "sigma_min": self.sigma_min,
            "sigma_max": self.sigma_max,
            "rho": self.rho,
        }
