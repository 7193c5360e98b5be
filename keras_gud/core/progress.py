"""Progress of long work: a bar where it can be drawn, a few lines in files and pipes."""

import sys
import time

import keras

# A line without a bar, at most every so many seconds.
_SECONDS = 30.0


def is_live() -> bool:
    """Whether output goes to a terminal or a notebook, where a bar can be redrawn in place."""
    return sys.stdout.isatty() or "ipykernel" in sys.modules


def verbosity(verbose: int | str) -> int:
    """Keras' `verbose` as a number: of "auto", 1 where bars can be drawn, else 2, a line an epoch.

    >>> verbosity(0), verbosity(2)
    (0, 2)
    """
    return (1 if is_live() else 2) if verbose == "auto" else int(verbose)


class Progress:
    """How far some work is.

    Args:
        total: Number of units of it; `None` if it is not known.
        unit: What they are called, in the singular.
        verbose: 0 shows nothing, 1 a bar, 2 lines; a bar becomes lines where it cannot be drawn.
        brief: Whether lines are left out of work that ends before the first would be due.

    Example:

    >>> progress = Progress(4, "step", verbose=2)
    >>> progress.update(2); progress.update(4)  # doctest: +ELLIPSIS
    4 of 4 steps in ... s
    """

    def __init__(
        self, total: int | None, unit: str, verbose: int | bool = 1, brief: bool = False
    ) -> None:
        self.total, self.unit, self.done = total, unit, 0
        self.bar = None
        if verbose == 1 and is_live():
            self.bar = keras.utils.Progbar(total, unit_name=unit)
        self.lines, self.brief = bool(verbose) and self.bar is None, brief
        self.start = self.said = time.monotonic()

    def add(self, units: int) -> None:
        """So many units more are done."""
        self.update(self.done + units)

    def update(self, done: int, finalize: bool | None = None) -> None:
        """So many units are done in all.

        Args:
            done: The number.
            finalize: Whether that is the end; default: if it is the total.
        """
        self.done = done
        finalize = done == self.total if finalize is None else finalize
        if self.bar is not None:
            self.bar.update(done, finalize=finalize)
        now = time.monotonic()
        due = now - self.said >= _SECONDS
        if self.lines and (due or (finalize and not self.brief)):
            self.said, self.brief = now, False
            of = "" if self.total is None else f" of {self.total}"
            units = self.unit + ("es" if self.unit.endswith("ch") else "s")
            print(f"{done}{of} {units} in {now - self.start:.0f} s", flush=True)
