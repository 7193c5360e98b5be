"""Curves gamma(t) that are learned during training, one for each group of components.

A curve is piecewise linear in t; the time that it spends in an interval of gamma comes from the
squared errors e of eps of its group, the mean over the group's components, that training sees there
anyway::

    information    dt/dgamma ~ E[e]           each group loses information at a constant rate
    variance       dt/dgamma ~ sqrt(E[e^2])   the loss varies least (Kingma et al., 2021)

By the I-MMSE relation (Guo et al., 2005) ``E[e]/2`` is the information about a component that
passes per unit of gamma. For independent Gaussian components it makes ``log(1 + SNR)`` linear in t,
the best path there is (`keras_gud.paths`); that is where these curves begin, the others as a line.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud.core.arguments import check_integer
from keras_gud.core.registry import PACKAGE, require_one_of
from keras_gud.core.types import Coordinates, Tensor
from keras_gud.schedules.checks import check_gamma_range
from keras_gud.schedules.clipping import snap
from keras_gud.schedules.function import CoordinateSchedule
from keras_gud.schedules.group_sums import sum_groups
from keras_gud.schedules.schedule import registry

# What has been measured in an interval is the mean over about this many of its last examples.
_MEMORY = 1000.0
# No interval gets less than this fraction of an equal share of the time.
_LEAST = 0.1
# Every evaluation compares t with the ends of all intervals of all groups.
_MAX_PIECES = 10_000
# The power of the error whose mean is kept; its root is the criterion.
_CRITERIA = {"information": 1.0, "variance": 2.0}


@registry.register("learned")
@keras.saving.register_keras_serializable(package=PACKAGE)
class Learned(CoordinateSchedule):
    """Monotone piecewise linear curves that are learned in training, at no extra evaluation.

    Args:
        gamma_min: Gamma at t = 0, exactly.
        gamma_max: Gamma at t = 1, exactly.
        pieces: Number of intervals, of equal length in gamma.
        over: Names of coordinates, e.g. ``("band", "orientation")`` or ``"rank"``, whose
            combinations of values are the groups that have a curve each; ``()``: one curve for all.
        criterion: What is made equal along the curve: ``"information"``, which serves samplers of
            few steps, or ``"variance"``, the root mean square of the loss: with one curve and the
            weighting ``"likelihood"``, Variational Diffusion (Kingma et al., 2021).
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: unless gamma_min < gamma_max, finite, and 1 <= pieces <= 10000; for an unknown
            criterion; at `adapt`, for unknown coordinates or more than 10000 intervals in all.

    Example:

    >>> import numpy as np
    >>> schedule = Learned(gamma_min=-8.0, gamma_max=8.0, pieces=2)
    >>> schedule.adapt(variance=np.ones(2))
    >>> error = np.repeat([[3.0], [1.0]], 5000, axis=0)  # three times larger below gamma = 0
    >>> t = np.repeat([0.01, 0.99], 5000)
    >>> schedule.learn(t, error)
    >>> [round(float(schedule(t).gamma[0, 0]), 1) for t in (0.5, 0.75)]
    [-2.5, 0.7]
    """

    learns = True

    def __init__(
        self,
        gamma_min: float = -13.3,
        gamma_max: float = 5.0,
        pieces: int = 32,
        over: str | Sequence[str] = (),
        criterion: str = "information",
        **kwargs: Any,
    ) -> None:
        super().__init__((over,) if isinstance(over, str) else tuple(over), **kwargs)
        check_gamma_range(gamma_min, gamma_max)
        self.gamma_min, self.gamma_max = float(gamma_min), float(gamma_max)
        self.pieces = check_integer("pieces", pieces, 1)
        require_one_of("criterion", criterion, _CRITERIA)
        self.criterion = criterion
        self._check_count(1)

    def _check_count(self, n_groups: int) -> None:
        if self.pieces * n_groups > _MAX_PIECES:
            raise ValueError(
                f"Expected `pieces` times the number of groups to be up to {_MAX_PIECES}. "
                f"Received: pieces={self.pieces}, groups={n_groups}."
            )

    def create_weights(self) -> None:
        """Of each interval of each group: the mean power of errors, now and at first; how many."""
        super().create_weights()
        self._check_count(self.n_groups)
        shape = (self.pieces, self.n_groups)
        self.powers = self.add_statistic("powers", shape, "ones")
        self.first = self.add_statistic("first", shape, "ones")
        self.seen = self.add_statistic("seen", shape)

    def fit_statistics(
        self, variance: np.ndarray, data_variance: np.ndarray, coordinates: Coordinates
    ) -> None:
        """Settles where the curves begin."""
        super().fit_statistics(variance, data_variance, coordinates)
        power = np.ones((self.pieces, self.n_groups))
        if self.criterion == "information":
            power = self._gaussian_errors(variance, coordinates)
        self.first.assign(power)
        self.powers.assign(power)
        self.seen.assign(np.zeros_like(power))

    def _gaussian_errors(self, variance: np.ndarray, coordinates: Coordinates) -> np.ndarray:
        """``E[e]`` of independent Gaussian components, SNR/(1 + SNR), ``(pieces, n_groups)``."""
        step = (self.gamma_max - self.gamma_min) / self.pieces
        middle = self.gamma_min + step * (np.arange(self.pieces) + 0.5)
        errors = 1.0 / (1.0 + np.exp(middle[:, None]) / np.maximum(variance.ravel(), 1e-30))
        groups = self.make_groups(variance.shape, coordinates).ravel()
        count = np.bincount(groups)
        return np.stack([np.bincount(groups, weights=row) / count for row in errors])

    def path(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """The curves and their derivatives."""
        begin, share = self._times(self.powers)
        step = (self.gamma_max - self.gamma_min) / self.pieces
        inside = (ops.expand_dims(t, 1) - begin) / share  # of each interval, what is passed
        passed = ops.sum(ops.clip(snap(inside), 0.0, 1.0), axis=1)
        gamma = self.gamma_min + step * passed
        # gamma_min + (gamma_max - gamma_min) may miss gamma_max by an ulp
        gamma = ops.where(t >= 1.0, self.gamma_max, gamma)
        return gamma, ops.sum(self._member(t, begin) * (step / share), axis=1)

    def kinks(self, **params: Any) -> Tensor | None:
        """Where the intervals of a single curve meet; see `ComponentSchedule.kinks`.

        Those of many curves are too many to stop at.
        """
        begin, _ = self._times(self.powers)
        return ops.reshape(begin[1:], (1, -1)) if self.n_groups == 1 else None

    def learn(self, t: Tensor, error: Tensor, weight: Tensor | None = None) -> None:
        """Updates the curves with the squared errors of some examples; training calls it.

        Args:
            t: Times, ``(batch,)``.
            error: Mean squared error of eps over the components of each group, ``(batch,
                n_groups)``; see `group_errors`.
            weight: 0 for what does not count, else 1, ``(batch, n_groups)`` or ``(batch, 1)``;
                default: all counts.
        """
        t, error = ops.reshape(ops.cast(t, "float32"), (-1, 1)), ops.cast(error, "float32")
        member = self._member(t, self._times(self.powers)[0])
        if weight is not None:
            member = member * ops.expand_dims(ops.cast(weight, "float32"), 1)
        power = ops.expand_dims(error ** _CRITERIA[self.criterion], 1)
        count = ops.sum(member, axis=0)
        mean = ops.sum(member * power, axis=0) / ops.maximum(count, 1.0)
        seen = ops.clip(self.seen + count, 1.0, ops.maximum(count, _MEMORY))
        self.powers.assign(self.powers + count / seen * (mean - self.powers))
        self.seen.assign(seen)

    def group_errors(self, squared: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
        """What `learn` takes, from the errors of all components.

        Args:
            squared: Squared errors of eps, ``(batch, *data_shape)``.
            active: 1 for components that are being noised, else 0; of the same shape.

        Returns:
            Pair of the mean over each group's active components, and 1 for each group that has
            some, else 0; ``(batch, n_groups)`` each.
        """
        total, count = self._sum_groups(squared * active), self._sum_groups(active)
        return total / ops.maximum(count, 1.0), ops.cast(count > 0.0, "float32")

    def importance(self, t: Tensor) -> Tensor:
        """How much rarer each group's gamma is at these times than it was at first.

        ``(dgamma/dt now)/(dgamma/dt at first)``, each at the same gamma: weights of the loss that
        contain it keep their meaning while the curves move.

        Args:
            t: Times, ``(batch,)``.

        Returns:
            float32, broadcasts against ``(batch, *data_shape)``.
        """
        t = ops.reshape(ops.cast(t, "float32"), (-1, 1))
        begin, share = self._times(self.powers)
        ratio = self._times(self.first)[1] / share
        return self.spread(ops.sum(self._member(t, begin) * ratio, axis=1))

    def _sum_groups(self, values: Tensor) -> Tensor:
        groups = ops.broadcast_to(self.groups, values.shape[1:])
        return sum_groups(values, groups, self.n_groups)

    def _times(self, powers: Tensor) -> tuple[Tensor, Tensor]:
        """When each interval begins, and its share of the time; float32 ``(pieces, n_groups)``."""
        share = ops.convert_to_tensor(powers) ** (1.0 / _CRITERIA[self.criterion])
        share = share / ops.mean(share, axis=0) + _LEAST
        share = share / ops.sum(share, axis=0)
        return ops.cumsum(share, axis=0) - share, share

    def _member(self, t: Tensor, begin: Tensor) -> Tensor:
        """1 for the interval that each group is in, else 0; ``(batch, pieces, n_groups)``."""
        begun = ops.cast(ops.expand_dims(t, 1) >= begin, "float32")  # the first begins at 0
        return begun - ops.pad(begun[:, 1:], ((0, 0), (0, 1), (0, 0)))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "gamma_min": self.gamma_min,
            "gamma_max": self.gamma_max,
            "pieces": self.pieces,
            "over": self.coordinate_names,
            "criterion": self.criterion,
        }
