"""Priors with a power spectrum, in bases of frequencies."""

import math
from typing import Any

import keras
import numpy as np

from keras_gud.core.arguments import check_numbers, check_positive
from keras_gud.core.data_shape import spatial_shape
from keras_gud.core.registry import PACKAGE, require_coordinate
from keras_gud.core.types import Coordinates
from keras_gud.priors.prior import Prior, registry


@registry.register("power_law")
@keras.saving.register_keras_serializable(package=PACKAGE)
class PowerLaw(Prior):
    """Noise with the power spectrum ``S^2 ~ (|k|^2 + corner^2)^(-exponent/2)``, of mean scale^2.

    It needs a basis of frequencies. ``exponent=2`` is the free field of physics with mass `corner`
    (Cotler and Rezchikov, 2023; Voleti et al., 2022).

    Args:
        exponent: How steeply the spectrum falls; 0 is white.
        corner: Frequency, > 0, in cycles per sample, below which the spectrum is flat. Default:
            half the lowest frequency > 0 of the basis.
        scale: The standard deviation of the noise of one value, > 0, in units of the scaled data.
        floor: See `Prior`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for values out of range, or when adapted in a basis without frequencies.

    Example:

    >>> import numpy as np
    >>> prior = PowerLaw(corner=0.5)
    >>> prior.adapt(np.zeros(2), np.ones(2), {"frequency": np.array([0.0, 0.5])})
    >>> [round(float(s) ** 2, 3) for s in prior.scale.numpy()]
    [1.333, 0.667]
    """

    def __init__(
        self,
        exponent: float = 2.0,
        corner: float | None = None,
        scale: float = 1.0,
        floor: float = 1e-6,
        **kwargs: Any,
    ) -> None:
        super().__init__(floor, **kwargs)
        check_numbers(exponent=exponent, **({} if corner is None else {"corner": corner}))
        if not (math.isfinite(exponent) and (corner is None or 0.0 < corner < math.inf)):
            raise ValueError(
                "Expected a finite `exponent` and `corner` > 0 or None. "
                f"Received: exponent={exponent}, corner={corner}."
            )
        self.constant = check_positive("scale", scale)
        self.exponent = float(exponent)
        self.corner = None if corner is None else float(corner)

    def make_scale(self, data_variance: np.ndarray, coordinates: Coordinates) -> np.ndarray:
        """The square root of the spectrum."""
        k = require_coordinate(coordinates, "frequency", "basis")
        corner = 0.5 * k[k > 0.0].min(initial=1.0) if self.corner is None else self.corner
        power = (k**2 + corner**2) ** (-0.5 * self.exponent)
        return self.constant * np.sqrt(power / power.mean())

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"exponent": self.exponent, "corner": self.corner, "scale": self.constant}
        return super().get_config() | own


@registry.register("offset")
@keras.saving.register_keras_serializable(package=PACKAGE)
class OffsetNoise(Prior):
    """White noise plus a random constant for each channel.

    It needs a basis of frequencies: ``S^2 = scale^2 (1 + strength^2 n)`` at k = 0, with n the
    number of positions, and ``S^2 = scale^2`` elsewhere.

    Args:
        strength: Standard deviation of the constant relative to the white noise's, >= 0.
        scale: The standard deviation of the white noise, > 0, in units of the scaled data.
        floor: See `Prior`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for values out of range, or when adapted in a basis without frequencies.

    Example:

    >>> import numpy as np
    >>> prior = OffsetNoise(strength=0.5)
    >>> prior.adapt(np.zeros(4), np.ones(4), {"frequency": np.array([0.0, 0.25, 0.5, 0.25])})
    >>> [round(float(s) ** 2, 3) for s in prior.scale.numpy()]
    [2.0, 1.0, 1.0, 1.0]
    """

    def __init__(
        self, strength: float = 0.1, scale: float = 1.0, floor: float = 1e-6, **kwargs: Any
    ) -> None:
        super().__init__(floor, **kwargs)
        check_numbers(strength=strength)
        if not 0.0 <= strength < math.inf:
            raise ValueError(f"Expected a finite `strength` >= 0. Received: strength={strength}.")
        self.constant, self.strength = check_positive("scale", scale), float(strength)

    def make_scale(self, data_variance: np.ndarray, coordinates: Coordinates) -> np.ndarray:
        """The scale of white noise, and a larger one at k = 0."""
        constant = require_coordinate(coordinates, "frequency", "basis") == 0.0
        positions = math.prod(spatial_shape(data_variance.shape))
        return self.constant * np.sqrt(1.0 + constant * self.strength**2 * positions)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"strength": self.strength, "scale": self.constant}
