"""Fitting the basis and the statistics of the components by streaming over the data."""

import contextlib

import keras
import numpy as np
from keras import ops

from keras_gud import backend
from keras_gud.bases.batches import Batches
from keras_gud.checks import check_batch, check_varied
from keras_gud.statistics import Covariance, Moments

# Data of 8 bits become floats as (x + u)/128 - 1 with u uniform in [0, 1): [0, 256) to [-1, 1).
LEVELS = 128.0
# The variance that u adds to every component of an orthogonal basis.
_DEQUANTISATION = 1.0 / (12.0 * LEVELS**2)


def expected_floats(x: np.ndarray, kind: str) -> np.ndarray:
    """The model's floats for raw data, with u at its mean 1/2."""
    scale, offset = units(kind)
    return (x.astype("float32") - offset) / scale


def units(kind: str) -> tuple[float, float]:
    """Scale and offset from the model's floats to raw values: ``raw = scale phi + offset``."""
    return (LEVELS, LEVELS - 0.5) if kind == "uint8" else (1.0, 0.0)


def to_raw(chi, basis, prior, kind: str, batch_size: int = 256) -> np.ndarray:
    """Components to raw values, neither rounded nor clipped: float32 of the same shape.

    Args:
        chi: Components ``(n, *data_shape)``.
        basis: The `Basis` that they are of.
        prior: Its `Prior`.
        kind: ``"uint8"`` or ``"float"``.
        batch_size: Examples transformed at a time.
    """
    scale, offset = units(kind)
    phi = [
        ops.convert_to_numpy(basis.inverse(prior.inverse(chi[i : i + batch_size])))
        for i in range(0, len(chi), batch_size)
    ]
    return scale * np.concatenate(phi) + offset


def rounded(raw: np.ndarray, kind: str) -> np.ndarray:
    """Raw values in the data's own type: uint8 for 8-bit data, else as they are."""
    return np.clip(np.floor(raw + 0.5), 0, 255).astype("uint8") if kind == "uint8" else raw


@contextlib.contextmanager
def all_or_nothing(variables):
    """Puts back the values of variables if the block raises, so that no part is half adapted."""
    before = [(v, np.array(ops.convert_to_numpy(v.value))) for v in variables]
    try:
        yield
    except BaseException:
        for variable, value in before:
            variable.assign(value)
        raise


def fit_components(source, bases, data_shape, kind: str, verbose: int, full: bool = False):
    """Fits the bases that need data, then mean and variance of the components in each.

    One pass over the data, and one more for each fitted basis; one batch in memory at a time.

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

    def one_pass(title):
        if verbose:
            print(title)
        bar = keras.utils.Progbar(source.n_batches, verbose=verbose, unit_name="batch")
        for i, x in enumerate(source):
            check_batch(x, data_shape, kind)
            yield expected_floats(x, kind)
            bar.update(i + 1)
        if source.n_batches is None:
            bar.update(i + 1, finalize=True)

    for basis in bases:
        if not basis.built:
            basis.build((None, *data_shape))
        if basis.data_shape != tuple(data_shape):
            raise ValueError(
                f"Expected data of shape (batch, {str(basis.data_shape)[1:-1]}), for which the "
                f"{basis.name} basis was built. Received: examples of shape {tuple(data_shape)}. "
                "Data of another shape need a model with parts of its own."
            )
        if basis.needs_data:
            basis.adapt(Batches(lambda basis=basis: one_pass(f"Fitting the {basis.name} basis")))
    moments, covariance = [Moments() for _ in bases], Covariance()
    example, varied = None, False
    for x in one_pass("Measuring the components"):
        example = x[:1] if example is None else example
        varied = varied or bool((x != example).any())
        components = [ops.convert_to_numpy(basis(x)) for basis in bases]
        for each, values in zip(moments, components, strict=True):
            each.update(values)
        if full:
            covariance.update(components[0].reshape(len(x), -1))
    for each in [*moments, *([covariance] if full else [])]:
        each.across_processes()
    varied = bool(backend.all_processes(np.asarray(varied)).any())
    check_varied(varied, moments[0].count)
    extra = _DEQUANTISATION if kind == "uint8" else 0.0
    whole = covariance.covariance + extra * np.eye(moments[0].mean.size) if full else None
    statistics = [
        (each.mean, basis.symmetrize(each.variance + extra))
        for each, basis in zip(moments, bases, strict=True)
    ]
    return statistics, whole
