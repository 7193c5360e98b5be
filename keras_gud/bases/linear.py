"""Orthogonal matrices: checks of them, eigenbases, and products along one axis."""

import math

import numpy as np
from keras import ops

from keras_gud.bases.basis import Basis
from keras_gud.core.types import ArrayLike, Tensor, TensorLike

# The largest deviation from M M^T = 1 in any entry.
TOLERANCE = 1e-4


def matrix_of(basis: Basis) -> np.ndarray:
    """U of a built basis as a matrix, float64 ``(d, d)``; components are ``U @ x.ravel()``.

    Raises:
        ValueError: for a basis that is not built.

    Example:
    >>> from keras_gud import bases
    >>> basis = bases.get("haar"); basis.build((None, 2))
    >>> matrix_of(basis).round(3).tolist()
    [[0.707, 0.707], [0.707, -0.707]]
    """
    shape = getattr(basis, "data_shape", None)
    if shape is None:
        raise ValueError(f"Expected a built `basis`. Received: basis={basis!r}.")
    identity = np.eye(int(np.prod(shape)), dtype="float32")
    columns = ops.convert_to_numpy(basis(identity.reshape(-1, *shape)))
    return columns.reshape(identity.shape).T.astype("float64")


def multiply_axis(matrix: TensorLike, x: Tensor, axis: int) -> Tensor:
    """``sum_j matrix[k, j] x[.., j, ..]`` with j and k on the same axis of x.

    Args:
        matrix: ``(n, n)``, NumPy array, tensor or weight.
        x: Tensor with n entries along `axis`; the matrix is cast to its dtype.
        axis: Which axis to transform.

    Returns:
        Tensor of the shape and dtype of x.
    """
    matrix = ops.convert_to_tensor(matrix, dtype=x.dtype)
    letters = list("abcdefgh"[: len(x.shape)])
    summed, letters[axis] = letters[axis], "k"
    result = "".join(letters)
    # einsum, because matmul and tensordot turn float64 into float32 on torch.
    return ops.einsum(f"{result.replace('k', summed)},k{summed}->{result}", x, matrix)


def multiply_flat(matrix: TensorLike, x: Tensor) -> Tensor:
    """Applies a matrix to flattened data: to all components, or to the positions of each channel.

    Args:
        matrix: ``(n, n)``, with n the number of positions or of all components of x.
        x: Tensor ``(batch, *data_shape)``.

    Returns:
        Tensor of the shape and dtype of x.
    """
    data_shape, rows = x.shape[1:], matrix.shape[0]
    flat = ops.reshape(x, (-1, rows, math.prod(data_shape) // rows))
    return ops.reshape(multiply_axis(matrix, flat, 1), (-1, *data_shape))


def orthogonal_matrix(matrix: ArrayLike, name: str = "matrix") -> np.ndarray:
    """Checks an orthogonal matrix and returns it as a float64 array.

    Args:
        matrix: Square array or nested list.
        name: Name of the argument, for messages.

    Raises:
        ValueError: if it is not square, or an entry of ``M M^T - 1`` is larger than 1e-4 in
            magnitude; the message gives the largest.
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

    Args:
        covariance: Symmetric matrix ``(d, d)``.

    Returns:
        The orthogonal matrix ``(d, d)`` and the eigenvalues ``(d,)``, both float64.

    Example:
    >>> rows, values = eigenbasis(np.diag([1.0, 4.0]))
    >>> rows.tolist(), values.tolist()
    ([[0.0, 1.0], [1.0, 0.0]], [4.0, 1.0])
    """
    values, vectors = np.linalg.eigh(covariance)
    rows = vectors.T[::-1]
    # Rounded, because the sign must not depend on rounding errors where two magnitudes are equal.
    peak = np.argmax(np.round(np.abs(rows), 8), axis=1)
    signs = np.where(rows[np.arange(len(rows)), peak] < 0, -1.0, 1.0)
    return rows * signs[:, None], values[::-1].copy()
