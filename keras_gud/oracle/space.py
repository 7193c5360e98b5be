"""From means and covariances of data to those of components, ``z0 = S^-1 (U phi - mean)``."""

import numpy as np
from keras import ops

from keras_gud.bases.basis import Basis
from keras_gud.bases.linear import matrix_of
from keras_gud.core.types import ArrayLike
from keras_gud.priors.prior import Prior


def to_components(
    means: ArrayLike, covariances: ArrayLike, basis: Basis, prior: Prior | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Means and covariances of ``z0 = S^-1 (U phi - mean)``.

    Args:
        means: ``(k, *data_shape)``.
        covariances: ``(..., d, d)``.
        basis: A built `Basis`, U.
        prior: An adapted `Prior`, mean and S, or `None` for ``U phi``.

    Returns:
        Float64 arrays of the same shapes.

    Raises:
        ValueError: for moments that do not have the shape of the basis, or a prior that is not
            adapted.
    """
    u = matrix_of(basis)
    means, covariances = np.asarray(means, "float64"), np.asarray(covariances, "float64")
    if means.shape[1:] != basis.data_shape:
        raise ValueError(
            f"Expected means of the shape of the basis, {basis.data_shape}. "
            f"Received: a mean of shape {means.shape[1:]}."
        )
    if covariances.shape[-2:] != u.shape:
        raise ValueError(
            f"Expected covariances of shape {u.shape}. "
            f"Received: a covariance of shape {covariances.shape[-2:]}."
        )
    shift, scale = np.zeros(len(u)), np.ones(len(u))
    if prior is not None:
        if prior.data_shape is None:
            raise ValueError(f"Expected an adapted `prior`. Received: prior={prior!r}.")
        shift, scale = (
            ops.convert_to_numpy(value).astype("float64").ravel()
            for value in (prior.mean, prior.scale)
        )
    flat = (means.reshape(len(means), -1) @ u.T - shift) / scale
    u = u / scale[:, None]
    return flat.reshape(means.shape), u @ covariances @ u.T
