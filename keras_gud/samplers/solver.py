"""Adaptive Runge-Kutta integration of any field: the length of a step follows an error estimate.

A step is accepted if its estimated error is at most 1 in units of ``atol + rtol |y|``; a PI
controller then chooses the next length from this error and the one before (Hairer, Norsett, Wanner,
"Solving Ordinary Differential Equations I", sec. II.4: error norm and first step; volume II,
sec. IV.2: the controller)::

    h_next = h * clip(0.9 error^(-0.7/order) error_before^(0.4/order), 0.2, 10)
"""

import functools
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from keras import ops

from keras_gud.core.arguments import check_positive
from keras_gud.core.types import Tensor
from keras_gud.samplers import tableaus
from keras_gud.samplers.tableaus import Unknowns

_SAFETY = 0.9
_SHRINK_MOST, _GROW_MOST = 0.2, 10.0  # bounds of the change of a step
# Integral and proportional gain of the controller, to be divided by the order.
_INTEGRAL_GAIN, _PROPORTIONAL_GAIN = 0.7, 0.4
_TRIES_BETWEEN_REPORTS = 16
# A time this near to a jump of the field counts as the time of the jump.
_MARGIN = 1e-5


class Field(Protocol):
    """A field ``(t, y) -> dy/dt``.

    Attributes:
        kinks: `None`, or the times, float32 ``(n,)``, at which the field jumps.
    """

    kinks: Tensor | None

    def __call__(self, t: Tensor, y: Unknowns) -> Unknowns:
        """The slope of y at time t."""


class SolverState(NamedTuple):
    """Where an integration stands.

    Attributes:
        t: Time reached.
        width: Length of the next step, signed.
        error: Error of the last accepted step.
        counts: int32 ``(3,)``: accepted steps, rejected steps, jumps of the field met.
        y: The unknowns at t.
        slope: Their slope at t.
    """

    t: Tensor
    width: Tensor
    error: Tensor
    counts: Tensor
    y: Unknowns
    slope: Unknowns


