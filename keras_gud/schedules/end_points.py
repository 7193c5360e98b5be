"""Where clipped schedules begin and end: at given gamma, or at given signal-to-noise ratios.

With Sigma_i the variance of component i, the ratios are (paper eq. 19)::

    gamma_denoise = -min_i log SNR_i(0) = gamma_min - min_i log Sigma_i
    gamma_noise   = -max_i log SNR_i(1) = gamma_max - max_i log Sigma_i

"""

import math
from typing import Any

import numpy as np
from keras import ops

from keras_gud.core.arguments import check_numbers
from keras_gud.core.types import Coordinates, Tensor, TensorLike
from keras_gud.schedules.checks import check_gamma_range
from keras_gud.schedules.schedule import ComponentSchedule

# logit(0.99^2): where sigma^2 has reached 0.99^2, the paper's criterion for "noised" (app. B).
NOISED_GAMMA = math.log(0.99**2 / (1.0 - 0.99**2))
# The least `gamma_noise` of the paper (app. B).
LEAST_GAMMA_NOISE = 3.0
_GAMMA_MIN, _GAMMA_MAX = -7.0, 5.0


class ClippedSchedule(ComponentSchedule):
    """Base class of schedules on which every component goes from gamma_min to gamma_max.

    Args:
        ranges: See `ComponentSchedule`.
        gamma_min: Gamma at t = 0; default: -7, unless `gamma_denoise` is given.
        gamma_max: Gamma at t = 1; default: 5, unless `gamma_noise` is given.
        gamma_denoise: In place of `gamma_min`: -log of the smallest signal-to-noise ratio at t = 0.
        gamma_noise: In place of `gamma_max`: -log of the largest signal-to-noise ratio at t = 1, or
            ``"paper"``, see `paper_gamma_noise`.
        floor: For ratios: variances below this share of their mean count as that much. `None`: see
            `floored`; 0: the paper.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for both forms of one end, or gamma_min >= gamma_max.
    """

    def __init__(
        self,
        ranges: dict[str, Any],
        gamma_min: float | None,
        gamma_max: float | None,
        gamma_denoise: float | None,
        gamma_noise: float | str | None,
        floor: float | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(ranges, **kwargs)
        _check_one(gamma_min=gamma_min, gamma_denoise=gamma_denoise)
        _check_one(gamma_max=gamma_max, gamma_noise=gamma_noise)
        self.gamma_denoise = (
            None if gamma_denoise is None else as_number(gamma_denoise=gamma_denoise)
        )
        self.gamma_noise = check_gamma_noise(gamma_noise)
        self.floor = check_floor(floor)
        self.gamma_min = _GAMMA_MIN if gamma_min is None else gamma_min
        self.gamma_max = _GAMMA_MAX if gamma_max is None else gamma_max
        check_gamma_range(self.gamma_min, self.gamma_max)
        self.gamma_min, self.gamma_max = float(self.gamma_min), float(self.gamma_max)

    def create_weights(self) -> None:
        """Both ends, where they depend on the data."""
        measured = self.gamma_denoise is not None or self.gamma_noise is not None
        self.measured_ends = self.add_statistic("ends", (2,)) if measured else None

    def fit_statistics(
        self, variance: np.ndarray, data_variance: np.ndarray, coordinates: Coordinates
    ) -> None:
        """Measures the ends (paper eq. 19)."""
        if self.measured_ends is None:
            return
        log_variance = np.log(floored(variance, self.floor))
        low, high = self.gamma_min, self.gamma_max
        if self.gamma_denoise is not None:
            low = self.gamma_denoise + log_variance.min()
        if self.gamma_noise is not None:
            ratio = self.gamma_noise
            ratio = paper_gamma_noise(log_variance) if isinstance(ratio, str) else ratio
            high = ratio + log_variance.max()
        if low >= high:
            raise ValueError(
                "Expected ends of the path with gamma_min < gamma_max. Received: "
                f"gamma_denoise={self.gamma_denoise}, gamma_noise={self.gamma_noise}, which are "
                f"gamma from {low:.3g} to {high:.3g} for these data."
            )
        self.measured_ends.assign([low, high])

    @property
    def ends(self) -> tuple[Tensor, Tensor]:
        """Gamma at t = 0 and at t = 1."""
        if self.measured_ends is None:
            return self.gamma_min, self.gamma_max
        return self.measured_ends[0], self.measured_ends[1]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "gamma_min": self.gamma_min if self.gamma_denoise is None else None,
            "gamma_max": self.gamma_max if self.gamma_noise is None else None,
            "gamma_denoise": self.gamma_denoise,
            "gamma_noise": self.gamma_noise,
            "floor": self.floor,
        }


