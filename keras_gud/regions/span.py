"""What part of a path is of use: noise that can be seen, of data that are not lost.

A time t is wasted where the noise has less than `VISIBLE` of the variance of the data, or where no
component has a signal-to-noise ratio of more than `LEFT`::

    sum_i S_i^2 exp(gamma_i) < VISIBLE sum_i S_i^2 Sigma_i
    max_i Sigma_i exp(-gamma_i) < LEFT

with S the scale of the prior and Sigma_i the variance of the component z0_i.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from keras import ops

from keras_gud.core.compiled import CompiledWithVariables
from keras_gud.regions.view import View

# A standard deviation of a hundredth of the data's: two or three grey levels of a photograph.
VISIBLE = 1e-4
LEFT = 1e-2
# A path may reach a little beyond both.
_TOLERATED = 1.0 / 3.0
_TIMES = 65


@dataclass(frozen=True)
class Span:
    """How the time of a path is spent.

    Attributes:
        low: The least gamma of any component at t = 0.
        high: The largest one at t = 1.
        invisible: Share of [0, 1] at which the noise cannot be seen.
        lost: Share at which nothing of the data is left.
    """

    low: float
    high: float
    invisible: float
    lost: float

    @property
    def wasted(self) -> float:
        """Share of [0, 1] that is of no use."""
        return self.invisible + self.lost

    def advice(self, schedule: str) -> str | None:
        """What to do where more than a third of the path is of no use, else `None`.

        Args:
            schedule: Name of the schedule's class.
        """
        if self.wasted <= _TOLERATED:
            return None
        ends = []
        if self.invisible > self.lost / 2.0:
            ends.append("start it later (a larger gamma_min or gamma_denoise)")
        if self.lost > self.invisible / 2.0:
            ends.append("end it earlier (a smaller gamma_max or gamma_noise)")
        return (
            f"{self.wasted:.0%} of the path of {schedule} is wasted, in training and in sampling: "
            f"{self}. To mend it {' and '.join(ends)}, or take schedule='cosine'."
        )

    def __str__(self) -> str:
        return (
            f"gamma from {self.low:.1f} to {self.high:.1f}; the noise is invisible in "
            f"{self.invisible:.0%} of the path and nothing is left in {self.lost:.0%}"
        )


def measure_span(view: View) -> Span:
    """How the path of a view spends its time, at the middle of the schedule's parameters.

    Args:
        view: A view whose parts are adapted.
    """
    scale, variance = (
        np.asarray(ops.convert_to_numpy(v), "float64")
        for v in (view.prior.scale, view.prior.variance)
    )
    times = np.linspace(0.0, 1.0, _TIMES)

    def gamma_at(t):
        return view.schedule(t).gamma[0]

    # One program for all times, where each operation would be one of its own.
    compiled = CompiledWithVariables(view.schedule).compile(gamma_at)
    found = (ops.convert_to_numpy(compiled(np.array([t], "float32"))) for t in times)
    gammas = [np.broadcast_to(g.astype("float64"), view.basis.data_shape) for g in found]
    total = np.sum(scale**2 * variance)
    noise = np.array([np.sum(scale**2 * np.exp(np.minimum(gamma, 60.0))) for gamma in gammas])
    signal = np.array([np.max(variance * np.exp(-np.maximum(gamma, -60.0))) for gamma in gammas])
    return Span(
        low=float(gammas[0].min()),
        high=float(gammas[-1].max()),
        invisible=float(np.mean(noise < VISIBLE * total)),
        lost=float(np.mean(signal < LEFT)),
    )


def warn_if_wasted(span: Span, schedule: str) -> None:
    """Warns where more than a third of a path is of no use, with the remedy.

    Args:
        span: From `measure_span`.
        schedule: Name of the schedule's class.
    """
    advice = span.advice(schedule)
    if advice is not None:
        warnings.warn(advice, stacklevel=3)