class AdaptiveSolver:
    """Integration of ``dy/dt = field(t, y)`` with a PI step-size controller, in pure functions.

    The error is one number for the whole batch: the root mean square of the error estimate in units
    of ``atol + rtol |y|``, the largest one of the entries of y.

    Args:
        method: Name of a tableau with an embedded method.
        rtol: Relative tolerance of a step, > 0.
        atol: Absolute tolerance of a step, > 0.

    Raises:
        ValueError: for an unknown method, or a tolerance that is not a number > 0.
    """

    def __init__(self, method: str, rtol: float, atol: float) -> None:
        self.tableau = tableaus.get(method, adaptive=True)
        self.rtol, self.atol = (
            check_positive(name, value) for name, value in (("rtol", rtol), ("atol", atol))
        )

    def begin(self, field: Field, y: Unknowns, t: Tensor, end: Tensor) -> SolverState:
        """The state that `advance` starts from.

        The first step is Hairer's guess from y, its slope and the change of the slope.

        Args:
            field: The field.
            y: The unknowns at time t.
            t: Time now, a scalar tensor.
            end: Time to reach, which gives the direction.
        """
        ahead = ops.cast(ops.where(end > t, 1.0, -1.0), t.dtype)
        slope = field(t if field.kinks is None else t + ahead * _MARGIN, y)
        scale = self._scale(y, y)
        size, speed = _norm(y, scale), _norm(slope, scale)
        small = ops.logical_or(size < 1e-5, speed < 1e-5)
        guess = ops.where(small, 1e-6, 0.01 * size / ops.where(small, 1.0, speed))
        guess = ops.minimum(guess, ops.abs(end - t))
        probe = field(t + ahead * guess, tableaus.combine(y, ahead * guess, (1.0,), [slope]))
        change = tuple(a - b for a, b in zip(probe, slope, strict=True))
        largest = ops.maximum(speed, _norm(change, scale) / ops.maximum(guess, 1e-30))
        exponent = 1.0 / self.tableau.order
        length = ops.where(
            largest <= 1e-15,
            ops.maximum(1e-6, 1e-3 * guess),
            (0.01 / ops.maximum(largest, 1e-15)) ** exponent,
        )
        width = ops.minimum(ops.minimum(100.0 * guess, length), ops.abs(end - t))
        if field.kinks is not None:
            # Where the slope is 0, it stays 0 up to the next kink: one step leads there.
            width = ops.where(largest > 0.0, width, ops.abs(_next_stop(field.kinks, t, end) - t))
        zeros = ops.zeros((3,), "int32")
        return SolverState(t, ahead * width, ops.ones_like(t), zeros, y, slope)

    def advance(self, field: Field, state: SolverState, end: Tensor, tries: Tensor) -> SolverState:
        """Steps until `end`, or until `tries` steps have been accepted or rejected in all.

        Where the field jumps, a step ends and the next one begins with the slope behind the jump:
        the error estimate, made for smooth fields, hardly notices a jump between two stages.

        Args:
            field: The field.
            state: From `begin` or `advance`.
            end: Time to reach.
            tries: Limit on the sum of accepted and rejected steps.
        """

        def unfinished(t, width, error, counts, y, slope):
            going = ops.logical_and(t != end, counts[0] + counts[1] < tries)
            # False also where the step has vanished beside t, or is NaN.
            return ops.logical_and(going, ops.abs((t + width) - t) > 0.0)

        def body(*state):
            return tuple(self._try_step(field, SolverState(*state), end))

        return SolverState(*ops.while_loop(unfinished, body, tuple(state)))

    def _try_step(self, field: Field, state: SolverState, end: Tensor) -> SolverState:
        """One step, accepted or rejected."""
        t, width, error_before, counts, y, slope = state
        stop = _next_stop(field.kinks, t, end)
        # A step that would leave less than a thousandth of itself before the stop goes there.
        to_stop = ops.abs(stop - t) <= ops.abs(width) * (1.0 + 1e-3)
        s = ops.where(to_stop, stop, t + width)
        slopes = tableaus.stage_slopes(self.tableau, _inside(field, t, s), t, s, y, slope)
        after = tableaus.combine_stacked(y, s - t, self.tableau.square_matrix[-1], slopes)
        zeros = tuple(ops.zeros_like(part) for part in y)
        estimate = tableaus.combine_stacked(zeros, s - t, self.tableau.error, slopes)
        error = _norm(estimate, self._scale(y, after))
        # NaN and infinity count as large errors.
        error = ops.where(error < 1e10, error, 1e10)
        accept = error <= 1.0
        factor = self._factor(ops.maximum(error, 1e-10), error_before)
        # A rejected step must shrink.
        factor = ops.where(accept, factor, ops.minimum(factor, _SAFETY))
        next_width = (s - t) * factor
        # A step that was shortened to end at the stop does not shorten the next one.
        longer = ops.logical_and(to_stop, ops.abs(width) > ops.abs(next_width))
        next_width = ops.where(ops.logical_and(accept, longer), width, next_width)

        def pick(new, old):
            return tuple(ops.where(accept, a, b) for a, b in zip(new, old, strict=True))

        y, slope = pick(after, y), pick([stack[-1] for stack in slopes], slope)
        jumped = ops.zeros_like(accept)
        if field.kinks is not None:
            jumped = ops.logical_and(accept, _is_kink(field.kinks, s))
            beyond = s + ops.sign(s - t) * _MARGIN
            slope = ops.cond(jumped, lambda: field(beyond, y), lambda: slope)
        new = ops.stack([ops.cast(flag, "int32") for flag in (accept, ~accept, jumped)])
        error = ops.where(accept, ops.maximum(error, 1e-4), error_before)
        return SolverState(ops.where(accept, s, t), next_width, error, counts + new, y, slope)

    def _factor(self, error, error_before):
        """The change of the step's length, by the PI controller."""
        order = self.tableau.order
        integral, proportional = _INTEGRAL_GAIN / order, _PROPORTIONAL_GAIN / order
        factor = _SAFETY * error**-integral * error_before**proportional
        return ops.clip(factor, _SHRINK_MOST, _GROW_MOST)

    def _scale(self, y: Unknowns, after: Unknowns) -> Unknowns:
        return tuple(
            self.atol + self.rtol * ops.maximum(ops.abs(a), ops.abs(b))
            for a, b in zip(y, after, strict=True)
        )

    def reach(
        self,
        advance: Callable[[SolverState, tuple[Tensor, Tensor]], SolverState],
        state: SolverState,
        end: float,
        limit: int,
        report: Callable[[float], None] | None = None,
    ) -> SolverState:
        """Calls a compiled `advance` until `end` is reached.

        Args:
            advance: Callable ``(state, (end, tries)) -> state``.
            state: From `begin` or `advance`.
            end: Time to reach.
            limit: Limit on the sum of accepted and rejected steps.
            report: `None`, or a function that is called with the time after every few steps.

        Raises:
            ToleranceError: if `end` cannot be reached.
        """
        while True:
            before = _tries(state)
            tries = limit if report is None else min(before + _TRIES_BETWEEN_REPORTS, limit)
            state = SolverState(*advance(state, (np.float32(end), np.int32(tries))))
            t, done = float(state.t), _tries(state)
            if report:
                report(t)
            if t == end:
                return state
            if done >= limit or done == before:
                raise ToleranceError(self._failure(state, end, limit))

    def statistics(self, state: SolverState) -> dict[str, int]:
        """Accepted and rejected steps, and evaluations of the field."""
        accepted, rejected, jumps = (int(count) for count in state.counts)
        # Two to begin with; the first slope of a step is the last one of the step before, unless
        # the field jumped there.
        evaluations = 2 + (accepted + rejected) * len(self.tableau.nodes) + jumps
        return {"accepted": accepted, "rejected": rejected, "evaluations": evaluations}

    def _failure(self, state: SolverState, end: float, limit: int) -> str:
        accepted, rejected, _ = (int(count) for count in state.counts)
        return (
            f"Expected the adaptive solver to reach t={end:g} within steps={limit} tries. "
            f"Received: it stopped at t={float(state.t):.6g} after {accepted} accepted and "
            f"{rejected} rejected steps, the next one of length {abs(float(state.width)):.2g}, "
            f"with rtol={self.rtol:g} and atol={self.atol:g}. Allow larger errors or more steps, "
            "or see whether the denoiser returns NaN there."
        )


