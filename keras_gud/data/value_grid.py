"""Whether values lie on a grid of equal steps, as those of 8-bit images or of a coin do.

Such data are dequantised: without noise of one step their density is infinite, and a network that
learns them wastes itself on the digits behind the point.
"""

from typing import Self

import numpy as np

from keras_gud.core.types import Array

# A grid of more points is finer than anything that a model resolves.
MAX_POINTS = 2**16
# Fewer examples say nothing about a column of floats.
MIN_EXAMPLES = 16
# Values are compared to this many units of float32's precision.
_ROUNDING = 16.0 * float(np.finfo("float32").eps)
# The smallest difference that occurs may be several steps.
_MULTIPLES = range(1, 257)


class ValueGrid:
    """The grid of the values of a data set, or of each column of a table; read in blocks.

    Args:
        by_column: Whether the columns of vectors have grids of their own.
        integers: Whether the data's type has a grid by itself, of step 1.

    Attributes:
        low: The smallest value, of shape ``()`` or ``(columns,)``.
        high: The largest one.

    Example:

    >>> grid = ValueGrid(by_column=True)
    >>> coin = np.arange(32) % 2 / 2
    >>> grid.update(np.stack([coin, np.sqrt(np.arange(32))], axis=1)).step.tolist()
    [0.5, 0.0]
    """

    def __init__(self, by_column: bool = False, integers: bool = False) -> None:
        self.by_column, self.integers, self.count = by_column, integers, 0
        self.low: Array = np.asarray(np.inf)
        self.high: Array = np.asarray(-np.inf)
        self._columns: list[_Column] = []

    def update(self, block: Array) -> Self:
        """Adds a block of examples; returns itself.

        Args:
            block: Raw values ``(n, *data_shape)``; NaN is left out.
        """
        axis = 0 if self.by_column else None
        # Of a value and NaN, `fmin` and `fmax` are the value.
        self.low = np.fmin(self.low, np.fmin.reduce(block, axis=axis).astype("float64"))
        self.high = np.fmax(self.high, np.fmax.reduce(block, axis=axis).astype("float64"))
        if not self.integers:
            rows = block if self.by_column else block.reshape(-1, 1)
            self._columns = self._columns or [_Column() for _ in range(rows.shape[1])]
            for column, values in zip(self._columns, rows.T, strict=True):
                column.update(values)
        self.count += len(block)
        return self

    @property
    def step(self) -> Array:
        """Distance of neighbouring points, 0 where there is no grid; of the shape of `low`."""
        if self.integers:
            return np.ones_like(self.low)
        few = self.by_column and self.count < MIN_EXAMPLES
        steps = np.array([0.0 if few else column.step for column in self._columns])
        return steps if self.by_column else steps[0]


class _Column:
    """The grid of one set of values: ``values[0] + step * k``; step 0 if there is none."""

    def __init__(self) -> None:
        self.values, self.step, self.searching = np.zeros(0), 0.0, True

    def update(self, values: Array) -> None:
        """Adds values; those that fit the grid cost one pass."""
        if not self.searching:
            return
        values = values.astype("float64")
        values = values[~np.isnan(values)]
        if not len(values):
            return
        if self.step and _on_grid(values - self.values[0], self.step, _tolerance(values)):
            return
        self.values = np.unique(np.concatenate([self.values, values]))
        offsets = self.values - self.values[0]
        if len(offsets) == 1:
            return
        step = 0.0
        if len(offsets) <= MAX_POINTS:
            step = _step_of(offsets, _tolerance(self.values))
        self.step, self.searching = step, step > 0.0


def _tolerance(values: Array) -> float:
    return _ROUNDING * float(np.abs(values).max(initial=0.0))


def _on_grid(offsets: Array, step: float, tolerance: float) -> bool:
    return bool(np.abs(offsets - step * np.round(offsets / step)).max() <= tolerance)


def _step_of(offsets: Array, tolerance: float) -> float:
    """The step of a grid that holds 0 and all offsets, or 0; offsets are sorted, the first is 0."""
    smallest = float(np.diff(offsets).min())
    for parts in _MULTIPLES:
        step = smallest / parts
        if step <= 8.0 * tolerance or offsets[-1] > MAX_POINTS * step:
            return 0.0
        step = _refined(offsets, step)
        if _on_grid(offsets, step, tolerance):
            return step
    return 0.0


def _refined(offsets: Array, step: float) -> float:
    """The step by least squares, from few points to many: rounding grows with their number."""
    reach = 16.0 * step
    while True:
        near = offsets[offsets <= reach]
        k = np.round(near / step)
        if k.any():
            step = float(near @ k / (k @ k))
        if reach >= offsets[-1]:
            return step
        reach *= 16.0
