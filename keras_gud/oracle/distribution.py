"""Densities, samples and posteriors of a mixture of Gaussians and of its noised marginals.

With clean components ``sum_k w_k N(m_k, C_k)``, those at a noising state are distributed as
``sum_k w_k N(alpha m_k, alpha C_k alpha + sigma^2)``. Exact, in float64 NumPy.
"""

import math
from typing import TYPE_CHECKING

import numpy as np
from keras import ops

from keras_gud.core.types import ArrayLike, Shape
from keras_gud.diffusion import noised_gaussian
from keras_gud.diffusion.noising_state import NoisingState
from keras_gud.oracle import algebra, checks

if TYPE_CHECKING:
    from keras_gud.oracle.mixture import Mixture


class Distribution:
    """A mixture of Gaussians, its noised marginals, samples, densities and posteriors.

    The states that its methods take have one row. `Mixture` and `Gaussian` are the public classes.

    Attributes:
        data_shape: Shape of one sample; d is its number of components.
        weights: ``(k,)``.
        means: ``(k, *data_shape)``.
        covariances: ``(k, d, d)``.
        mean: Overall mean, `data_shape`.
        covariance: Overall covariance, ``(d, d)``.
    """

    def _set(self, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> None:
        """Takes checked float64 arrays."""
        self.weights, self.means, self.covariances = weights, means, covariances
        self.data_shape: Shape = means.shape[1:]
        self._d = math.prod(self.data_shape)
        self._flat = means.reshape(-1, self._d)
        mean = weights @ self._flat
        rest = self._flat - mean
        self.mean = mean.reshape(self.data_shape)
        within = np.einsum("k,kij->ij", weights, covariances)
        self.covariance = within + np.einsum("k,ki,kj->ij", weights, rest, rest)

    def _like(self, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> "Mixture":
        """A new oracle of this class; means come with their shape."""
        raise NotImplementedError("Mixture and Gaussian say how they are made.")

    def marginal(self, state: NoisingState) -> tuple[np.ndarray, np.ndarray]:
        """Mean (`data_shape`) and covariance ``(d, d)`` of z at a state."""
        mean, covariance = self._noised(state, self.mean.reshape(1, -1), self.covariance[None])
        return mean.reshape(self.data_shape), covariance[0]

    def log_prob(self, z: ArrayLike, state: NoisingState | None = None) -> np.ndarray:
        """Log density in nats, ``(n,)``.

        Args:
            z: ``(n, *data_shape)``, noised to the state, or clean.
            state: The noising state; `None` for the clean components.

        Raises:
            ValueError: for clean components whose covariance is singular.
        """
        flat = checks.check_samples("z", z, self.data_shape)
        return algebra.log_sum_exp(self._joint(flat, state))

    def sample(self, n: int, state: NoisingState | None = None, seed: int = 0) -> np.ndarray:
        """Exact samples of the components, noised to a state or clean.

        Args:
            n: Number of samples.
            state: The noising state; `None` for clean components.
            seed: Seed of NumPy's generator.

        Returns:
            float64 ``(n, *data_shape)``.
        """
        rng = np.random.default_rng(seed)
        z0 = self._draw(n, rng)[1]
        if state is not None:
            alpha, sigma = self._amplitudes(state)
            z0 = alpha * z0 + sigma * rng.normal(size=z0.shape)
        return z0.reshape(n, *self.data_shape)

    def posterior(self, z: ArrayLike, state: NoisingState) -> "Mixture":
        """The distribution of the clean components given one noised observation, a new oracle.

        Args:
            z: The observation, `data_shape`.
            state: Its noising state; gamma may differ from component to component, which makes
                any noisy measurement of the components such a state (DESIGN sec. 3.10).

        Example:

        >>> from keras_gud import NoisingState, oracle
        >>> truth = oracle.Gaussian([0.0], [[1.0]])
        >>> clean = truth.posterior([1.0], NoisingState(np.zeros((1, 1), "float32")))
        >>> round(float(clean.mean[0]), 4), round(float(clean.covariance[0, 0]), 4)
        (0.7071, 0.5)
        """
        observed = checks.check_shape("z", z, self.data_shape).ravel()
        alpha, sigma = self._amplitudes(state)
        weights, means, covariances = self._observe(np.diag(alpha), sigma**2, observed)
        return self._like(weights, means.reshape(self.means.shape), covariances)

    def conditional(self, given: ArrayLike, values: ArrayLike) -> "Mixture":
        """The distribution of the other components given exact values of some, a new oracle.

        Args:
            given: Boolean mask of `data_shape`, True for known components; not True everywhere.
            values: Their values in the order of the mask, ``(given.sum(),)``.

        Returns:
            An oracle of the other components, flattened to ``(d - given.sum(),)``.

        Raises:
            ValueError: for a mask or values of wrong shape, and where the known components have a
                singular covariance.

        Example:

        >>> from keras_gud import oracle
        >>> truth = oracle.Gaussian([0.0, 0.0], [[1.0, 0.8], [0.8, 1.0]])
        >>> rest = truth.conditional([True, False], [2.0])
        >>> round(float(rest.mean[0]), 4), round(float(rest.covariance[0, 0]), 4)
        (1.6, 0.36)
        """
        known = checks.check_mask("given", given, self.data_shape)
        if known.all():
            raise ValueError("Expected `given` to leave components. Received: all are given.")
        exact = checks.check_shape("values", values, (int(known.sum()),))
        matrix = np.eye(self._d)[known]
        weights, means, covariances = self._observe(matrix, np.zeros(len(exact)), exact)
        return self._like(weights, means[:, ~known], covariances[:, ~known][:, :, ~known])

    def restricted(self, mask: ArrayLike) -> "Mixture":
        """The marginal distribution of the components where `mask` is True, a new oracle.

        Args:
            mask: Boolean mask of `data_shape`, not False everywhere.

        Returns:
            An oracle of these components, flattened to ``(mask.sum(),)``.

        Raises:
            ValueError: for a mask of wrong shape or type, or False everywhere.

        Example:

        >>> from keras_gud import oracle
        >>> truth = oracle.Gaussian([0.0, 0.0], [[1.0, 0.8], [0.8, 2.0]])
        >>> truth.restricted([False, True]).covariance.tolist()
        [[2.0]]
        """
        kept = checks.check_mask("mask", mask, self.data_shape)
        if not kept.any():
            raise ValueError("Expected `mask` to keep a component. Received: none is kept.")
        covariances = self.covariances[:, kept][:, :, kept]
        return self._like(self.weights, self._flat[:, kept], covariances)

    def _amplitudes(self, state: NoisingState) -> tuple[np.ndarray, np.ndarray]:
        """Alpha and sigma of every component, float64 ``(d,)``."""
        checks.check_one_row(state)

        def flat(values):
            row = noised_gaussian.flatten(values, self.data_shape)
            return ops.convert_to_numpy(row)[0].astype("float64")

        return flat(state.alpha), flat(state.sigma)

    def _noised(
        self, state: NoisingState, means: np.ndarray, covariances: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Flat means ``(k, d)`` and covariances at a state."""
        alpha, sigma = self._amplitudes(state)
        return alpha * means, alpha[:, None] * covariances * alpha + np.diag(sigma**2)

    def _joint(self, z: np.ndarray, state: NoisingState | None) -> np.ndarray:
        """Log of weight times density, ``(k, n)``, of flat z."""
        means, covariances = self._flat, self.covariances
        if state is not None:
            means, covariances = self._noised(state, means, covariances)
        return np.log(self.weights)[:, None] + algebra.log_normal(z, means, covariances)

    def _draw(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Indices of mixture components ``(n,)`` and flat clean samples ``(n, d)``."""
        index = rng.choice(len(self.weights), size=n, p=self.weights)
        z0 = self._flat[index]
        noise = rng.normal(size=z0.shape)
        for k, root in enumerate(algebra.root(self.covariances)):
            z0[index == k] += noise[index == k] @ root.T
        return index, z0

    def _observe(
        self, matrix: np.ndarray, noise: np.ndarray, value: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights, flat means and covariances given ``value = matrix z0 + n``, n ~ N(0, noise)."""
        means, covariances, log_marginal = algebra.observe(
            self._flat, self.covariances, matrix, noise, value
        )
        log_weights = np.log(self.weights) + log_marginal
        weights = np.exp(log_weights - algebra.log_sum_exp(log_weights))
        # Weights must be positive: a mixture component that is ruled out gets the smallest one.
        return np.maximum(weights, np.finfo("float64").tiny), means, covariances
