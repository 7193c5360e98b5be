"""Fitting the basis and the statistics of the components by streaming over the data."""

import contextlib
import dataclasses
import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud import backend, regions
from keras_gud.bases.basis import Basis
from keras_gud.bases.batches import Batches, join
from keras_gud.bases.linear import matrix_of
from keras_gud.core.streaming_moments import Covariance, Moments
from keras_gud.core.types import Array, Shape
from keras_gud.data.checks import check_batch, check_varied
from keras_gud.data.value_grid import ValueGrid
from keras_gud.diffusion.data_scaling import DataScaling

# Up to this many components, their covariance costs less than transforming the data, and one pass
# over the data gives the moments in every basis.
MAX_DENSE = 256
# Smaller batches are joined until they hold so many values: they are measured faster together.
_BLOCK = 2**17
# One scale of all values is measured on the first examples, up to this many values.
_ENOUGH_FOR_SCALE = 2**26


@contextlib.contextmanager
def all_or_nothing(variables: Iterable[keras.Variable]) -> Iterator[None]:
    """Puts back the values of variables if the block raises, so that no part is half adapted."""
    before = [(v, np.array(backend.value_of(v))) for v in variables]
    try:
        yield
    except BaseException:
        for variable, value in before:
            variable.assign(value)
        raise


def fit_parts(
    views: Sequence[Any],
    region: Sequence["regions.Paths"],
    source: Any,
    data_shape: Shape,
    kind: str,
    verbose: int,
    data_scale: Any = None,
) -> DataScaling:
    """Fits everything that is measured on data, of all views; all of it or, on an error, nothing.

    Args:
        views: The `regions.View`s of a model, its own first.
        region: The `regions.Paths` of the others.
        source: As in `fit_components`.
        data_shape: Shape of one example.
        kind: See `data_kind`.
        verbose: As in `fit_components`.
        data_scale: As in `fit_components`.

    Returns:
        The scaling of the data.

    Raises:
        ValueError: as `fit_components`.
    """
    own = views[0]
    own.moments.check_size(data_shape)  # before all those covariances are measured
    parts = own.basis, own.prior, own.schedule, own.tokens, own.moments, *region
    with all_or_nothing([v for part in parts for v in part.variables]):
        others = [paths for paths in region if paths.used.basis is not None]
        bases = [own.basis, *(paths.used.basis for paths in others)]
        (first, *rest), covariance, scaling = fit_components(
            source, bases, data_shape, kind, verbose, own.moments.full, data_scale
        )
        own.prior.adapt(*first, own.basis.coordinates)
        own.moments.adapt(covariance, ops.convert_to_numpy(own.prior.scale))
        data_variance = ops.convert_to_numpy(own.prior.data_variance)
        variance = ops.convert_to_numpy(own.prior.variance)
        own.schedule.adapt(variance, data_variance, own.basis.coordinates)
        statistics = {id(paths): each for paths, each in zip(others, rest, strict=True)}
        for paths in region:
            paths.adapt(own, *statistics.get(id(paths), ()))
        # What the paths leave open is known now.
        regions.adapt_tokens((own, *(paths.view(own) for paths in region)))
    return scaling


def fit_components(
    source: Any,
    bases: Sequence[Basis],
    data_shape: Shape,
    kind: str,
    verbose: int,
    full: bool = False,
    data_scale: Any = None,
) -> tuple[list[tuple[Array, Array]], Array | None, DataScaling]:
    """Scales the data, fits the bases that need them, then measures the components in each.

    Of few components one pass over the data gives all that can be had from their covariance; of
    many the first pass measures the scale, for other data than vectors on their beginning alone.
    Each basis that is fitted to more than the covariance takes one more pass. Memory holds one
    batch, or as many small ones as make a block.

    Args:
        source: Re-iterable of raw NumPy batches, with `n_batches`.
        bases: List of `Basis`; built (and fitted) here.
        data_shape: Shape of one example.
        kind: See `data_kind`.
        verbose: 1 shows a progress bar for each pass.
        full: Whether to measure the covariances of the first basis' components too.
        data_scale: See `GUDModel`.

    Returns:
        A list with a pair of float64 arrays for each basis: mean and variance of the components,
        of `data_shape`, the variance averaged over components that belong together; the
        covariance ``(d, d)`` in the first basis, or `None`; and the scaling of the data.

    Raises:
        ValueError: for data that cannot be used, that do not vary, or of another shape than the
            basis was built for.
    """
    _build(bases, data_shape)
    data = _Passes(source, data_shape, kind, verbose)
    whole: Covariance | None = None
    if math.prod(data_shape) <= MAX_DENSE:
        whole = _scaled_covariance(data, data_scale)
    else:
        _measure_scale(data, data_scale)
    for basis in bases:
        if basis.needs_data and whole is not None and basis.fits_covariance:
            basis.fit_covariance(whole)
        elif basis.needs_data:
            title = f"Fitting the {basis.name} basis"
            basis.fit_batches(Batches(functools.partial(data.floats, title)))
    if whole is not None:
        found = [_by_covariance(whole, basis) for basis in bases]
        covariance = whole.transformed(matrix_of(bases[0])).covariance if full else None
    else:
        found, covariance = _by_components(data, bases, full)
    data.check_varied()
    statistics = [
        (mean, basis.symmetrize(variance))
        for (mean, variance), basis in zip(found, bases, strict=True)
    ]
    return statistics, covariance, data.within_bounds()


