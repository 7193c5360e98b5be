"""Where the columns of a window stand while a strip moves through it (DESIGN sec. 3.12)."""

import math
import warnings
from dataclasses import dataclass

_ROUNDING = 1e-5


@dataclass(frozen=True)
class Front:
    """The way of one shift: from time `begin` to `end`, after which `shift` columns move out.

    On a sequential schedule (paper eq. 21) column i + k at time ``t - k b/(L - 1)`` is as noisy as
    column i at t: moved on by k columns, the window looks as it did before. The columns that move
    in are noise, and the first k are finished at the end, if::

        1 - b + b (k - 1)/(L - 1) <= begin <= b L/(L - 1),    b >= (L - 1)/(2 L - k)

    (paper sec. 5.2; its condition corrected). The earliest such time is taken: then as many columns
    as possible are finished, context for those that are not.

    Attributes:
        length: L, columns of the window.
        shift: k, columns that move out at a time.
        begin: Time before a shift.
        end: Time after it.
        finished: Columns, counted from the first one generated, that are finished at `begin`.
        exact: Whether the condition holds.

    Example:

    >>> front = Front.of(length=32, b=0.8)
    >>> front.shift, round(front.begin, 3), round(front.end, 3), front.finished
    (4, 0.277, 0.174, 21)
    """

    length: int
    shift: int
    begin: float
    end: float
    finished: int
    exact: bool = True

    @classmethod
    def of(cls, length: int, b: float, shift: int | None = None, approximate: bool = False):
        """The front of a schedule.

        Args:
            length: L.
            b: Autoregressiveness of the schedule.
            shift: k; default: an eighth of the window, or as many as b allows.
            approximate: Whether to do with a smaller b what is possible: columns move in at
                another noise level than pure noise. Warns.

        Raises:
            ValueError: for a window of one column, a shift outside [1, L - 1], or b too small.
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
        if not exact and not (approximate and b > 0.0):  # at b = 0 no column ever gets ahead
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
        """Steps from `begin` to `end`, so many that none is longer than ``1/per_unit``.

        >>> Front.of(length=32, b=0.8).steps(50)
        6
        """
        return math.ceil(per_unit * (self.begin - self.end) - _ROUNDING)


def smallest_b(length: int, shift: int) -> float:
    """The smallest b with which an image of so many columns can be extended by `shift` at a time.

    >>> round(smallest_b(32, 9), 3)
    0.564
    """
    return (length - 1) / (2 * length - shift)
