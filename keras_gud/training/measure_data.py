"""Raw data as the fitting of components reads them: checked, in blocks, and scaled."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keras_gud import backend
from keras_gud.bases.batches import join
from keras_gud.core.observed_moments import ObservedCovariance, ObservedMoments
from keras_gud.core.progress import Progress, is_live
from keras_gud.core.streaming_moments import Covariance, Moments, varies
from keras_gud.core.types import Array, Shape
from keras_gud.data.checks import ALLOW_MISSING, check_batch, check_varied
from keras_gud.data.value_grid import ValueGrid
from keras_gud.diffusion.data_scaling import DataScaling
from keras_gud.training.common_grid import common_step, of_all_processes
from keras_gud.training.group_scale import GroupScale

# Smaller batches are joined until they hold so many values: they are measured faster together.
_BLOCK = 2**17
# One scale of all values is measured on the first examples, up to this many values.
_ENOUGH_FOR_SCALE = 2**26

# Of positions without any value, so many are named.
_MOST_NAMES = 5

# Integers that some backend's default types do not hold.
_TOO_LARGE = 2.0**31
# Of float32, and how many of its smallest steps a standard deviation must have.
_PRECISION, _LEAST_DIGITS = 2.0**-23, 64.0


class Passes:
    """Passes over checked data, in blocks; knows after the first whether they vary.

    Args:
        source: Re-iterable of raw NumPy batches, with `n_batches`.
        data_shape: Shape of one example.
        kind: See `data_kind`.
        verbose: 1 shows a progress bar for each pass.
        missing: Whether values may be missing, as NaN.
        columns: Names of the columns of a table, for messages.

    Attributes:
        by_column: Whether the columns have scales of their own: the data are vectors.
        count: Examples read in the latest pass.
        grid: The `ValueGrid` of what has been read.
        scaling: From raw values to the model's floats; that of the type until it is measured.
    """

    def __init__(
        self,
        source: Any,
        data_shape: Shape,
        kind: str,
        verbose: int,
        missing: bool = False,
        columns: Sequence[Any] | None = None,
    ) -> None:
        self.source, self.data_shape, self.kind, self.verbose = source, data_shape, kind, verbose
        self.missing, self.columns = missing, columns
        self.varied, self.count = False, 0
        self.example: Any = None  # the first one, ``(1, *data_shape)``, of the first known values
        self.by_column = len(data_shape) == 1
        self.grid = ValueGrid(self.by_column, integers=kind != "float")
        self.scaling = DataScaling(kind)  # until it has been measured

    def raw(self, title: str) -> Iterator[Array]:
        """One pass over raw blocks, with a progress bar.

        Args:
            title: What is printed above the bar.
        """
        if self.verbose and is_live():
            print(title)
        self.count = 0
        for block in join(self._batches(), _BLOCK):
            self.count += len(block)
            self._compare(block)
            self.grid.update(block)
            yield block

    def _compare(self, block: Array) -> None:
        """Whether examples differ, in the values that are known."""
        if self.example is None:
            self.example = block[:1].copy()
        if not self.missing:
            self.varied = self.varied or bool((block != self.example).any())
            return
        first = np.isnan(block).argmin(axis=0)[None]  # the first example that has the value
        known = np.take_along_axis(block, first, axis=0)
        self.example = np.where(np.isnan(self.example), known, self.example)
        differs = np.abs(block - self.example) > 0.0  # of NaN this is false
        self.varied = self.varied or bool(differs.any())

    def moments(self) -> Any:
        """A new accumulator of mean and variance of such data, or of their components."""
        return ObservedMoments() if self.missing else Moments()

    def covariance(self) -> Any:
        """Likewise of mean and covariance; see `completed_covariance`."""
        return ObservedCovariance() if self.missing else Covariance()

    def require_observed(self, count: Array | int) -> None:
        """Raises a `ValueError` for values that no example has.

        Args:
            count: Number of examples that have each value, of `data_shape`, or a number.
        """
        empty = np.argwhere(np.broadcast_to(count, self.data_shape) == 0).tolist()
        if not empty:
            return
        names = [str(tuple(place)) for place in empty]
        if self.by_column:
            columns = self.columns or range(self.data_shape[0])
            names = [repr(columns[i]) for (i,) in empty]
        more = "" if len(names) <= _MOST_NAMES else f" and {len(names) - _MOST_NAMES} others"
        raise ValueError(
            f"Expected a value of every {'column' if self.by_column else 'position'} in some "
            f"example. Received: NaN alone in {', '.join(names[:_MOST_NAMES])}{more}."
        )

    def floats(self, title: str) -> Iterator[Array]:
        """One pass over the model's floats.

        Args:
            title: As in `raw`.
        """
        return (self.scaling.expected(block) for block in self.raw(title))

    def set_scale(self, mean: Array, variance: Array, data_scale: Any) -> None:
        """Settles how the data are scaled, from mean and variance of their values.

        Args:
            mean: Of the raw values, an array of any shape; ``(columns,)`` for vectors.
            variance: Likewise.
            data_scale: See `GUDModel`.

        Raises:
            ValueError: for a `data_scale` that does not broadcast to the data's shape, and for data
                that float32 cannot tell apart.
        """
        by_column = self.by_column
        self._check_precision(np.sqrt(variance if by_column else variance.mean()))
        if isinstance(data_scale, str):
            self.scaling = DataScaling.as_they_are(self.kind, data_scale)
            return
        if isinstance(data_scale, GroupScale):
            shape = self.data_shape
            found = data_scale.measured(np.reshape(mean, shape), np.reshape(variance, shape))
            self.scaling = DataScaling(self.kind, *found, step=0.0)
            return
        step = common_step(self.grid)
        if data_scale is not None:
            scale = _broadcastable(data_scale, self.data_shape)
        elif by_column:
            # Columns that are constant up to rounding keep their unit.
            scale = np.sqrt(np.where(varies(mean, variance), variance + step**2 / 12.0, 1.0))
        else:
            scale = np.sqrt(variance.mean() + step**2 / 12.0)
        centre = mean if by_column else mean.mean()
        self.scaling = DataScaling(self.kind, centre, np.where(scale > 0.0, scale, 1.0), step)

    def _check_precision(self, deviation: Array) -> None:
        """Refuses data whose offset, or size, leaves nothing of them in float32."""
        grid = self.grid
        largest = np.maximum(np.abs(grid.low), np.abs(grid.high))
        if self.kind != "float" and largest.max() >= _TOO_LARGE:
            raise ValueError(
                "Expected integers between -2**31 and 2**31. Received: x up to "
                f"{largest.max():.4g}. Cast it: x.astype('float64')."
            )
        # Narrower types cannot hold more than float32 can.
        wide = self.example.dtype.itemsize > 4 or self.kind in ("int32", "uint32")
        lost = (grid.high > grid.low) & (_LEAST_DIGITS * _PRECISION * largest > deviation)
        if wide and lost.any():
            column = int(np.argmax(lost))
            where = f" in column {column}" if self.by_column else ""
            raise ValueError(
                "Expected data that differ by more than the rounding of float32. Received: values "
                f"up to {np.ravel(largest)[column]:.4g} with a standard deviation of "
                f"{np.ravel(deviation)[column]:.4g}{where}. Subtract their mean first."
            )

    def within_bounds(self) -> DataScaling:
        """The scaling with the bounds of the values, now that all have been seen."""
        scaling, grid = self.scaling, self.grid
        if self.kind in ("bool", "uint8"):  # which are those of their type
            return scaling
        low, high = of_all_processes(grid.low, "low"), of_all_processes(grid.high, "high")
        step = np.broadcast_to(scaling.step, low.shape)
        if self.kind == "float":
            # Later blocks may have left the grid, and each process may have one of its own.
            step = np.where(common_step(grid) == step, step, 0.0)
        bounded = (step > 0.0) | (low == high)
        low, high = np.where(bounded, low, -np.inf), np.where(bounded, high, np.inf)
        return dataclasses.replace(scaling, step=step, low=low, high=high)

    def check_varied(self) -> None:
        """Raises a `ValueError` if all examples are the same, in all processes of a run."""
        examples = backend.process_allgather(self.example)
        varied = backend.process_allgather(np.asarray(self.varied)).any()
        apart = (examples != examples[0]) & ~np.isnan(examples) & ~np.isnan(examples[0])
        check_varied(bool(varied or apart.any()), self.count)

    def _batches(self) -> Iterator[Array]:
        progress = Progress(self.source.n_batches, "batch", self.verbose, brief=True)
        i = 0
        for i, x in enumerate(self.source, start=1):
            check_batch(x, self.data_shape, self.kind, self.missing, ALLOW_MISSING)
            yield x
            progress.update(i)
        if self.source.n_batches is None:
            progress.update(i, finalize=True)


def scaled_covariance(data: Passes, data_scale: Any) -> Covariance:
    """Mean and covariance of the model's floats, flattened, in one pass over the raw data.

    Args:
        data: The data; their scale is set.
        data_scale: See `GUDModel`.

    Raises:
        ValueError: as `Passes.set_scale`.
    """
    found = data.covariance()
    for block in data.raw("Measuring the components"):
        found.update(block.reshape(len(block), -1))
    whole = completed_covariance(found.across_processes(), data)
    variance = np.maximum(np.diag(whole.covariance), 0.0)
    data.set_scale(whole.mean, variance, data_scale)
    size, scaling = len(variance), data.scaling
    factor = 1.0 / np.broadcast_to(scaling.scale, data.data_shape).reshape(size)
    centre = np.broadcast_to(scaling.centre, data.data_shape).reshape(size)
    noise = np.broadcast_to(scaling.dequantisation_variance, data.data_shape).reshape(size)
    return whole.transformed(np.diag(factor), -centre * factor).with_noise(noise)


def completed_covariance(found: Any, data: Passes) -> Covariance:
    """The covariance of data, or of their components, without gaps.

    Args:
        found: From `Passes.covariance`.
        data: The data.

    Raises:
        ValueError: for a value that no example has.
    """
    if not data.missing:
        return found
    data.require_observed(found.count.reshape(data.data_shape))
    return found.completed()


def measure_scale(data: Passes, data_scale: Any) -> None:
    """Sets the scale of data of many components.

    Args:
        data: The data.
        data_scale: See `GUDModel`.

    Raises:
        ValueError: as `Passes.set_scale`.
    """
    if isinstance(data_scale, str):  # they are taken as they are
        data.scaling = DataScaling.as_they_are(data.kind, data_scale)
        return
    moments = data.moments()
    for block in data.raw("Measuring the scale"):
        moments.update(block)
        if not data.by_column and data.count * block[0].size >= _ENOUGH_FOR_SCALE:
            break
    moments.across_processes()
    mean, variance = moments.mean, moments.variance
    if data.missing and data.by_column:
        data.require_observed(moments.count)
    elif data.missing:  # those seen so far
        mean, variance = mean[moments.count > 0], variance[moments.count > 0]
    data.set_scale(mean, variance, data_scale)


def _broadcastable(data_scale: Any, data_shape: Shape) -> Array:
    scale = np.asarray(data_scale, "float64")
    try:
        np.broadcast_to(scale, data_shape)
    except ValueError:
        raise ValueError(
            f"Expected `data_scale` to broadcast to the data's shape {tuple(data_shape)}. "
            f"Received: data_scale of shape {scale.shape}."
        ) from None
    return scale
