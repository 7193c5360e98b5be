"""A scalar gamma(t) that is learned: the pace at which the loss varies least."""

import keras
from keras import ops

from keras_gud.core.arguments import check_integer
from keras_gud.core.registry import PACKAGE
from keras_gud.schedules.pieces import check_gamma_range, snap
from keras_gud.schedules.schedule import ComponentSchedule, registry

# What has been measured in an interval is the mean over about so many of its last examples.
_MEMORY = 1000.0
# No interval gets less than this part of an equal share of the time.
_LEAST = 0.1
# Every evaluation compares t with all of them.
_MOST = 10_000


@registry.register("learned")
@keras.saving.register_keras_serializable(package=PACKAGE)
class Learned(ComponentSchedule):
    """The monotone curve of Variational Diffusion (Kingma et al., 2021), piecewise linear.

    The bound does not depend on the curve between its ends; the variance of its estimate does.
    Kingma et al. descend the square of the loss along a monotone network. Here the minimum over
    piecewise linear curves is known: the time spent in an interval of gamma is proportional to the
    root mean square, over examples, of the squared error there. It is measured while training.

    Args:
        gamma_min: Gamma at t = 0, exactly.
        gamma_max: Gamma at t = 1, exactly.
        pieces: Number of intervals, of equal length in gamma.

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
        self, gamma_min: float = -13.3, gamma_max: float = 5.0, pieces: int = 32, **kwargs
    ):
        super().__init__(**kwargs)
        check_gamma_range(gamma_min, gamma_max)
        self.gamma_min, self.gamma_max = float(gamma_min), float(gamma_max)
        self.pieces = check_integer("pieces", pieces, 1)
        if self.pieces > _MOST:
            raise ValueError(f"Expected `pieces` up to {_MOST}. Received: pieces={pieces}.")

    def create_weights(self):
        """What has been measured in each interval: the mean square of the error, over how many."""
        self.squares = self.add_statistic("squares", (self.pieces,), "ones")
        self.seen = self.add_statistic("seen", (self.pieces,))

    def path(self, t):
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

    def kinks(self, **params):
        """Where the intervals meet; see `ComponentSchedule.kinks`."""
        begin, _ = self._times()
        return ops.expand_dims(begin[1:], 0)

    def learn(self, t, error, weight=None):
        """Takes note of squared errors; training calls it.

        Args:
            t: Times, ``(batch,)``.
            error: Squared errors of eps of examples at these times, ``(batch,)``.
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

    def _times(self):
        """When each interval begins, and its share of the time, float32 ``(pieces,)`` each."""
        share = ops.sqrt(self.squares)
        share = share / ops.mean(share) + _LEAST
        share = share / ops.sum(share)
        return ops.cumsum(share) - share, share

    def _interval(self, t, begin):
        """The interval that t is in, int32 ``(batch, 1)``."""
        begun = ops.cast(t >= ops.expand_dims(begin[1:], 0), "int32")
        return ops.sum(begun, axis=1, keepdims=True)

    def get_config(self):
        """The constructor's arguments."""
        own = {"gamma_min": self.gamma_min, "gamma_max": self.gamma_max, "pieces": self.pieces}
        return super().get_config() | own
