"""The times of a window that moves along an image as it is generated (DESIGN sec. 3.12).

On a sequential schedule (paper eq. 21) column i + k at time ``t - k b/(L - 1)`` has the gamma of
column i at time t: after this time, a window that moves on by k columns has the noise levels that
it had before. The columns that enter are noise, and the first k are finished, if::

    1 - b + b (k - 1)/(L - 1) <= begin <= b L/(L - 1),    b >= (L - 1)/(2 L - k)

(paper sec. 5.2; its condition corrected).
"""

import math
import warnings
from dataclasses import dataclass

_ROUNDING = 1e-5


@dataclass(frozen=True)
class RollingWindow:
    """A window of L columns that integrates from `begin` to `end` and moves on by k, repeatedly.

    `begin` is the earliest time that the condition above allows: then as many columns as possible
    are finished, context for those that are not.

    Attributes:
        length: L, columns of the window.
        shift: k, columns that leave the window at a time.
        begin: Time before a shift.
        end: Time after it.
        finished: Columns, counted from the first one generated, that are finished at `begin`.
        exact: Whether the condition holds.

    Example:

    >>> window = RollingWindow.of(length=32, b=0.8)
    >>> window.shift, round(window.begin, 3), round(window.end, 3), window.finished
    (4, 0.277, 0.174, 21)
    """

    length: int
    shift: int
    begin: float
    end: float
    finished: int
    exact: bool = True

    @classmethod
    def of(
        cls, length: int, b: float, shift: int | None = None, approximate: bool = False
    ) -> "RollingWindow":
        """The window of a schedule.

        Args:
            length: L, >= 2.
            b: Autoregressiveness of the schedule.
            shift: k, from 1 to L - 1; default: an eighth of the window, or as many as b allows.
            approximate: Whether a smaller b than the condition allows is taken as well: columns
                then enter at a lower noise level than that of pure noise.

        Raises:
            ValueError: for a window of one column, a shift outside [1, L - 1], or b too small.

        Warns:
            UserWarning: where b is too small and `approximate`.
        """
        if length < 2:
            raise ValueError(f"Expected a window of at least 2 columns. Received: {length}.")
        if shift is None:
            allowed = math.floor(2 * length - (length - 1) / b + _ROUNDING) if b > 0.0 else 1
            shift = max(1, min(allowed, length // 8))
        if not 1 <= shift < length:
            raise ValueError(
                f"Expected `shift` to lie between 1 and {length - 1}, fewer columns than the model "
                f"has. Received: shift={shift}."
            )
        smallest = smallest_b(length, shift)
        exact = b >= smallest - _ROUNDING
        if not exact and not (approximate and b > 0.0):  # at b = 0 all columns have one gamma
            raise ValueError(
                f"Expected b >= {smallest:.3f} to extend images of {length} columns by {shift} at "
                f"a time: at a smaller b a column would be finished before another one can begin "
                f"as noise. Received: b={b:.3f}. Train on schedules.Sequential(b=...) with such a "
                "b, or, with b > 0, do it less than exactly with approximate=True."
            )
        step = b / (length - 1)
        begin = 1.0 - b + (shift - 1) * step if exact else min(1.0, length * step)
        if not exact:
            warnings.warn(
                f"b={b:.3f} is below {smallest:.3f}: new columns begin with less noise than the "
                "schedule has at its end, without knowledge of their neighbours.",
                stacklevel=3,
            )
        finished = max(0, math.floor(length - begin / step + _ROUNDING)) if exact else 0
        return cls(length, shift, begin, begin - shift * step, finished, exact)

    def steps(self, per_unit: int) -> int:
        """Number of steps from `begin` to `end`, the least for which none exceeds ``1/per_unit``.

        >>> RollingWindow.of(length=32, b=0.8).steps(50)
        6
        """
        return math.ceil(per_unit * (self.begin - self.end) - _ROUNDING)


def smallest_b(length: int, shift: int) -> float:
    """The smallest b with which images of `length` columns can be extended by `shift` at a time.

    >>> round(smallest_b(32, 9), 3)
    0.564
    """
    return (length - 1) / (2 * length - shift)
