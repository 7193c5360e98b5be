"""Runge-Kutta steps whose length follows an error estimate, for any field."""

import functools

import numpy as np
from keras import ops

from keras_gud.core.arguments import check_positive
from keras_gud.samplers import tableaus

_SAFETY = 0.9
_SHORTEST, _LONGEST = 0.2, 10.0  # bounds of the change of a step
# Integral and proportional gain of the controller, to be divided by the order.
_GAIN, _MEMORY = 0.7, 0.4
_TRIES_BETWEEN_NEWS = 16
# Times this near to a jump of the field are taken for its time.
_MARGIN = 1e-5


class AdaptiveSolver:
    """Integration of ``dy/dt = field(t, y)`` with a PI step-size controller, in pure functions.

    Hairer, Norsett, Wanner, "Solving Ordinary Differential Equations I", secs. II.4 (error norm and
    first step) and IV.2 of volume II (the controller). The error is one number for the whole batch:
    the root mean square of the error estimate in units of ``atol + rtol |y|``, the largest one
    of the entries of y.

    Args:
        method: Name of a tableau with an embedded method.
        rtol: Relative tolerance of a step, > 0.
        atol: Absolute tolerance of a step, > 0.

    Raises:
        ValueError: for an unknown method, or a tolerance that is not a number > 0.
    """

    def __init__(self, method: str, rtol: float, atol: float):
        self.tableau = tableaus.get(method, adaptive=True)
        rows = (*self.tableau.matrix, self.tableau.weights)
        width = len(self.tableau.error)
        # Row i: weights of the slopes in stage i; the last stage is the step's end.
        self._matrix = [[*row, *[0.0] * (width - len(row))] for row in rows]
        self.rtol, self.atol = (
            check_positive(name, value) for name, value in (("rtol", rtol), ("atol", atol))
        )

    def begin(self, field, y: tuple, t, end) -> tuple:
        """What `advance` carries along: time, step, last error, counts, y, slope.

        The first step is Hairer's guess from y, its slope and the change of the slope.
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
            # Where everything stands still, nothing happens before the next kink.
            width = ops.where(largest > 0.0, width, ops.abs(_next_stop(field.kinks, t, end) - t))
        zeros = ops.zeros((3,), "int32")
        return t, ahead * width, ops.ones_like(t), zeros, y, slope

    def advance(self, field, carry: tuple, end, tries) -> tuple:
        """Steps until `end`, or until `tries` steps have been taken or rejected in all.

        Where the field jumps, a step ends and the next one begins with the slope behind the jump:
        the error estimates of smooth fields hardly see one between two stages.

        Args:
            field: Callable ``(t, y) -> dy/dt`` with an attribute `kinks`, the times at which it
                jumps, or `None`.
            carry: From `begin` or `advance`.
            end: Time to reach.
            tries: Limit on the sum of accepted and rejected steps.
        """

        def unfinished(t, width, error, counts, y, slope):
            going = ops.logical_and(t != end, counts[0] + counts[1] < tries)
            # False also where the step has vanished beside t, or is NaN.
            return ops.logical_and(going, ops.abs((t + width) - t) > 0.0)

        def body(*carry):
            return self._try_step(field, carry, end)

        return ops.while_loop(unfinished, body, tuple(carry))

    def _try_step(self, field, carry, end):
        t, width, before, counts, y, slope = carry
        stop = _next_stop(field.kinks, t, end)
        # A step that would leave a crumb before the stop takes it along.
        cut = ops.abs(stop - t) <= ops.abs(width) * (1.0 + 1e-3)
        s = ops.where(cut, stop, t + width)
        slopes = self._slopes(_inside(field, t, s), t, s, y, slope)
        after = _combine(y, s - t, self._matrix[-1], slopes)
        zeros = tuple(ops.zeros_like(part) for part in y)
        estimate = _combine(zeros, s - t, self.tableau.error, slopes)
        error = _norm(estimate, self._scale(y, after))
        # NaN and infinity are errors like others, just large ones.
        error = ops.where(error < 1e10, error, 1e10)
        accept = error <= 1.0
        factor = self._factor(ops.maximum(error, 1e-10), before)
        # A rejected step must shrink; one cut short tells less about the next.
        factor = ops.where(accept, factor, ops.minimum(factor, _SAFETY))
        next_width = (s - t) * factor
        longer = ops.logical_and(cut, ops.abs(width) > ops.abs(next_width))
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
        error = ops.where(accept, ops.maximum(error, 1e-4), before)
        return ops.where(accept, s, t), next_width, error, counts + new, y, slope

    def _slopes(self, field, t, s, y, first):
        """Slopes of all stages, and of the step's end; the field is compiled once for all.

        Returns:
            Tuple of tensors like the entries of y, with a first axis for the stages.
        """
        count = len(self.tableau.error)
        matrix = ops.convert_to_tensor(self._matrix, y[0].dtype)
        nodes = ops.convert_to_tensor([*self.tableau.nodes, 1.0], y[0].dtype)

        def mark(i, part):
            here = ops.cast(ops.arange(count) == i, part.dtype)
            return ops.reshape(here, (-1, *[1] * len(part.shape))) * part

        def body(i, slopes):
            at = ops.where(nodes[i] == 1.0, s, t + nodes[i] * (s - t))
            found = field(at, _combine(y, s - t, matrix[i], slopes))
            return tuple(k + mark(i, part) for k, part in zip(slopes, found, strict=True))

        return ops.fori_loop(1, count, body, tuple(mark(0, part) for part in first))

    def _factor(self, error, before):
        gain, memory = (k / self.tableau.order for k in (_GAIN, _MEMORY))
        factor = _SAFETY * error**-gain * before**memory
        return ops.clip(factor, _SHORTEST, _LONGEST)

    def _scale(self, y, after):
        return tuple(
            self.atol + self.rtol * ops.maximum(ops.abs(a), ops.abs(b))
            for a, b in zip(y, after, strict=True)
        )

    def reach(self, advance, carry: tuple, end, limit: int, tell=None) -> tuple:
        """Calls a compiled `advance` from outside until `end` is reached.

        Args:
            advance: Callable ``(carry, (end, tries)) -> carry``.
            carry: From `begin` or `advance`.
            end: Time to reach.
            limit: Limit on the sum of accepted and rejected steps.
            tell: `None`, or a function to call with the time from time to time.

        Raises:
            ToleranceError: if it cannot be reached.
        """
        while True:
            before = _tries(carry)
            tries = limit if tell is None else min(before + _TRIES_BETWEEN_NEWS, limit)
            carry = advance(carry, (np.float32(end), np.int32(tries)))
            t, done = float(carry[0]), _tries(carry)
            if tell:
                tell(t)
            if t == end:
                return carry
            if done >= limit or done == before:
                raise ToleranceError(self._complaint(carry, end, limit))

    def statistics(self, carry: tuple) -> dict:
        """Accepted and rejected steps, and evaluations of the field."""
        accepted, rejected, jumps = (int(count) for count in carry[3])
        # Two to begin with; the first slope of a step is the last one of the step before, unless
        # the field jumped there.
        evaluations = 2 + (accepted + rejected) * len(self.tableau.nodes) + jumps
        return {"accepted": accepted, "rejected": rejected, "evaluations": evaluations}

    def _complaint(self, carry, end, limit):
        accepted, rejected, _ = (int(count) for count in carry[3])
        return (
            f"Expected the adaptive solver to reach t={end:g} within steps={limit} tries. "
            f"Received: it stopped at t={float(carry[0]):.6g} after {accepted} accepted and "
            f"{rejected} rejected steps, the next one of length {abs(float(carry[1])):.2g}, with "
            f"rtol={self.rtol:g} and atol={self.atol:g}. Allow larger errors or more steps, or see "
            "whether the denoiser returns NaN there."
        )


class ToleranceError(RuntimeError):
    """An adaptive solver could not meet its tolerance; the message has its statistics."""


def _combine(y, width, weights, slopes):
    """``y + width sum_i weights_i slopes_i``, entry by entry; slopes have a first axis i."""
    return tuple(
        part + width * ops.tensordot(ops.convert_to_tensor(weights, part.dtype), k, axes=1)
        for part, k in zip(y, slopes, strict=True)
    )


def _is_kink(kinks, s):
    """Whether the field jumps at s, strictly between 0 and 1."""
    near = ops.any(ops.abs(kinks - s) <= 2.0 * _MARGIN)
    return ops.logical_and(near, ops.logical_and(s > _MARGIN, s < 1.0 - _MARGIN))


def _tries(carry) -> int:
    return int(carry[3][0]) + int(carry[3][1])


def _next_stop(kinks, t, end):
    """The first kink between t and the end, or the end."""
    if kinks is None:
        return end
    ahead = ops.cast(ops.where(end > t, 1.0, -1.0), t.dtype)
    distance = ahead * (kinks - t)
    distance = ops.where(distance > 2.0 * _MARGIN, distance, 2.0)
    nearest = t + ahead * ops.min(distance)
    return ops.where(ahead * (end - nearest) > 2.0 * _MARGIN, nearest, end)


def _inside(field, t, s):
    """The field in the open interval from t to s, on this side of the jumps at its ends."""
    if field.kinks is None:
        return field
    low, high = ops.minimum(t, s) + _MARGIN, ops.maximum(t, s) - _MARGIN
    return lambda at, y: field(ops.clip(at, low, ops.maximum(low, high)), y)


def _norm(parts: tuple, scale: tuple):
    """The largest root mean square of a part, in units of `scale`.

    The mean over all entries would lose a part of few entries among the others.
    """
    means = [ops.mean(ops.square(a / b)) for a, b in zip(parts, scale, strict=True)]
    return ops.sqrt(functools.reduce(ops.maximum, means))
