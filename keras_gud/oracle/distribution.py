"""What is known of a mixture of Gaussians without a denoiser: float64 NumPy, exact."""

import math

import numpy as np
from keras import ops

from keras_gud.diffusion import noised_gaussian
from keras_gud.diffusion.noising_state import NoisingState
from keras_gud.oracle import algebra, checks


class Distribution:
    """A mixture of Gaussians, its noised marginals, samples, densities and posteriors.

    States that these methods are given have one row. `Mixture` and `Gaussian` are the public
    classes.

    Attributes:
        data_shape: Shape of one sample; d is its number of components.
        weights: ``(k,)``.
        means: ``(k, *data_shape)``.
        covariances: ``(k, d, d)``.
        mean: Overall mean, `data_shape`.
        covariance: Overall covariance, ``(d, d)``.
    """

    def _set(self, weights, means, covariances):
        """Takes checked float64 arrays."""
        self.weights, self.means, self.covariances = weights, means, covariances
        self.data_shape = means.shape[1:]
        self._d = math.prod(self.data_shape)
        self._flat = means.reshape(-1, self._d)
        mean = weights @ self._flat
        rest = self._flat - mean
        self.mean = mean.reshape(self.data_shape)
        within = np.einsum("k,kij->ij", weights, covariances)
        self.covariance = within + np.einsum("k,ki,kj->ij", weights, rest, rest)

    def _like(self, weights, means, covariances):
        """A new oracle of this class; means come with their shape."""
        raise NotImplementedError("Mixture and Gaussian say how they are made.")

    def marginal(self, state: NoisingState) -> tuple[np.ndarray, np.ndarray]:
        """Mean (`data_shape`) and covariance ``(d, d)`` of z at a state."""
        mean, covariance = self._noised(state, self.mean.reshape(1, -1), self.covariance[None])
        return mean.reshape(self.data_shape), covariance[0]

    def log_prob(self, z, state: NoisingState | None = None) -> np.ndarray:
        """Log density in nats, ``(n,)``.

        Args:
            z: ``(n, *data_shape)``, noised to the state, or clean.
            state: The noising state; `None` for the clean components.

        Raises:
            ValueError: for clean components whose covariance is singular.
        """
        z = checks.check_rows("z", z, self.data_shape)
        return algebra.log_sum_exp(self._joint(z, state))

    def sample(self, n: int, state: NoisingState | None = None, seed: int = 0) -> np.ndarray:
        """Exact samples ``(n, *data_shape)`` of the components noised to a state, or clean."""
        rng = np.random.default_rng(seed)
        z0 = self._draw(n, rng)[1]
        if state is not None:
            alpha, sigma = self._amplitudes(state)
            z0 = alpha * z0 + sigma * rng.normal(size=z0.shape)
        return z0.reshape(n, *self.data_shape)

    def posterior(self, z, state: NoisingState):
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
        z = checks.check_shape("z", z, self.data_shape).ravel()
        alpha, sigma = self._amplitudes(state)
        weights, means, covariances = self._observe(np.diag(alpha), sigma**2, z)
        return self._like(weights, means.reshape(self.means.shape), covariances)

    def conditional(self, given, values):
        """The distribution of the other components given exact values of some, a new oracle.

        Args:
            given: Boolean mask of `data_shape`: which components are known. Not all.
            values: Their values in the order of the mask, ``(given.sum(),)``.

        Raises:
            ValueError: also where the known components have a singular covariance.

        Example:

        >>> from keras_gud import oracle
        >>> truth = oracle.Gaussian([0.0, 0.0], [[1.0, 0.8], [0.8, 1.0]])
        >>> rest = truth.conditional([True, False], [2.0])
        >>> round(float(rest.mean[0]), 4), round(float(rest.covariance[0, 0]), 4)
        (1.6, 0.36)
        """
        given = checks.check_mask("given", given, self.data_shape)
        if given.all():
            raise ValueError("Expected `given` to leave components. Received: all are given.")
        values = checks.check_shape("values", values, (int(given.sum()),))
        matrix = np.eye(self._d)[given]
        weights, means, covariances = self._observe(matrix, np.zeros(len(values)), values)
        return self._like(weights, means[:, ~given], covariances[:, ~given][:, :, ~given])

    def restricted(self, mask):
        """The marginal distribution of the components where `mask` is True, a new oracle.

        Args:
            mask: Boolean mask of `data_shape`, not all False.
        """
        mask = checks.check_mask("mask", mask, self.data_shape)
        if not mask.any():
            raise ValueError("Expected `mask` to keep a component. Received: none is kept.")
        covariances = self.covariances[:, mask][:, :, mask]
        return self._like(self.weights, self._flat[:, mask], covariances)

    def _amplitudes(self, state):
        """Alpha and sigma of every component, float64 ``(d,)``."""
        checks.check_one_row(state)
        return tuple(
            ops.convert_to_numpy(noised_gaussian.flatten(values, self.data_shape))[0].astype(
                "float64"
            )
            for values in (state.alpha, state.sigma)
        )

    def _noised(self, state, means, covariances):
        """Flat means ``(k, d)`` and covariances at a state."""
        alpha, sigma = self._amplitudes(state)
        return alpha * means, alpha[:, None] * covariances * alpha + np.diag(sigma**2)

    def _joint(self, z, state):
        """Log of weight times density, ``(k, n)``, of flat z."""
        means, covariances = self._flat, self.covariances
        if state is not None:
            means, covariances = self._noised(state, means, covariances)
        return np.log(self.weights)[:, None] + algebra.log_normal(z, means, covariances)

    def _draw(self, n, rng):
        """Labels of mixture components ``(n,)`` and flat clean samples ``(n, d)``."""
        labels = rng.choice(len(self.weights), size=n, p=self.weights)
        z0 = self._flat[labels]
        noise = rng.normal(size=z0.shape)
        for k, root in enumerate(algebra.root(self.covariances)):
            z0[labels == k] += noise[labels == k] @ root.T
        return labels, z0

    def _observe(self, matrix, noise, value):
        """Weights, flat means and covariances given ``value = matrix z0 + noise``."""
        means, covariances, evidence = algebra.observe(
            self._flat, self.covariances, matrix, noise, value
        )
        log_weights = np.log(self.weights) + evidence
        weights = np.exp(log_weights - algebra.log_sum_exp(log_weights))
        # A mixture component that is ruled out keeps its place, with the least positive weight.
        return np.maximum(weights, np.finfo("float64").tiny), means, covariances
