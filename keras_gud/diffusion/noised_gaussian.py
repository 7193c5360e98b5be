"""Gaussian components under noise: moments, samples, log densities and solutions on tensors.

    clean          z0 ~ N(m, C)
    noised         z ~ N(alpha m, alpha C alpha + sigma^2)      paper eq. 15, all covariances
    sample         mean + L n,  L L^T = Cov,  n ~ N(0, 1)
    log density    -1/2 |L^-1 (z - mean)|^2 - sum_i log L_ii - d/2 log(2 pi)
    score          -Cov^-1 (z - mean)
    diagonal       -1/2 sum_i (z_i^2/V_i + log(2 pi V_i))       log density of N(0, V_i)
    conditional    log p(z_U | z_K) = log p(z) - log p(z_K)

All functions are pure, in float32, and work on tensors of any backend, inside compiled loops and
under `keras.ops.jvp`. Components are flat, d of them; ``...`` are leading axes that means and
covariances share (the components of a mixture), and b is the number of rows of the noising state:
1, when one factorisation serves all samples, or the batch.
"""

import math

import numpy as np
from keras import ops

from keras_gud.core.types import Array, ArrayLike, Shape, Tensor
from keras_gud.diffusion.noising_state import NoisingState


def flatten(values: Tensor, data_shape: Shape) -> Tensor:
    """A field of a state, spread over all components and flat.

    Args:
        values: Tensor that broadcasts against ``(b, *data_shape)``, b in front.
        data_shape: Shape of one sample.

    Returns:
        Tensor ``(b, d)``.
    """
    values = ops.broadcast_to(values, (ops.shape(values)[0], *data_shape))
    return ops.reshape(values, (-1, math.prod(data_shape)))


def floor(covariance: ArrayLike) -> Array:
    """The least noise variance, per component, with which float32 can factorise a covariance.

    A covariance of full rank needs none, and gets 0. A singular one needs about ``2e-7 d`` of each
    variance, the rounding of Cholesky's method: below that, sigma^2 is lost in float32 beside C.

    Args:
        covariance: ``(..., d, d)``, symmetric, positive semi-definite.

    Returns:
        float64 ``(..., d)``, >= 0.

    Example:

    >>> floor([[1.0, 0.5], [0.5, 1.0]]).tolist(), bool((floor(np.ones((2, 2))) > 0).all())
    ([0.0, 0.0], True)
    """
    covariance = np.asarray(covariance, "float64")
    d = covariance.shape[-1]
    variance = np.einsum("...ii->...i", covariance)
    # Rounding acts on the correlations: Cholesky's method does not mind different scales.
    scale = np.sqrt(np.where(variance > 0.0, variance, 1.0))
    correlation = covariance / scale[..., :, None] / scale[..., None, :]
    np.einsum("...ii->...i", correlation)[...] = 1.0
    needed = 2.0 * np.finfo("float32").eps * max(d, 4)
    missing = np.maximum(needed - np.linalg.eigvalsh(correlation)[..., :1], 0.0)
    return missing * variance


