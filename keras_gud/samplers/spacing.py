"""Where the steps of a sampler lie between its start and its end.

With ``u = (steps - i)/steps`` the fraction of steps that are still to be taken, step i begins at
``t_i = end + (begin - end) f(u)``; f is named by the spacing.
"""

from collections.abc import Callable

import numpy as np
from keras import ops

from keras_gud.core.types import Tensor
from keras_gud.samplers.contract import Clock, Times

SPACINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "uniform": lambda left: left,
    "quadratic": ops.square,
    "cosine": lambda left: ops.square(ops.sin(0.5 * np.pi * left)),
}


def clock_of(i: Tensor, steps: Tensor, times: Times, spacing: str) -> Clock:
    """The clock of one step: a callable k -> the time k steps from now.

    Before the first step the time is that of the start, after the last one that of the end.

    Args:
        i: Number of the step, an int32 scalar.
        steps: Number of all steps, an int32 scalar.
        times: Start and end, float32 scalars.
        spacing: One of `SPACINGS`.

    >>> clock = clock_of(1, 4, (1.0, 0.0), "quadratic")
    >>> [float(clock(k)) for k in (0, 1, 9)]
    [0.5625, 0.25, 0.0]
    """
    begin, end = times

    def clock(k: int) -> Tensor:
        left = ops.clip(steps - i - k, 0, steps)
        left = ops.cast(left, "float32") / ops.cast(steps, "float32")
        return end + (begin - end) * SPACINGS[spacing](left)

    return clock
