"""Means and second moments of data that are read in batches: float64, NumPy.

Batches are merged with the pairwise update of Chan, Golub and LeVeque (1983), which subtracts means
before it squares: an offset a billion times larger than the spread does no harm, and statistics of
separate parts of the data can be merged. Memory does not grow with the number of examples.
"""

from typing import Self

import numpy as np

from keras_gud import backend
from keras_gud.core.types import ArrayLike

# Centred 8-bit values have squares up to 2^14, so sums of 2^10 of them are integers up to 2^24,
# which float32 holds exactly and multiplies twice as fast as float64; float64 holds a block's sum.
_EXACT_ROWS, _EXACT_BLOCK = 1024, 2**16
_CENTRE = 128.0


def varies(mean: ArrayLike, variance: ArrayLike) -> np.ndarray:
    """Whether values differ by more than the rounding of float32, from their moments; boolean.

    >>> varies(np.array([1e6, 0.0]), np.array([1e-4, 1e-4])).tolist()
    [False, True]
    """
    return np.asarray(variance) > (4.0 * np.finfo("float32").eps * np.asarray(mean)) ** 2


def _as_numbers(batch: ArrayLike) -> np.ndarray:
    """The batch as an array: 8-bit values as they are, all else as float64."""
    batch = np.asarray(batch)
    if batch.dtype == np.uint8:
        return batch
    try:
        return np.asarray(batch, "float64")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Expected batches of numbers. Received: batch of dtype {batch.dtype}."
        ) from error


class _StreamingMoments:
    """Count, mean and centred second moment M2; subclasses implement `_sum_of_squares`."""

    # Arrays from the first example on.
    _mean: np.ndarray
    _m2: np.ndarray

    def __init__(self) -> None:
        self.count = 0

    @staticmethod
    def _sum_of_squares(centred: np.ndarray) -> np.ndarray:
        """The second moment of a batch whose mean is zero, times its number of examples."""
        raise NotImplementedError

    def update(self, batch: ArrayLike) -> Self:
        """Adds a batch; returns the accumulator itself.

        Args:
            batch: Array ``(batch, *shape)``; any real dtype, computed in float64.

        Raises:
            ValueError: if the shape differs from earlier batches or a value is not finite.
        """
        batch = _as_numbers(batch)
        self._check(batch)
        if batch.dtype == np.uint8:
            for i in range(0, len(batch), _EXACT_BLOCK):
                self._add_exactly(batch[i : i + _EXACT_BLOCK])
        elif len(batch):
            mean = batch.mean(axis=0)
            self._merge(len(batch), mean, self._sum_of_squares(batch - mean))
        return self

    def _add_exactly(self, rows: np.ndarray) -> None:
        """Adds 8-bit values, whose sums are exact in float32."""
        n, total, squares = len(rows), np.zeros(()), np.zeros(())
        for i in range(0, n, _EXACT_ROWS):
            values = rows[i : i + _EXACT_ROWS].astype("float32")
            values -= _CENTRE
            # A product with ones is five times as fast as a sum along the first axis.
            total = total + np.tensordot(np.ones(len(values), "float32"), values, axes=1)
            squares = squares + self._sum_of_squares(values)
        squares = n * squares - self._sum_of_squares(total[None])  # integers: nothing is lost
        self._merge(n, total / n + _CENTRE, squares / n)

    def merge(self, other: Self) -> Self:
        """Adds all examples of another accumulator of the same class; returns itself."""
        if type(other) is not type(self):
            raise TypeError(
                f"Expected another {type(self).__name__} to merge. Received: other={other!r}."
            )
        if other.count:
            self._merge(other.count, other._mean, other._m2)
        return self

    def across_processes(self) -> Self:
        """Merges the examples of all processes of a run, in each of them; returns itself.

        Where all processes have read the same data, means and second moments stay as they are.
        """
        count = backend.process_count()
        if count == 1:
            return self
        self._require_examples()
        counts = backend.process_allgather(np.int64(self.count))
        means, m2s = backend.process_allgather(self._mean), backend.process_allgather(self._m2)
        self.count = 0
        for parts in zip(counts, means, m2s, strict=True):
            self._merge(int(parts[0]), *parts[1:])
        return self

    @property
    def mean(self) -> np.ndarray:
        """The mean over all examples so far, float64 of the shape of one example."""
        self._require_examples()
        return self._mean.copy()

    def _check(self, batch: np.ndarray) -> None:
        if self.count and batch.shape[1:] != self._mean.shape:
            raise ValueError(
                f"Expected batches of shape (batch, *{self._mean.shape}) as before. "
                f"Received: batch of shape {batch.shape}."
            )
        if batch.dtype != np.uint8 and not np.isfinite(batch).all():
            raise ValueError("Expected finite data. Received: batch with NaN or infinite values.")

    def _require_examples(self) -> None:
        if not self.count:
            raise ValueError(
                f"Expected at least one example before {type(self).__name__} is read. "
                "Received: count=0."
            )

    def _merge(self, count: int, mean: np.ndarray, m2: np.ndarray) -> None:
        if not self.count:
            self.count, self._mean, self._m2 = count, mean.copy(), m2.copy()
            return
        total = self.count + count
        delta = mean - self._mean
        # Chan et al., eq. 1.5: M2 = M2_a + M2_b + delta^2 n_a n_b / n; no large sums subtracted.
        self._m2 += m2 + self._sum_of_squares(delta[None]) * (self.count * count / total)
        self._mean += delta * (count / total)
        self.count = total


