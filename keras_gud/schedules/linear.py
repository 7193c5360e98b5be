"""Linear component-wise schedules (paper eqs. 18-20, sec. 5.1).

With an ordering l_i and the variance Sigma_i of component i::

    gamma_i(t) = gamma_denoise + log Sigma_i + a (l_i - l_max) + t Delta
    Delta      = gamma_noise - gamma_denoise + a (l_max - l_min)
"""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud.core.arguments import as_floats
from keras_gud.core.registry import PACKAGE, require_coordinate
from keras_gud.core.types import ArrayLike, Coordinates, Parameter, Shape, Tensor
from keras_gud.schedules.end_points import (
    as_number,
    check_floor,
    check_gamma_noise,
    floored,
    least_gamma_noise,
)
from keras_gud.schedules.schedule import ComponentSchedule, registry

_ORDERINGS = ("frequency", "mixed", "variance")


@registry.register("linear")
@keras.saving.register_keras_serializable(package=PACKAGE)
class Linear(ComponentSchedule):
    """Gamma grows linearly in t, with one slope and an offset per component (paper eqs. 18-20).

    With orderings l_i and Sigma_i the variance of component i::

        gamma_i(t) = gamma_denoise + log Sigma_i + a (l_i - l_max) + t Delta
        Delta      = gamma_noise - gamma_denoise + a (l_max - l_min)

    ``a = 1`` with the ordering by variance is standard diffusion (exactly so with an isotropic
    prior); ``a = 0`` gives every component the same signal-to-noise ratio; larger a is more
    sequential, from large variances (or low frequencies) to small.

    Args:
        a: Autoregressiveness, >= 0; a number or a range (low, high).
        ordering: ``"variance"`` (l = -log data variance), ``"frequency"`` (|k| stretched to the
            same range, paper sec. 5.1), ``"mixed"`` (between the two, see `r`), or an array of
            `data_shape` with the l_i themselves (larger = noised earlier = generated later).
        r: Weight of the frequency in ``"mixed"``, in [0, 1]; a number or a range.
        gamma_denoise: -log of the smallest signal-to-noise ratio at t = 0.
        gamma_noise: -log of the largest signal-to-noise ratio at t = 1. `None`: the smallest
            value >= 3 for which sigma_i(1) >= 0.99 in every component, found for each a.
            ``"paper"``: the paper's bound (app. B, with the logit that its text forgets),
            sufficient but larger.
        floor: Variances below this share of their mean count as that much, in [0, 1): a path that
            starts where a constant border pixel is without noise is spent on nothing. `None`: of
            the components with the smallest variances, those that hold a thousandth of the sum
            count as the next one; 0: the paper.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for a < 0, r outside [0, 1], an unknown ordering or `gamma_noise`, or a basis
            without the coordinate ``"frequency"`` where the ordering needs it.

    Example:

    >>> import numpy as np
    >>> schedule = Linear(a=1.0)
    >>> schedule.adapt(variance=np.array([1.0, 0.1]))
    >>> state = schedule(0.0)
    >>> [round(float(g), 3) for g in state.gamma[0]]
    [-9.303, -9.303]
    """

    # r <= 1 is closed; the half-open bound leaves room for just that.
    bounds = {"a": (0.0, math.inf), "r": (0.0, math.nextafter(1.0, 2.0))}

    def __init__(
        self,
        a: Parameter = 1.0,
        ordering: str | ArrayLike = "variance",
        r: Parameter | None = None,
        gamma_denoise: float = -7.0,
        gamma_noise: float | str | None = None,
        floor: float | None = None,
        **kwargs: Any,
    ) -> None:
        if isinstance(ordering, str) and ordering not in _ORDERINGS:
            raise ValueError(
                f"Expected `ordering` to be one of {list(_ORDERINGS)} or an array. "
                f"Received: ordering={ordering!r}."
            )
        if (r is None) == (isinstance(ordering, str) and ordering == "mixed"):
            raise ValueError(
                'Expected `r` together with ordering="mixed", and only then. '
                f"Received: ordering={ordering!r}, r={r!r}."
            )
        ranges = {"a": a}
        if r is not None:
            ranges["r"] = r
        super().__init__(ranges, **kwargs)
        self.ordering = ordering if isinstance(ordering, str) else _finite_floats(ordering)
        self.gamma_denoise = as_number(gamma_denoise=gamma_denoise)
        self.gamma_noise = check_gamma_noise(gamma_noise)
        self.floor = check_floor(floor)
        if isinstance(ordering, str) and ordering != "variance":
            self.home = "fourier"

    def group_names(self, data_shape: Shape) -> tuple[str, ...]:
        """The rank: every component is a group of its own."""
        return ("rank",)

    def make_groups(self, data_shape: Shape, coordinates: Coordinates) -> np.ndarray:
        """Every component is a group of its own."""
        return np.arange(int(np.prod(data_shape)), dtype="int32").reshape(data_shape)

    def create_weights(self) -> None:
        """The log Sigma_i, the first ordering, and the second one where two are mixed."""
        shape = (self.n_groups,)
        self.log_variance = self.add_statistic("log_variance", shape)
        self.l_first = self.add_statistic("l_first", shape)
        mixed = "r" in self.ranges
        self.l_frequency = self.add_statistic("l_frequency", shape) if mixed else None

    def fit_statistics(
        self, variance: np.ndarray, data_variance: np.ndarray, coordinates: Coordinates
    ) -> None:
        """Orderings from the variances before whitening and from the frequencies (sec. 5.1)."""
        variance, data_variance = (floored(v, self.floor) for v in (variance, data_variance))
        by_variance = -np.log(data_variance)
        self.log_variance.assign(np.log(variance).ravel())
        if not isinstance(self.ordering, str):
            try:
                first = np.broadcast_to(self.ordering, variance.shape)
            except ValueError:
                raise ValueError(
                    f"Expected an `ordering` that broadcasts to the data's shape {variance.shape}. "
                    f"Received: ordering of shape {self.ordering.shape}."
                ) from None
        elif self.ordering == "frequency":
            first = stretch(require_coordinate(coordinates, "frequency", "ordering"), by_variance)
        else:
            first = by_variance
        self.l_first.assign(first.ravel())
        if self.l_frequency is not None:
            frequency = require_coordinate(coordinates, "frequency", "ordering")
            self.l_frequency.assign(stretch(frequency, by_variance).ravel())

    def path(self, t: Tensor, a: Tensor, r: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Paper eqs. 18 and 20; see `ComponentSchedule.path`."""
        l = ops.expand_dims(self.l_first, 0)
        if r is not None:
            l = (1.0 - r) * l + r * ops.expand_dims(self.l_frequency, 0)
        l_max = ops.max(l, axis=1, keepdims=True)
        l_min = ops.min(l, axis=1, keepdims=True)
        log_variance = ops.expand_dims(self.log_variance, 0)
        gamma_noise = self._gamma_noise(log_variance, a * (l - l_min))
        delta = gamma_noise - self.gamma_denoise + a * (l_max - l_min)
        gamma_min = self.gamma_denoise + log_variance + a * (l - l_max)
        return gamma_min + t * delta, delta + ops.zeros_like(t)

    def _gamma_noise(self, log_variance: Tensor, offset: Tensor) -> Tensor:
        """`gamma_noise`; if not given, the least for which every sigma_i(1) reaches 0.99.

        With ``offset = a (l_i - l_min)``, ``gamma_i(1) = gamma_noise + log Sigma_i + offset``.
        """
        if isinstance(self.gamma_noise, float):
            return ops.full((1, 1), self.gamma_noise)
        if self.gamma_noise == "paper":
            offset = ops.zeros_like(offset)
        return least_gamma_noise(log_variance, offset)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        ordering = self.ordering
        return super().get_config() | {
            "ordering": ordering if isinstance(ordering, str) else ordering.tolist(),
            "gamma_denoise": self.gamma_denoise,
            "gamma_noise": self.gamma_noise,
            "floor": self.floor,
        }


def _finite_floats(ordering: ArrayLike) -> np.ndarray:
    numbers = as_floats(ordering)
    if not np.isfinite(numbers).all():
        raise ValueError(
            "Expected `ordering` to be a name or an array of finite numbers. "
            f"Received: ordering={ordering!r}."
        )
    return numbers


def stretch(frequency: np.ndarray, ordering: np.ndarray) -> np.ndarray:
    """|k| mapped linearly onto the range of `ordering`: (|k| + delta)/kappa of paper sec. 5.1."""
    low, high = frequency.min(), frequency.max()
    if low == high:
        raise ValueError(
            "Expected more than one frequency for an ordering by frequency. "
            f"Received: all components at |k|={low:g}."
        )
    return ordering.min() + (frequency - low) * np.ptp(ordering) / (high - low)


registry.add("frequency", lambda **kwargs: Linear(ordering="frequency", **kwargs))
