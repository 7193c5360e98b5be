"""Densities and Bayes' rule of normal distributions, for k Gaussians at once; float64 NumPy.

With N(m, C) the distribution of x and ``y = H x + n``, n ~ N(0, R)::

    p(y)     = N(H m, H C H^T + R)
    p(x | y) = N(m + K (y - H m), (1 - K H) C (1 - K H)^T + K R K^T),
    K        = C H^T (H C H^T + R)^-1

Joseph's form of the covariance is positive semi-definite whatever the rounding.
"""

import math

import numpy as np


def log_normal(z: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Log density of N(mean, covariance) in nats.

    Args:
        z: ``(n, d)``.
        mean: ``(k, d)``.
        covariance: ``(k, d, d)``.

    Returns:
        ``(k, n)``.

    Raises:
        ValueError: if a covariance is singular: there is no density then.
    """
    try:
        root = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        raise ValueError(
            "Expected positive definite covariances: only those have a density. "
            f"Received: smallest eigenvalue {np.linalg.eigvalsh(covariance).min():g}."
        ) from None
    rest = np.swapaxes(z - mean[:, None, :], 1, 2)
    white = np.linalg.solve(root, rest)
    log_det = np.log(np.einsum("kii->ki", root)).sum(-1)
    constant = 0.5 * mean.shape[-1] * math.log(2.0 * math.pi)
    return -0.5 * (white**2).sum(1) - log_det[:, None] - constant


def log_sum_exp(values: np.ndarray) -> np.ndarray:
    """``log sum_k exp(values_k)`` over the first axis.

    >>> float(log_sum_exp(np.log([1.0, 3.0])).round(4))                    # log 4
    1.3863
    """
    return np.logaddexp.reduce(values, axis=0)


def observe(
    mean: np.ndarray,
    covariance: np.ndarray,
    matrix: np.ndarray,
    noise: np.ndarray,
    value: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bayes' rule for x ~ N(mean, covariance) given ``value = matrix x + n``, n ~ N(0, noise).

    Args:
        mean: ``(k, d)``.
        covariance: ``(k, d, d)``.
        matrix: H, ``(m, d)``.
        noise: R, the variances of the noise, ``(m,)``; 0 for an exact observation.
        value: ``(m,)``.

    Returns:
        The posterior's means ``(k, d)`` and covariances ``(k, d, d)``, and the log density of the
        value under each of the k Gaussians, ``(k,)``.
    """
    r = np.diag(noise)
    predicted, spread = mean @ matrix.T, matrix @ covariance @ matrix.T + r
    log_marginal = log_normal(value[None], predicted, spread)[:, 0]
    gain = np.swapaxes(np.linalg.solve(spread, matrix @ covariance), 1, 2)
    kept = np.eye(mean.shape[-1]) - gain @ matrix
    posterior = kept @ covariance @ np.swapaxes(kept, 1, 2) + gain @ r @ np.swapaxes(gain, 1, 2)
    return mean + np.einsum("kdm,km->kd", gain, value - predicted), posterior, log_marginal


def root(covariance: np.ndarray) -> np.ndarray:
    """A matrix R with ``R R^T = covariance``, also of a singular one; ``(k, d, d)`` both."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