def _build(bases: Sequence[Basis], data_shape: Shape) -> None:
    for basis in bases:
        if not basis.built:
            basis.build((None, *data_shape))
        if basis.data_shape != tuple(data_shape):
            raise ValueError(
                f"Expected data of shape (batch, {str(basis.data_shape)[1:-1]}), for which the "
                f"{basis.name} basis was built. Received: examples of shape {tuple(data_shape)}. "
                "Data of another shape need a model with parts of its own."
            )


class _Passes:
    """Passes over checked data, in blocks; knows after the first whether they vary."""

    def __init__(self, source: Any, data_shape: Shape, kind: str, verbose: int) -> None:
        self.source, self.data_shape, self.kind, self.verbose = source, data_shape, kind, verbose
        self.varied, self.count = False, 0
        self.example: Any = None  # the first one, ``(1, *data_shape)``
        self.by_column = len(data_shape) == 1
        self.grid = ValueGrid(self.by_column, integers=kind != "float")
        self.scaling = DataScaling(kind)  # until it has been measured

    def raw(self, title: str) -> Iterator[Array]:
        """One pass over raw blocks, with a progress bar."""
        if self.verbose:
            print(title)
        self.count = 0
        for block in join(self._batches(), _BLOCK):
            self.count += len(block)
            self.example = block[:1].copy() if self.example is None else self.example
            self.varied = self.varied or bool((block != self.example).any())
            self.grid.update(block)
            yield block

    def floats(self, title: str) -> Iterator[Array]:
        """One pass over the model's floats."""
        return (self.scaling.expected(block) for block in self.raw(title))

    def set_scale(self, mean: Array, variance: Array, data_scale: Any) -> None:
        """Settles how the data are scaled, from mean and variance of their values."""
        integers, by_column = self.kind != "float", self.by_column
        if isinstance(data_scale, str):
            as_is = {"centre": 0.0, "scale": 1.0, "step": float(integers)}
            self.scaling = DataScaling(self.kind, **(as_is if data_scale == "none" else {}))
            return
        step = _of_all_processes(self.grid.step, "step")
        if data_scale is not None:
            scale = _broadcastable(data_scale, self.data_shape)
        elif by_column:
            # Columns that are constant up to rounding keep their unit.
            least = (4.0 * np.finfo("float32").eps * mean) ** 2
            scale = np.sqrt(np.where(variance > least, variance + step**2 / 12.0, 1.0))
        else:
            scale = np.sqrt(variance.mean() + step**2 / 12.0)
        centre = mean if by_column else mean.mean()
        self.scaling = DataScaling(self.kind, centre, np.where(scale > 0.0, scale, 1.0), step)

    def within_bounds(self) -> DataScaling:
        """The scaling with the bounds of the values, now that all have been seen."""
        scaling, grid = self.scaling, self.grid
        if self.kind in ("bool", "uint8"):  # which are those of their type
            return scaling
        low, high = _of_all_processes(grid.low, "low"), _of_all_processes(grid.high, "high")
        step = np.broadcast_to(scaling.step, low.shape)
        bounded = (step > 0.0) | (low == high)
        if self.kind == "float":
            # Later blocks may have left the grid.
            step = np.where(_of_all_processes(grid.step, "step") == step, step, 0.0)
            bounded = (step > 0.0) | (low == high)
        low, high = np.where(bounded, low, -np.inf), np.where(bounded, high, np.inf)
        return dataclasses.replace(scaling, step=step, low=low, high=high)

    def check_varied(self) -> None:
        """Raises a `ValueError` if all examples are the same, in all processes of a run."""
        examples = backend.process_allgather(self.example)
        varied = backend.process_allgather(np.asarray(self.varied)).any()
        check_varied(bool(varied or (examples != examples[0]).any()), self.count)

    def _batches(self) -> Iterator[Array]:
        bar: Any = None
        if self.verbose:
            bar = keras.utils.Progbar(self.source.n_batches, verbose=1, unit_name="batch")
        i = 0
        for i, x in enumerate(self.source, start=1):
            check_batch(x, self.data_shape, self.kind)
            yield x
            if bar:
                bar.update(i)
        if bar and self.source.n_batches is None:
            bar.update(i, finalize=True)