def paper_gamma_noise(log_variance: np.ndarray) -> float:
    """``max[3, logit(0.99^2) - min_i log Sigma_i]``, app. B with the logit that it forgets.

    >>> round(paper_gamma_noise(np.array([0.0, -2.0])), 3)
    5.897
    """
    return float(ops.squeeze(least_gamma_noise(log_variance.reshape(1, -1), 0.0)))


def floored(variance: np.ndarray, floor: float | None) -> np.ndarray:
    """Variances without those that hold next to nothing, such as of a constant border.

    Args:
        variance: > 0.
        floor: Those below this share of the mean count as that much. `None`: of the components with
            the smallest variances, those that hold a thousandth of the sum count as the next one.

    >>> floored(np.array([1.0, 0.5, 1e-4, 1e-9]), None).tolist()
    [1.0, 0.5, 0.5, 0.5]
    """
    if floor is not None:
        return np.maximum(variance, floor * variance.mean())
    ordered = np.sort(variance, axis=None)
    least = ordered[np.sum(np.cumsum(ordered) <= 1e-3 * ordered.sum())]
    return np.maximum(variance, least)


def check_floor(floor: float | None) -> float | None:
    """The floor as a float; a `ValueError` unless it is `None` or a number in [0, 1)."""
    if floor is None:
        return None
    check_numbers(floor=floor)
    if not 0.0 <= floor < 1.0:
        raise ValueError(f"Expected `floor` in [0, 1). Received: floor={floor}.")
    return float(floor)


def check_gamma_noise(gamma_noise: float | str | None) -> float | str | None:
    """The argument; a `ValueError` unless it is a number, `None` or ``"paper"``."""
    if isinstance(gamma_noise, str) and gamma_noise != "paper":
        raise ValueError(
            'Expected `gamma_noise` to be a number, None or "paper". '
            f"Received: gamma_noise={gamma_noise!r}."
        )
    if gamma_noise is None or isinstance(gamma_noise, str):
        return gamma_noise
    return as_number(gamma_noise=gamma_noise)


def as_number(**value: Any) -> float:
    """The value of one argument as a float; a `ValueError` for anything but a number."""
    check_numbers(**value)
    return float(*value.values())


def _check_one(**given: Any) -> None:
    (gamma, ratio), values = given.keys(), given.values()
    if None not in values:
        received = ", ".join(f"{name}={value!r}" for name, value in given.items())
        raise ValueError(
            f"Expected `{gamma}` or `{ratio}`, not both: one follows from the other. "
            f"Received: {received}."
        )


def least_gamma_noise(log_variance: TensorLike, offset: TensorLike) -> Tensor:
    """The least gamma_noise >= 3 for which every sigma_i(1) reaches 0.99.

    Args:
        log_variance: log Sigma_i, ``(1, n)``.
        offset: By how much gamma_i(1) is above ``gamma_noise + log Sigma_i``, ``(batch, n)``.
    """
    log_variance = ops.convert_to_tensor(log_variance, "float32")
    needed = ops.max(NOISED_GAMMA - log_variance - offset, axis=1, keepdims=True)
    return ops.maximum(needed, LEAST_GAMMA_NOISE)
