"""Fitting the basis and the statistics of the components by streaming over the data."""

import contextlib
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
from keras_gud.diffusion.data_scaling import DataScaling

# Up to this many components, their covariance costs less than transforming the data, and one pass
# over the data gives the moments in every basis.
MAX_DENSE = 256
# Smaller batches are joined until they hold so many values: they are measured faster together.
_BLOCK = 2**17


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
) -> None:
    """Fits everything that is measured on data, of all views; all of it or, on an error, nothing.

    Args:
        views: The `regions.View`s of a model, its own first.
        region: The `regions.Paths` of the others.
        source: As in `fit_components`.
        data_shape: Shape of one example.
        kind: ``"uint8"`` or ``"float"``.
        verbose: As in `fit_components`.

    Raises:
        ValueError: as `fit_components`.
    """
    own = views[0]
    own.moments.check_size(data_shape)  # before all those covariances are measured
    parts = own.basis, own.prior, own.schedule, own.tokens, own.moments, *region
    with all_or_nothing([v for part in parts for v in part.variables]):
        others = [paths for paths in region if paths.used.basis is not None]
        bases = [own.basis, *(paths.used.basis for paths in others)]
        (first, *rest), covariance = fit_components(
            source, bases, data_shape, kind, verbose, own.moments.full
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


def fit_components(
    source: Any,
    bases: Sequence[Basis],
    data_shape: Shape,
    kind: str,
    verbose: int,
    full: bool = False,
) -> tuple[list[tuple[Array, Array]], Array | None]:
    """Fits the bases that need data, then mean and variance of the components in each.

    One pass over the data, and one more for each basis that is fitted to more than the covariance
    of few components; memory holds one batch, or as many small ones as make a block.

    Args:
        source: Re-iterable of raw NumPy batches, with `n_batches`.
        bases: List of `Basis`; built (and fitted) here.
        data_shape: Shape of one example.
        kind: ``"uint8"`` or ``"float"``.
        verbose: 1 shows a progress bar for each pass.
        full: Whether to measure the covariances of the first basis' components too.

    Returns:
        A list with a pair of float64 arrays for each basis: mean and variance of the components,
        of `data_shape`, the variance averaged over components that belong together; and the
        covariance ``(d, d)`` in the first basis, or `None`.

    Raises:
        ValueError: for data that cannot be used, that do not vary, or of another shape than the
            basis was built for.
    """
    _build(bases, data_shape)
    data = _Passes(source, data_shape, kind, verbose)
    size = math.prod(data_shape)
    few = size <= MAX_DENSE
    whole = _raw_covariance(data, kind) if few else None
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
    extra = DataScaling(kind).dequantisation_variance
    statistics = [
        (mean, basis.symmetrize(variance + extra))
        for (mean, variance), basis in zip(found, bases, strict=True)
    ]
    return statistics, None if covariance is None else covariance + extra * np.eye(size)


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

    def raw(self, title: str) -> Iterator[Array]:
        """One pass over raw blocks, with a progress bar."""
        if self.verbose:
            print(title)
        self.count = 0
        for block in join(self._batches(), _BLOCK):
            self.count += len(block)
            self.example = block[:1].copy() if self.example is None else self.example
            self.varied = self.varied or bool((block != self.example).any())
            yield block

    def floats(self, title: str) -> Iterator[Array]:
        """One pass over the model's floats."""
        return (DataScaling(self.kind).expected(block) for block in self.raw(title))

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


def _raw_covariance(data: _Passes, kind: str) -> Covariance:
    """Mean and covariance of the model's floats, flattened, in one pass over the raw data."""
    whole = Covariance()
    for block in data.raw("Measuring the components"):
        whole.update(block.reshape(len(block), -1))
    whole.across_processes()
    scaling = DataScaling(kind)
    matrix = np.eye(len(whole.mean)) / scaling.levels
    return whole.transformed(matrix, -scaling.offset / scaling.levels)


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
    found = [(each.mean, each.variance) for each in moments]
    return found, covariance.covariance if full else None
