"""A scalar gamma(t) that is learned: the curve for which the loss varies least over t.

Kingma et al. 2021, "Variational Diffusion Models"; here gamma(t) is piecewise linear, with
dt/dgamma in an interval of gamma proportional to the root mean square of the loss there.
"""

from typing import Any

import keras
from keras import ops

from keras_gud.core.arguments import check_integer
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import Tensor
from keras_gud.schedules.checks import check_gamma_range
from keras_gud.schedules.clipping import snap
from keras_gud.schedules.schedule import ComponentSchedule, registry

# What has been measured in an interval is the mean over about this many of its last examples.
_MEMORY = 1000.0
# No interval gets less than this fraction of an equal share of the time.
_LEAST = 0.1
# Every evaluation compares t with the ends of all intervals.
_MAX_PIECES = 10_000


@registry.register("learned")
@keras.saving.register_keras_serializable(package=PACKAGE)
class Learned(ComponentSchedule):
    """The monotone curve of Variational Diffusion (Kingma et al., 2021), piecewise linear.

    The variational bound does not depend on the curve between its ends, but the variance of its
    Monte Carlo estimate does. Kingma et al. parametrise the curve by a monotone network and
    minimise the square of the loss. Here the minimum over piecewise linear curves is known: the
    time spent in an interval of gamma is proportional to the root mean square, over examples, of
    the squared error there. It is measured during training.

    Args:
        gamma_min: Gamma at t = 0, exactly.
        gamma_max: Gamma at t = 1, exactly.
        pieces: Number of intervals, of equal length in gamma.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: unless gamma_min < gamma_max, finite, and 1 <= pieces <= 10000.

    Example:

    >>> import numpy as np
    >>> schedule = Learned(gamma_min=-8.0, gamma_max=8.0, pieces=2)
    >>> schedule.adapt(variance=np.ones(2))
    >>> error = np.repeat([3.0, 1.0], 500)  # three times larger where gamma is below 0
    >>> schedule.learn(np.linspace(0, 1, 1000), error)
    >>> [round(float(schedule(t).gamma[0, 0]), 1) for t in (0.5, 0.75)]
    [-2.5, 0.7]
    """

    learns = True

    def __init__(
        self, gamma_min: float = -13.3, gamma_max: float = 5.0, pieces: int = 32, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_gamma_range(gamma_min, gamma_max)
        self.gamma_min, self.gamma_max = float(gamma_min), float(gamma_max)
        self.pieces = check_integer("pieces", pieces, 1)
        if self.pieces > _MAX_PIECES:
            raise ValueError(f"Expected `pieces` up to {_MAX_PIECES}. Received: pieces={pieces}.")

    def create_weights(self) -> None:
        """Of each interval: the mean square of the errors measured, and their number."""
        self.squares = self.add_statistic("squares", (self.pieces,), "ones")
        self.seen = self.add_statistic("seen", (self.pieces,))

    def path(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """The curve and its derivative."""
        begin, share = self._times()
        index = self._interval(t, begin)
        share = ops.take(share, index)
        inside = ops.clip(snap((t - ops.take(begin, index)) / share), 0.0, 1.0)
        step = (self.gamma_max - self.gamma_min) / self.pieces
        gamma = self.gamma_min + step * (ops.cast(index, "float32") + inside)
        # gamma_min + (gamma_max - gamma_min) may miss gamma_max by an ulp
        gamma = ops.where(t >= 1.0, self.gamma_max, gamma)
        return gamma, step / share

    def kinks(self, **params: Any) -> Tensor | None:
        """Where the intervals meet; see `ComponentSchedule.kinks`."""
        begin, _ = self._times()
        return ops.expand_dims(begin[1:], 0)

    def learn(self, t: Tensor, error: Tensor, weight: Tensor | None = None) -> None:
        """Updates the curve with the squared errors of some examples; training calls it.

        Args:
            t: Times, ``(batch,)``.
            error: Squared errors of eps of the examples at these times, ``(batch,)``.
            weight: 0 for examples that do not count, else 1, ``(batch,)``; default: all count.
        """
        t, error = (ops.reshape(ops.cast(part, "float32"), (-1, 1)) for part in (t, error))
        index = ops.reshape(self._interval(t, self._times()[0]), (-1,))
        member = ops.one_hot(index, self.pieces, dtype="float32")
        if weight is not None:
            member = member * ops.reshape(ops.cast(weight, "float32"), (-1, 1))
        count = ops.sum(member, axis=0)
        mean = ops.sum(member * error**2, axis=0) / ops.maximum(count, 1.0)
        seen = ops.clip(self.seen + count, 1.0, ops.maximum(count, _MEMORY))
        self.squares.assign(self.squares + count / seen * (mean - self.squares))
        self.seen.assign(seen)

    def _times(self) -> tuple[Tensor, Tensor]:
        """When each interval begins, and its share of the time, float32 ``(pieces,)`` each."""
        share = ops.sqrt(self.squares)
        share = share / ops.mean(share) + _LEAST
        share = share / ops.sum(share)
        return ops.cumsum(share) - share, share

    def _interval(self, t: Tensor, begin: Tensor) -> Tensor:
        """The index of the interval that t is in, int32 ``(batch, 1)``."""
        begun = ops.cast(t >= ops.expand_dims(begin[1:], 0), "int32")
        return ops.sum(begun, axis=1, keepdims=True)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"gamma_min": self.gamma_min, "gamma_max": self.gamma_max, "pieces": self.pieces}
        return super().get_config() | own
