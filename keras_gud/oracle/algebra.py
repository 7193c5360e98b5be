"""Linear algebra of normal distributions, float64 NumPy; leading axes are mixture components."""

import math

import numpy as np


def log_normal(z, mean, covariance) -> np.ndarray:
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


def log_sum_exp(values) -> np.ndarray:
    """``log sum_k exp(values_k)`` over the first axis."""
    return np.logaddexp.reduce(values, axis=0)


def observe(mean, covariance, matrix, noise, value):
    """Bayes' rule for x ~ N(mean, covariance) given ``value = matrix x + n``, n ~ N(0, noise).

    The covariance is Joseph's form, ``(1 - K H) C (1 - K H)^T + K R K^T``: positive semi-definite
    whatever the rounding.

    Args:
        mean: ``(k, d)``.
        covariance: ``(k, d, d)``.
        matrix: H, ``(m, d)``.
        noise: R, the variances of the noise, ``(m,)``; 0 for an exact observation.
        value: ``(m,)``.

    Returns:
        The posterior's means ``(k, d)`` and covariances ``(k, d, d)``, and the log density of the
        value in each component, ``(k,)``.
    """
    r = np.diag(noise)
    predicted, spread = mean @ matrix.T, matrix @ covariance @ matrix.T + r
    evidence = log_normal(value[None], predicted, spread)[:, 0]
    gain = np.swapaxes(np.linalg.solve(spread, matrix @ covariance), 1, 2)
    kept = np.eye(mean.shape[-1]) - gain @ matrix
    posterior = kept @ covariance @ np.swapaxes(kept, 1, 2) + gain @ r @ np.swapaxes(gain, 1, 2)
    return mean + np.einsum("kdm,km->kd", gain, value - predicted), posterior, evidence


def root(covariance) -> np.ndarray:
    """A matrix R with ``R R^T = covariance``, also of a singular one; ``(k, d, d)`` both."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
