"""Orthogonal matrices: checking them, finding eigenbases, applying them along one axis."""

import math

import numpy as np
from keras import ops

TOLERANCE = 1e-4


def matrix_of(basis) -> np.ndarray:
    """U of a built basis as a matrix, float64 ``(d, d)``; components are ``U @ phi.ravel()``."""
    shape = getattr(basis, "data_shape", None)
    if shape is None:
        raise ValueError(f"Expected a built `basis`. Received: basis={basis!r}.")
    identity = np.eye(int(np.prod(shape)), dtype="float32")
    columns = ops.convert_to_numpy(basis(identity.reshape(-1, *shape)))
    return columns.reshape(identity.shape).T.astype("float64")


def multiply_axis(matrix, x, axis: int):
    """``sum_j matrix[k, j] x[.., j, ..]`` with j and k on the same axis of x.

    Args:
        matrix: ``(n, n)``, NumPy array, tensor or weight.
        x: Tensor with n entries along `axis`; its dtype decides.
        axis: Which axis to transform.
    """
    matrix = ops.convert_to_tensor(matrix, dtype=x.dtype)
    letters = list("abcdefgh"[: len(x.shape)])
    summed, letters[axis] = letters[axis], "k"
    result = "".join(letters)
    # einsum, because matmul and tensordot turn float64 into float32 on torch.
    return ops.einsum(f"{result.replace('k', summed)},k{summed}->{result}", x, matrix)


def multiply_flat(matrix, x):
    """Applies a matrix to flattened data, with whatever is left over as unchanged channels.

    Args:
        matrix: ``(n, n)``, with n the number of positions or of all components of x.
        x: Tensor ``(batch, *data_shape)``; the result has the same shape.
    """
    data_shape, rows = x.shape[1:], matrix.shape[0]
    flat = ops.reshape(x, (-1, rows, math.prod(data_shape) // rows))
    return ops.reshape(multiply_axis(matrix, flat, 1), (-1, *data_shape))


def orthogonal_matrix(matrix, name: str = "matrix") -> np.ndarray:
    """Checks a user's matrix and returns it as a float64 array.

    Raises:
        ValueError: if it is not square, or further than 1e-4 from orthogonal in any entry of
            ``M M^T - 1``; the largest deviation is named.
    """
    try:
        matrix = np.asarray(matrix, dtype="float64")
    except (TypeError, ValueError):
        raise ValueError(
            f"Expected `{name}` to be a square matrix of numbers. Received: {name}={matrix!r}."
        ) from None
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            f"Expected `{name}` to be a square matrix. Received: {name} of shape {matrix.shape}."
        )
    deviation = np.abs(matrix @ matrix.T - np.eye(len(matrix))).max()
    # Written so that NaN fails too.
    if not deviation <= TOLERANCE:
        raise ValueError(
            f"Expected `{name}` to be orthogonal, M M^T = 1 within {TOLERANCE}. "
            f"Received: {name} with a largest deviation of {deviation:.3g}."
        )
    return matrix


def eigenbasis(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvectors (rows) and eigenvalues of a symmetric matrix, the largest eigenvalue first.

    Eigenvectors are only defined up to a sign; here the entry of largest magnitude is positive, so
    that a fit gives the same basis everywhere.

    Returns:
        The orthogonal matrix ``(d, d)`` and the eigenvalues ``(d,)``, both float64.
    """
    values, vectors = np.linalg.eigh(covariance)
    rows = vectors.T[::-1]
    # Rounded, because the sign must not hang on rounding where two entries tie in magnitude.
    peak = np.argmax(np.round(np.abs(rows), 8), axis=1)
    signs = np.where(rows[np.arange(len(rows)), peak] < 0, -1.0, 1.0)
    return rows * signs[:, None], values[::-1].copy()