def moments(
    state: NoisingState,
    mean: Tensor,
    covariance: Tensor,
    data_shape: Shape,
    least: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Mean and covariance of Gaussian components noised to a state.

    Args:
        state: The noising state; its fields broadcast against ``(b, *data_shape)``.
        mean: Mean of the clean components, ``(..., d)``.
        covariance: Their covariance, ``(..., d, d)``.
        data_shape: Shape of one sample.
        least: What the noise's variance does not fall below (times alpha^2), ``(..., d)``: `floor`,
            or `None` for no such bound.

    Returns:
        Pair of float32 tensors ``(..., b, d)`` and ``(..., b, d, d)``.

    Example:

    >>> state = NoisingState(ops.zeros((1, 1)))
    >>> mean, covariance = moments(state, np.zeros(2), np.eye(2), (2,))
    >>> tuple(mean.shape), tuple(covariance.shape), round(float(covariance[0, 0, 0]), 6)
    ((1, 2), (1, 2, 2), 1.0)
    """
    alpha, sigma = flatten(state.alpha, data_shape), flatten(state.sigma, data_shape)
    mean, covariance = ops.cast(mean, "float32"), ops.cast(covariance, "float32")
    noise = sigma**2
    if least is not None:
        noise = ops.maximum(noise, alpha**2 * ops.expand_dims(ops.cast(least, "float32"), -2))
    signal = alpha[:, :, None] * ops.expand_dims(covariance, -3) * alpha[:, None, :]
    covariance = signal + ops.expand_dims(noise, -1) * ops.eye(mean.shape[-1])
    return alpha * ops.expand_dims(mean, -2), covariance


def draw(noise: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """Noise N(0, 1) turned into samples of N(mean, covariance), by Cholesky's factor.

    Args:
        noise: ``(batch, d)``.
        mean: ``(..., b, d)``.
        covariance: ``(..., b, d, d)``, positive definite.

    Returns:
        Tensor ``(..., batch, d)``.
    """
    # One factor for all rows broadcasts: (rows, 1, d) @ (rows or 1, d, d).
    root = ops.swapaxes(ops.cholesky(covariance), -1, -2)
    return mean + ops.matmul(noise[:, None, :], root)[..., 0, :]


def solve(covariance: Tensor, rest: Tensor) -> Tensor:
    """Cov^-1 rest, row by row; one factorisation where there is one covariance for all rows.

    Args:
        covariance: ``(..., b, d, d)``.
        rest: ``(..., batch, d)``.

    Returns:
        Tensor ``(..., batch, d)``.
    """
    return _as_rows(ops.solve(*_as_columns(covariance, rest)), covariance)


def diagonal_log_density(z: Tensor, variance: Tensor, given: Tensor | None = None) -> Tensor:
    """Log density of independent components N(0, V_i), in nats.

    ``-1/2 sum_i (z_i^2 / V_i + log(2 pi V_i))``, over the components that are not given.

    Args:
        z: ``(batch, *data_shape)``.
        variance: V_i, a number or a tensor that broadcasts against z.
        given: Boolean mask of the data's shape; `None`: nothing is given.

    Returns:
        Tensor ``(batch,)``.

    Example:

    >>> value = diagonal_log_density(ops.zeros((3, 2)), 1.0)
    >>> [round(float(v), 4) for v in value]
    [-1.8379, -1.8379, -1.8379]
    """
    terms = -0.5 * (ops.square(z) / variance + ops.log(2.0 * math.pi * variance))
    terms = terms if given is None else ops.where(given, 0.0, terms)
    return ops.sum(terms, axis=tuple(range(1, len(z.shape))))


def log_density(z: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """Log density of N(mean, covariance) at z, in nats.

    Args:
        z: ``(batch, d)``.
        mean: ``(..., b, d)``.
        covariance: ``(..., b, d, d)``, positive definite.

    Returns:
        Tensor ``(..., batch)``.

    Example:

    >>> z = ops.zeros((3, 2))
    >>> value = log_density(z, ops.zeros((1, 2)), ops.expand_dims(ops.eye(2), 0))
    >>> [round(float(v), 4) for v in value]
    [-1.8379, -1.8379, -1.8379]
    """
    return _whiten(z - mean, covariance)[1]


def conditional_log_density(
    z: Tensor, mean: Tensor, covariance: Tensor, given: ArrayLike | None = None
) -> Tensor:
    """Log density of the components that are not given, conditional on those that are, in nats.

    Args:
        z: ``(batch, d)``.
        mean: ``(b, d)``.
        covariance: ``(b, d, d)``, positive definite.
        given: Boolean NumPy mask of d entries in any shape; `None`: nothing is given.

    Returns:
        Tensor ``(batch,)``.
    """
    density = log_density(z, mean, covariance)
    known = np.flatnonzero(np.zeros(1) if given is None else given)
    if not known.size:
        return density
    z, mean = ops.take(z, known, axis=1), ops.take(mean, known, axis=1)
    covariance = ops.take(ops.take(covariance, known, axis=1), known, axis=2)
    return density - log_density(z, mean, covariance)


def score_and_log_density(z: Tensor, mean: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
    """The score of N(mean, covariance) at z and its log density in nats, with one factorisation.

    Args:
        z: ``(batch, d)``.
        mean: ``(..., b, d)``.
        covariance: ``(..., b, d, d)``, positive definite.

    Returns:
        Tensors ``(..., batch, d)`` and ``(..., batch)``.
    """
    white, density, root = _whiten(z - mean, covariance)
    upper, columns = _as_columns(ops.swapaxes(root, -1, -2), white)
    return -_as_rows(ops.solve_triangular(upper, columns), covariance), density


def _whiten(rest, covariance):
    """L^-1 rest, the log density that it stands for, and L: ``L L^T = Cov``, L lower triangular."""
    root = ops.cholesky(covariance)
    white = _as_rows(ops.solve_triangular(*_as_columns(root, rest), lower=True), covariance)
    log_det = ops.sum(ops.log(ops.diagonal(root, axis1=-2, axis2=-1)), axis=-1)
    constant = 0.5 * rest.shape[-1] * math.log(2.0 * math.pi)
    return white, -0.5 * ops.sum(white**2, axis=-1) - log_det - constant, root


def _as_columns(matrix, rows):
    """A matrix and right-hand sides: all rows as columns of one system, or one system a row."""
    if matrix.shape[-3] == 1:
        return matrix[..., 0, :, :], ops.swapaxes(rows, -1, -2)
    return matrix, ops.expand_dims(rows, -1)


def _as_rows(columns, matrix):
    """Undoes `_as_columns` for the solution."""
    return ops.swapaxes(columns, -1, -2) if matrix.shape[-3] == 1 else columns[..., 0]