class ToleranceError(RuntimeError):
    """An adaptive solver could not meet its tolerance; the message has its statistics."""


def _is_kink(kinks, s):
    """Whether the field jumps at s, strictly between 0 and 1."""
    near = ops.any(ops.abs(kinks - s) <= 2.0 * _MARGIN)
    return ops.logical_and(near, ops.logical_and(s > _MARGIN, s < 1.0 - _MARGIN))


def _tries(state: SolverState) -> int:
    return int(state.counts[0]) + int(state.counts[1])


def _next_stop(kinks, t, end):
    """The first kink between t and the end, or the end."""
    if kinks is None:
        return end
    ahead = ops.cast(ops.where(end > t, 1.0, -1.0), t.dtype)
    distance = ahead * (kinks - t)
    distance = ops.where(distance > 2.0 * _MARGIN, distance, 2.0)
    nearest = t + ahead * ops.min(distance)
    return ops.where(ahead * (end - nearest) > 2.0 * _MARGIN, nearest, end)


def _inside(field: Field, t: Tensor, s: Tensor) -> Callable[[Tensor, Unknowns], Unknowns]:
    """The field in the open interval from t to s, on this side of the jumps at its ends."""
    if field.kinks is None:
        return field
    low, high = ops.minimum(t, s) + _MARGIN, ops.maximum(t, s) - _MARGIN
    return lambda at, y: field(ops.clip(at, low, ops.maximum(low, high)), y)


def _norm(parts: Unknowns, scale: Unknowns) -> Tensor:
    """The largest root mean square of a part, in units of `scale`.

    The mean over all entries would lose a part of few entries among the others.
    """
    means = [ops.mean(ops.square(a / b)) for a, b in zip(parts, scale, strict=True)]
    return ops.sqrt(functools.reduce(ops.maximum, means))
