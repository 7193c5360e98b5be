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
from keras_gud.bases.batches import Batches
from keras_gud.bases.linear import matrix_of
from keras_gud.core.streaming_moments import Covariance
from keras_gud.core.types import Array, Shape
from keras_gud.diffusion.data_scaling import DataScaling
from keras_gud.training.measure_data import (
    Passes,
    completed_covariance,
    measure_scale,
    scaled_covariance,
)

# Up to this many components, their covariance costs less than transforming the data, and one pass
# over the data gives the moments in every basis.
MAX_DENSE = 256


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
    data: Passes,
    data_scale: Any = None,
) -> DataScaling:
    """Fits everything that is measured on data, of all views; all of it or, on an error, nothing.

    Args:
        views: The `regions.View`s of a model, its own first.
        region: The `regions.Paths` of the others.
        data: As in `fit_components`.
        data_scale: As in `fit_components`.

    Returns:
        The scaling of the data.

    Raises:
        ValueError: as `fit_components`.
    """
    own = views[0]
    own.moments.check_size(data.data_shape)  # before all those covariances are measured
    parts = own.basis, own.prior, own.schedule, own.tokens, own.moments, *region
    with all_or_nothing([v for part in parts for v in part.variables]):
        others = [paths for paths in region if paths.used.basis is not None]
        bases = [own.basis, *(paths.used.basis for paths in others)]
        (first, *rest), covariance, scaling = fit_components(
            data, bases, own.moments.full, data_scale
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
    data: Passes,
    bases: Sequence[Basis],
    full: bool = False,
    data_scale: Any = None,
) -> tuple[list[tuple[Array, Array]], Array | None, DataScaling]:
    """Scales the data, fits the bases that need them, then measures the components in each.

    Of few components one pass over the data gives all that can be had from their covariance; of
    many the first pass measures the scale, for other data than vectors on their beginning alone.
    Each basis that is fitted to more than the covariance takes one more pass. Memory holds one
    batch, or as many small ones as make a block.

    Args:
        data: The data, which have not been read.
        bases: List of `Basis`; built (and fitted) here.
        full: Whether to measure the covariances of the first basis' components too.
        data_scale: See `GUDModel`.

    Returns:
        A list with a pair of float64 arrays for each basis: mean and variance of the components,
        of `data_shape`, the variance averaged over components that belong together; the
        covariance ``(d, d)`` in the first basis, or `None`; and the scaling of the data.

    Raises:
        ValueError: for data that cannot be used, that do not vary, or of another shape than the
            basis was built for; for a value that no example has.
    """
    _build(bases, data.data_shape)
    whole: Covariance | None = None
    if math.prod(data.data_shape) <= MAX_DENSE:
        whole = scaled_covariance(data, data_scale)
    else:
        measure_scale(data, data_scale)
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


def _by_covariance(whole: Covariance, basis: Basis) -> tuple[Array, Array]:
    """Mean and variance of a basis' components, from those of the data."""
    components = whole.transformed(matrix_of(basis))
    # Rounding must not make the variance of a constant component negative.
    shape, variance = basis.data_shape, np.maximum(np.diag(components.covariance), 0.0)
    return components.mean.reshape(shape), variance.reshape(shape)


def _by_components(
    data: Passes, bases: Sequence[Basis], full: bool
) -> tuple[list[tuple[Array, Array]], Array | None]:
    """Mean and variance of the components in each basis, transformed block by block."""
    moments, covariance = [data.moments() for _ in bases], data.covariance()
    for x in data.floats("Measuring the components"):
        components = [ops.convert_to_numpy(basis(x)) for basis in bases]
        for each, values in zip(moments, components, strict=True):
            each.update(values)
        if full:
            covariance.update(components[0].reshape(len(x), -1))
    for measured in [*moments, *([covariance] if full else [])]:
        measured.across_processes()
    data.require_observed(moments[0].count)
    noise = data.scaling.dequantisation_variance
    noises = [_noise_of_components(noise, basis) for basis in bases]
    found = [
        (each.mean, each.variance + noise) for each, noise in zip(moments, noises, strict=True)
    ]
    if not full:
        return found, None
    whole = completed_covariance(covariance, data)
    return found, whole.with_noise(np.broadcast_to(noise, data.data_shape).ravel()).covariance


def _noise_of_components(variance: Array, basis: Basis) -> Array:
    """The variance that independent noise of the values has in each component."""
    if variance.ndim == 0 or (variance == variance.flat[0]).all():
        return variance.flat[0]
    values = np.broadcast_to(variance, basis.data_shape).ravel()
    return (matrix_of(basis) ** 2 @ values).reshape(basis.data_shape)
