"""Monotone curves through given values, and their derivatives (Fritsch and Carlson, 1980).

Piecewise cubic between knots at equal distances in t. The slope at a knot is the harmonic mean of
those of its neighbouring intervals, 0 where one of them is: so the curve never leaves the range of
two neighbouring values, and its derivative is continuous.
"""

import numpy as np
from keras import ops

from keras_gud.core.types import Array, Tensor


def knot_slopes(values: Array) -> Array:
    """The derivative at each knot, in units of 1/(distance of the knots).

    Args:
        values: ``(n_knots, n)``, never decreasing along the first axis.

    Returns:
        float64 ``(n_knots, n)``.

    >>> knot_slopes(np.array([[0.0], [1.0], [1.0]])).ravel().tolist()
    [1.0, 0.0, 0.0]
    """
    steps = np.diff(np.asarray(values, "float64"), axis=0)
    before, after = steps[:-1], steps[1:]
    total = before + after
    inner = np.divide(2.0 * before * after, total, out=np.zeros_like(total), where=total > 0.0)
    return np.concatenate([steps[:1], inner, steps[-1:]])


def evaluate(values: Tensor, slopes: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The curves and their derivatives in t.

    Args:
        values: ``(n_knots, n)``, at equal distances of t in [0, 1].
        slopes: From `knot_slopes`.
        t: ``(batch, 1)`` in [0, 1].

    Returns:
        Pair of ``(batch, n)``.
    """
    pieces = values.shape[0] - 1
    at = ops.clip(ops.floor(t * pieces), 0.0, pieces - 1.0)
    u = t * pieces - at
    index = ops.cast(at[:, 0], "int32")
    first, last = ops.take(values, index, axis=0), ops.take(values, index + 1, axis=0)
    begin, end = ops.take(slopes, index, axis=0), ops.take(slopes, index + 1, axis=0)
    step = last - first
    # Cubic Hermite: first + u (begin + u (3 step - 2 begin - end + u (begin + end - 2 step))).
    second, third = 3.0 * step - 2.0 * begin - end, begin + end - 2.0 * step
    curve = first + u * (begin + u * (second + u * third))
    return curve, pieces * (begin + u * (2.0 * second + 3.0 * u * third))
