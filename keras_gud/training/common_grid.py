"""The grid of the values that all processes of a run have read: its bounds and its step."""

import numpy as np

from keras_gud import backend
from keras_gud.core.types import Array
from keras_gud.data.value_grid import ValueGrid

# Steps of this relative difference are less than half a step apart after 2**16 of them.
_SAME_STEP = 1e-6
# Points of two grids that are this part of a step apart are one, but for rounding.
_SAME_POINT = 1e-2


def of_all_processes(value: Array, what: str) -> Array:
    """The lowest or the highest value of the processes of a run."""
    found = backend.process_allgather(np.asarray(value, "float64"))
    return found.min(axis=0) if what == "low" else found.max(axis=0)


def common_step(grid: ValueGrid) -> Array:
    """The step of the grid on which the values of all processes of a run lie; 0 if there is none.

    >>> common_step(ValueGrid().update(np.arange(32) / 4)).item()
    0.25
    """
    steps, lows = (
        backend.process_allgather(np.asarray(value, "float64")) for value in (grid.step, grid.low)
    )
    step = steps[0]
    # Each process has measured it on other values, with their rounding.
    same = np.isclose(steps, step, rtol=_SAME_STEP, atol=0.0).all(axis=0)
    apart = (lows - lows[0]) / np.where(step > 0.0, step, 1.0)
    aligned = (np.abs(apart - np.round(apart)) < _SAME_POINT).all(axis=0)
    return np.where(same & aligned, step, 0.0)