class Moments(_StreamingMoments):
    """Mean and variance of each component of a stream of arrays of any shape.

    Example:
    >>> import numpy as np
    >>> moments = Moments().update(np.array([[0.0, 1.0]])).update(np.array([[2.0, 1.0]]))
    >>> moments.count, moments.mean.tolist(), moments.variance.tolist()
    (2, [1.0, 1.0], [1.0, 0.0])
    """

    @property
    def variance(self) -> np.ndarray:
        """The population variance ``M2 / count``, float64 of the shape of one example."""
        self._require_examples()
        return self._m2 / self.count

    @staticmethod
    def _sum_of_squares(centred: np.ndarray) -> np.ndarray:
        return np.einsum("b...,b...->...", centred, centred)


class Covariance(_StreamingMoments):
    """Mean and covariance matrix of a stream of vectors, batches ``(batch, d)``.

    Example:
    >>> import numpy as np
    >>> fit = Covariance().update(np.array([[0.0, 0.0], [2.0, 2.0]]))
    >>> fit.covariance.tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """

    @classmethod
    def of(cls, count: int, mean: ArrayLike, covariance: ArrayLike) -> "Covariance":
        """The accumulator of so many examples with this mean and population covariance.

        Args:
            count: Number of examples.
            mean: ``(d,)``.
            covariance: ``(d, d)``, symmetric.

        Example:
        >>> Covariance.of(5, [1.0], [[4.0]]).update([[1.0]]).count
        6
        """
        result = cls()
        result._merge(count, np.asarray(mean, "float64"), count * np.asarray(covariance, "float64"))
        return result

    @property
    def covariance(self) -> np.ndarray:
        """The population covariance ``M2 / count``, float64 ``(d, d)``, exactly symmetric."""
        self._require_examples()
        return (self._m2 + self._m2.T) / (2 * self.count)

    def _check(self, batch: np.ndarray) -> None:
        if batch.ndim != 2:
            raise ValueError(
                f"Expected batches of vectors, (batch, d). Received: batch of shape {batch.shape}."
            )
        super()._check(batch)

    def transformed(self, matrix: ArrayLike, offset: ArrayLike = 0.0) -> "Covariance":
        """The accumulator of the same examples x, each mapped to ``matrix @ x + offset``.

        Args:
            matrix: Array ``(k, d)``.
            offset: Number, or array ``(k,)``.

        Example:
        >>> fit = Covariance().update(np.array([[0.0, 0.0], [2.0, 2.0]]))
        >>> fit.transformed(np.array([[1.0, 1.0]])).covariance.tolist()
        [[4.0]]
        """
        matrix = np.asarray(matrix, "float64")
        covariance = matrix @ self.covariance @ matrix.T
        return Covariance.of(self.count, matrix @ self._mean + offset, covariance)

    def with_noise(self, variance: ArrayLike) -> "Covariance":
        """The accumulator of the same examples with independent noise added to their values.

        Args:
            variance: Of the noise of each value, ``(d,)``.

        Example:
        >>> fit = Covariance().update(np.array([[0.0, 0.0], [2.0, 2.0]]))
        >>> fit.with_noise([0.5, 0.0]).covariance.tolist()
        [[1.5, 1.0], [1.0, 1.0]]
        """
        noise = np.diag(np.asarray(variance, "float64"))
        return Covariance.of(self.count, self._mean, self.covariance + noise)

    @staticmethod
    def _sum_of_squares(centred: np.ndarray) -> np.ndarray:
        return centred.T @ centred