def _scaled_covariance(data: _Passes, data_scale: Any) -> Covariance:
    """Mean and covariance of the model's floats, flattened, in one pass over the raw data."""
    whole = Covariance()
    for block in data.raw("Measuring the components"):
        whole.update(block.reshape(len(block), -1))
    whole.across_processes()
    variance = np.maximum(np.diag(whole.covariance), 0.0)
    data.set_scale(whole.mean, variance, data_scale)
    size, scaling = len(variance), data.scaling
    factor = 1.0 / np.broadcast_to(scaling.scale, data.data_shape).reshape(size)
    centre = np.broadcast_to(scaling.centre, data.data_shape).reshape(size)
    noise = np.broadcast_to(scaling.dequantisation_variance, data.data_shape).reshape(size)
    return whole.transformed(np.diag(factor), -centre * factor).with_noise(noise)


def _measure_scale(data: _Passes, data_scale: Any) -> None:
    """Sets the scale of data of many components."""
    if isinstance(data_scale, str):  # they are taken as they are
        data.set_scale(np.zeros(()), np.ones(()), data_scale)
        return
    moments = Moments()
    for block in data.raw("Measuring the scale"):
        moments.update(block)
        if not data.by_column and data.count * block[0].size >= _ENOUGH_FOR_SCALE:
            break
    moments.across_processes()
    data.set_scale(moments.mean, moments.variance, data_scale)


def _by_covariance(whole: Covariance, basis: Basis) -> tuple[Array, Array]:
    """Mean and variance of a basis' components, from those of the data."""
    components = whole.transformed(matrix_of(basis))
    # Rounding must not make the variance of a constant component negative.
    shape, variance = basis.data_shape, np.maximum(np.diag(components.covariance), 0.0)
    return components.mean.reshape(shape), variance.reshape(shape)


def _by_components(
    data: _Passes, bases: Sequence[Basis], full: bool
) -> tuple[list[tuple[Array, Array]], Array | None]:
    """Mean and variance of the components in each basis, transformed block by block."""
    moments, covariance = [Moments() for _ in bases], Covariance()
    for x in data.floats("Measuring the components"):
        components = [ops.convert_to_numpy(basis(x)) for basis in bases]
        for each, values in zip(moments, components, strict=True):
            each.update(values)
        if full:
            covariance.update(components[0].reshape(len(x), -1))
    for measured in [*moments, *([covariance] if full else [])]:
        measured.across_processes()
    noise = data.scaling.dequantisation_variance
    noises = [_noise_of_components(noise, basis) for basis in bases]
    found = [
        (each.mean, each.variance + noise) for each, noise in zip(moments, noises, strict=True)
    ]
    if not full:
        return found, None
    return found, covariance.with_noise(np.broadcast_to(noise, data.data_shape).ravel()).covariance


def _noise_of_components(variance: Array, basis: Basis) -> Array:
    """The variance that independent noise of the values has in each component."""
    if variance.ndim == 0 or (variance == variance.flat[0]).all():
        return variance.flat[0]
    values = np.broadcast_to(variance, basis.data_shape).ravel()
    return (matrix_of(basis) ** 2 @ values).reshape(basis.data_shape)


def _of_all_processes(value: Array, what: str) -> Array:
    """The lowest, highest or common value of the processes of a run; a step of 0 is common."""
    found = backend.process_allgather(np.asarray(value, "float64"))
    if what == "step":
        return np.where((found == found[0]).all(axis=0), found[0], 0.0)
    return found.min(axis=0) if what == "low" else found.max(axis=0)


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
