"""Means and second moments of data with gaps, over what was observed: float64, NumPy.

Values that are NaN are left out. Of a pair of values the examples count that have both::

    mean_i   over the examples with x_i
    Cov_ij   over the examples with x_i and x_j, about their own means
"""

from typing import Any, Self

import numpy as np

from keras_gud import backend
from keras_gud.core.streaming_moments import Covariance
from keras_gud.core.types import Array, ArrayLike


class _Observed:
    """What is merged over processes: `_state`, which `_empty` sets back and `_merge` adds to."""

    def __init__(self) -> None:
        self._empty()

    def across_processes(self) -> Self:
        """Merges the examples of all processes of a run, in each of them; returns itself."""
        if backend.process_count() > 1:
            parts = [backend.process_allgather(value) for value in self._state()]
            self._empty()
            for part in zip(*parts, strict=True):
                self._merge(*part)
        return self

    def _empty(self) -> None:
        raise NotImplementedError

    def _state(self) -> tuple[Any, ...]:
        raise NotImplementedError

    def _merge(self, *state: Any) -> None:
        raise NotImplementedError


class ObservedMoments(_Observed):
    """Mean and variance of each component over the examples in which it was observed.

    Attributes:
        count: Number of these examples, int64 of the shape of one example; 0 before the first.

    Example:

    >>> moments = ObservedMoments().update([[0.0, np.nan], [2.0, 1.0]])
    >>> moments.count.tolist(), moments.mean.tolist(), moments.variance.tolist()
    ([2, 1], [1.0, 1.0], [1.0, 0.0])
    """

    def _empty(self) -> None:
        self.count, self.mean, self._m2 = np.zeros((), "int64"), np.zeros(()), np.zeros(())

    def update(self, batch: ArrayLike) -> Self:
        """Adds a batch ``(batch, *shape)``; returns the accumulator itself."""
        batch = np.asarray(batch, "float64")
        seen = ~np.isnan(batch)
        count = seen.sum(axis=0)
        mean = np.where(seen, batch, 0.0).sum(axis=0) / np.maximum(count, 1)
        centred = np.where(seen, batch - mean, 0.0)
        self._merge(count, mean, np.einsum("b...,b...->...", centred, centred))
        return self

    def _state(self) -> tuple[Any, ...]:
        return self.count, self.mean, self._m2

    @property
    def variance(self) -> Array:
        """The population variance of each component, float64."""
        return self._m2 / np.maximum(self.count, 1)

    def _merge(self, count: Array, mean: Array, m2: Array) -> None:
        # As `streaming_moments`, with a count for each component.
        total = self.count + count
        delta, share = mean - self.mean, count / np.maximum(total, 1)
        self._m2 = self._m2 + m2 + delta**2 * self.count * share
        self.mean = self.mean + delta * share
        self.count = total


class ObservedCovariance(_Observed):
    """Means and covariances of vectors, each over the examples that have the values for it.

    Example:

    >>> fit = ObservedCovariance().update([[0.0, 0.0], [2.0, 2.0], [4.0, np.nan]])
    >>> fit.completed().mean.tolist(), float(fit.completed().covariance[0, 1])
    ([2.0, 1.0], 1.0)
    """

    def _empty(self) -> None:
        self.rows = 0
        # Near the mean of each column, NaN until it is seen; then of pairs (i, j), over the
        # examples that have both: their number, and sums of x_i and of x_i x_j, both less that.
        self._shift: Array = np.full((), np.nan)
        self._counts, self._sums, self._products = np.zeros(()), np.zeros(()), np.zeros(())

    def update(self, batch: ArrayLike) -> Self:
        """Adds a batch of vectors ``(batch, d)``; returns the accumulator itself."""
        batch = np.asarray(batch, "float64")
        seen = ~np.isnan(batch)
        count = seen.sum(axis=0)
        mean = np.where(seen, batch, 0.0).sum(axis=0) / np.maximum(count, 1)
        values, known = np.where(seen, batch - mean, 0.0), seen.astype("float64")
        sums = known.T @ known, values.T @ known, values.T @ values
        self._merge(len(batch), np.where(count > 0, mean, np.nan), *sums)
        return self

    def _state(self) -> tuple[Any, ...]:
        return np.int64(self.rows), self._shift, self._counts, self._sums, self._products

    def _merge(self, rows: int, shift: Array, counts: Array, sums: Array, products: Array) -> None:
        about = np.where(np.isnan(self._shift), shift, self._shift)
        moved = np.nan_to_num(shift - about)[:, None]  # 0 where nothing is to be moved
        mixed = moved * sums.T
        self._products = self._products + products + mixed + mixed.T + moved * moved.T * counts
        self._sums = self._sums + sums + moved * counts
        self._counts, self._shift = self._counts + counts, about
        self.rows += int(rows)

    @property
    def count(self) -> Array:
        """Number of examples in which each column was observed, float64 ``(d,)``."""
        return np.diag(self._counts)

    def completed(self) -> Covariance:
        """An accumulator of as many examples without gaps, with these means and covariances.

        Covariances over different examples need not be those of any vector: then the nearest ones
        with the same variances are taken.
        """
        counts = np.maximum(self._counts, 1.0)
        means = self._sums / counts  # of i over the examples with j
        covariance = _possible(self._products / counts - means * means.T)
        mean = np.nan_to_num(self._shift) + np.diag(means)
        return Covariance.of(self.rows, mean, covariance)


def _possible(covariance: Array) -> Array:
    """The covariance, with no negative eigenvalue of its correlations; variances stay."""
    variance = np.maximum(np.diag(covariance), 0.0)
    scale = np.sqrt(np.where(variance > 0.0, variance, 1.0))
    values, vectors = np.linalg.eigh(covariance / scale / scale[:, None])
    if values[0] >= 0.0:
        return covariance
    fixed = (vectors * np.maximum(values, 0.0)) @ vectors.T
    unit = np.sqrt(np.where(variance > 0.0, np.diag(fixed), 1.0)) / scale
    return np.where(variance * variance[:, None] > 0.0, fixed / unit / unit[:, None], 0.0)
