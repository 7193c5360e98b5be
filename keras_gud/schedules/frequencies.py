"""Schedules of diffusion models that blur: gamma depends on the spatial frequency.

Gamma and sources::

    Blurring           gamma = 2 log tan(theta(t)) - 2 log d(k, t)          Hoogeboom, Salimans 2022
    HeatDissipation    gamma = 2 log noise_std + (2 pi |k| blur(t))^2       Rissanen et al. 2023
    Renormalization    gamma = 2 c log(k/Lambda(t))                         Cotler, Rezchikov 2023
"""

import math
from typing import Any

import keras
from keras import ops

from keras_gud.core.arguments import check_numbers
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import Tensor
from keras_gud.schedules.checks import check_gamma_range
from keras_gud.schedules.clipping import clip_curve
from keras_gud.schedules.function import CoordinateSchedule
from keras_gud.schedules.schedule import registry


class FrequencySchedule(CoordinateSchedule):
    """A curve for each frequency |k| in cycles per sample, clipped to finite end points.

    Args:
        gamma_min: Gamma is clipped from below here.
        gamma_max: Gamma is clipped from above here.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    home = "fourier"

    def __init__(self, gamma_min: float, gamma_max: float, **kwargs: Any) -> None:
        super().__init__(("frequency",), **kwargs)
        check_gamma_range(gamma_min, gamma_max)
        self.gamma_min, self.gamma_max = float(gamma_min), float(gamma_max)

    def path(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """The curve and its derivative, 0 where it is clipped."""
        return clip_curve(*super().path(t), self.gamma_min, self.gamma_max)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"gamma_min": self.gamma_min, "gamma_max": self.gamma_max}


@registry.register("blurring")
@keras.saving.register_keras_serializable(package=PACKAGE)
class Blurring(FrequencySchedule):
    """Blurring Diffusion (Hoogeboom and Salimans, 2022): noise as in `Cosine`, and a blur.

    ``alpha_i = d_i cos(theta)``, ``sigma = sin(theta)``, theta linear in t from arctan(e^-5) to
    arctan(e^5), ``d_i = (1 - d_min) exp(-lambda_i sigma_B^2/2) + d_min`` with
    ``lambda_i = (2 pi |k|)^2`` and ``sigma_B = blur sin^2(pi t/2)``, in the dct basis. So
    ``gamma_i = 2 log tan(theta) - 2 log d_i``.

    Args:
        blur: Standard deviation of the blur at t = 1, in samples, >= 0.
        d_min: The least fraction of a component that the blur leaves, in (0, 1].
        gamma_min: Gamma is clipped from below here.
        gamma_max: Gamma is clipped from above here; the default is out of reach.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for a negative blur or d_min outside (0, 1].

    Example:

    >>> import numpy as np
    >>> schedule = Blurring()
    >>> schedule.adapt(variance=np.ones(2), coordinates={"frequency": np.array([0.0, 0.25])})
    >>> [round(float(g), 2) for g in schedule(0.25).gamma[0]]
    [-1.74, 12.02]
    """

    home = "dct"

    def __init__(
        self,
        blur: float = 20.0,
        d_min: float = 0.001,
        gamma_min: float = -10.0,
        gamma_max: float = 24.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(gamma_min, gamma_max, **kwargs)
        check_numbers(blur=blur, d_min=d_min)
        if not (0.0 <= blur < math.inf and 0.0 < d_min <= 1.0):
            raise ValueError(
                "Expected a finite `blur` >= 0 and 0 < `d_min` <= 1. "
                f"Received: blur={blur}, d_min={d_min}."
            )
        self.blur, self.d_min = float(blur), float(d_min)

    def gamma(self, t: Tensor, frequency: Tensor) -> Tensor:
        """The curve; see `CoordinateSchedule.gamma`."""
        first = math.atan(math.exp(-5.0))
        theta = first + (0.5 * math.pi - 2.0 * first) * t
        width = self.blur * ops.square(ops.sin(0.5 * math.pi * t))
        kept = ops.exp(-0.5 * ops.square(2.0 * math.pi * frequency * width))
        kept = (1.0 - self.d_min) * kept + self.d_min
        return 2.0 * ops.log(ops.tan(theta)) - 2.0 * ops.log(kept)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"blur": self.blur, "d_min": self.d_min}


@registry.register("heat")
@keras.saving.register_keras_serializable(package=PACKAGE)
class HeatDissipation(FrequencySchedule):
    """Inverse Heat Dissipation (Rissanen et al., 2023): a blur under a little constant noise.

    ``alpha_i = exp(-lambda_i sigma_B^2/2)``, ``sigma = noise_std``, sigma_B(t) geometric between
    `blur_min` and `blur_max`, ``lambda_i = (2 pi |k|)^2``: ``gamma_i = 2 log noise_std + lambda_i
    sigma_B^2``, in the dct basis. The constant component is never noised, so the process does not
    end in a Gaussian: generation starts from blurred images, as in ``tasks.complete`` of
    ``tasks.noised(model, images, t=1.0)``.

    Args:
        blur_min: Standard deviation of the blur at t = 0, in samples, > 0.
        blur_max: The same at t = 1.
        noise_std: Standard deviation of the noise, in units of the prior's scale, > 0.
        gamma_max: Gamma is clipped from above here.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: unless 0 < blur_min < blur_max and noise_std > 0, all finite.

    Example:

    >>> import numpy as np
    >>> schedule = HeatDissipation()
    >>> schedule.adapt(variance=np.ones(2), coordinates={"frequency": np.array([0.0, 0.25])})
    >>> [round(float(g), 2) for g in schedule(0.25).gamma[0]]
    [-9.21, -4.94]
    """

    home = "dct"

    def __init__(
        self,
        blur_min: float = 0.5,
        blur_max: float = 24.0,
        noise_std: float = 0.01,
        gamma_max: float = 20.0,
        **kwargs: Any,
    ) -> None:
        check_numbers(blur_min=blur_min, blur_max=blur_max, noise_std=noise_std)
        if not (0.0 < blur_min < blur_max < math.inf and 0.0 < noise_std < math.inf):
            raise ValueError(
                "Expected finite 0 < `blur_min` < `blur_max` and `noise_std` > 0. "
                f"Received: blur_min={blur_min}, blur_max={blur_max}, noise_std={noise_std}."
            )
        super().__init__(2.0 * math.log(noise_std), gamma_max, **kwargs)
        self.blur_min, self.blur_max = float(blur_min), float(blur_max)
        self.noise_std = float(noise_std)

    def gamma(self, t: Tensor, frequency: Tensor) -> Tensor:
        """The curve; see `CoordinateSchedule.gamma`."""
        growth = math.log(self.blur_max / self.blur_min)
        width = self.blur_min * ops.exp(growth * t)
        return self.gamma_min + ops.square(2.0 * math.pi * frequency * width)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        del config["gamma_min"]
        return config | {
            "blur_min": self.blur_min,
            "blur_max": self.blur_max,
            "noise_std": self.noise_std,
        }


@registry.register("renormalization")
@keras.saving.register_keras_serializable(package=PACKAGE)
class Renormalization(FrequencySchedule):
    """Renormalization group flow with Polchinski's smooth cutoff (Cotler and Rezchikov, 2023).

    Modes above a cutoff Lambda(t) are noise, those below are data: ``alpha_i^2 = K = 1/(1 +
    (k^2/Lambda^2)^c)``, i.e. ``gamma_i = 2 c log(k/Lambda)`` in the fourier basis. Lambda falls
    geometrically from where the highest frequency has gamma_min to where the lowest has gamma_max.
    Frequencies are ``sqrt(|k|^2 + mass^2)``, or the constant mode would never become noise.

    Args:
        sharpness: The exponent c of the cutoff, > 0.
        mass: Added to the frequencies in quadrature; in cycles per sample, > 0.
        gamma_min: Gamma is clipped from below here.
        gamma_max: Gamma is clipped from above here.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for sharpness or mass <= 0.

    Example:

    >>> import numpy as np
    >>> schedule = Renormalization(sharpness=2.0, mass=0.1, gamma_min=-8.0, gamma_max=8.0)
    >>> schedule.adapt(variance=np.ones(2), coordinates={"frequency": np.array([0.0, 0.5])})
    >>> [round(float(g), 2) for g in schedule(0.5).gamma[0]]
    [-3.26, 3.26]
    """

    def __init__(
        self,
        sharpness: float = 1.0,
        mass: float = 0.01,
        gamma_min: float = -10.0,
        gamma_max: float = 10.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(gamma_min, gamma_max, **kwargs)
        check_numbers(sharpness=sharpness, mass=mass)
        if not (0.0 < sharpness < math.inf and 0.0 < mass < math.inf):
            raise ValueError(
                "Expected finite `sharpness` > 0 and `mass` > 0. "
                f"Received: sharpness={sharpness}, mass={mass}."
            )
        self.sharpness, self.mass = float(sharpness), float(mass)

    def gamma(self, t: Tensor, frequency: Tensor) -> Tensor:
        """The curve; see `CoordinateSchedule.gamma`."""
        k = ops.log(ops.square(frequency) + self.mass**2)
        first = ops.max(k) - self.gamma_min / self.sharpness
        last = ops.min(k) - self.gamma_max / self.sharpness
        return self.sharpness * (k - first - t * (last - first))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"sharpness": self.sharpness, "mass": self.mass}
