"""The exact denoiser of a mixture of Gaussians.

``eps_hat = sigma sum_k r_k(z) Cov_k^-1 (z - alpha m_k)``, ``Cov_k = alpha C_k alpha + sigma^2``.
"""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud.bases.basis import Basis
from keras_gud.core.types import ArrayLike, Tensor
from keras_gud.diffusion import noised_gaussian
from keras_gud.diffusion.noising_state import NoisingState, score_from_eps
from keras_gud.oracle import bound, checks, space
from keras_gud.oracle.distribution import Distribution
from keras_gud.priors.prior import Prior


class Mixture(Distribution):
    """The exact denoiser of components that are distributed as a mixture of Gaussians.

    With clean components ``sum_k w_k N(m_k, C_k)`` the noised ones are the mixture of
    N(alpha m_k, alpha C_k alpha + sigma^2), and the posterior mean of the noise is ``-sigma
    score``: ``sigma sum_k r_k(z) Cov_k^-1 (z - alpha m_k)`` with r_k the probability of k given z.

    Args:
        weights: Positive, ``(k,)``; they sum to 1.
        means: Means of the clean components, ``(k, *data_shape)``.
        covariances: Their covariances, ``(k, d, d)`` with d the number of components, or one
            ``(d, d)`` for all.

    Raises:
        ValueError: if shapes do not fit, or a covariance is not symmetric and positive
            semi-definite, or a value is not finite.

    Example:

    >>> import numpy as np
    >>> from keras_gud import oracle, samplers, schedules
    >>> truth = oracle.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[0.01]])
    >>> schedule = schedules.get("vp"); schedule.adapt(variance=np.diag(truth.covariance))
    >>> z = samplers.EulerMaruyama(steps=200)(truth, schedule, n=1000)
    >>> bool(abs(np.abs(z).mean() - 1.0) < 0.05)
    True
    """

    variables: tuple[keras.Variable, ...] = ()

    def __init__(self, weights: ArrayLike, means: ArrayLike, covariances: ArrayLike) -> None:
        weights = checks.check_weights(weights)
        means = checks.check_finite("means", means)
        if means.ndim < 2 or len(means) != len(weights) or not means.size:
            raise ValueError(
                f"Expected `means` of shape (k, *data_shape) for k={len(weights)} weights. "
                f"Received: means of shape {means.shape}."
            )
        k, d = len(means), math.prod(means.shape[1:])
        covariances = checks.check_covariance("covariances", covariances, (k, d, d), (d, d))
        self._set(weights, means, np.broadcast_to(covariances, (k, d, d)))

    @classmethod
    def from_data_space(
        cls,
        weights: ArrayLike,
        means: ArrayLike,
        covariances: ArrayLike,
        basis: Basis,
        prior: Prior | None = None,
    ) -> "Mixture":
        """The oracle of the components ``z0 = S^-1 (U phi - mean)`` of a mixture of data phi.

        Args:
            weights: ``(k,)``.
            means: Means in data space, ``(k, *data_shape)``.
            covariances: Covariances in data space, ``(k, d, d)`` or ``(d, d)``.
            basis: A built `Basis`, U.
            prior: An adapted `Prior`, mean and S; `None` for the components U phi as they are.

        Raises:
            ValueError: for moments that do not have the shape of the basis, or a prior that is not
                adapted.
        """
        return cls(weights, *space.to_components(means, covariances, basis, prior))

    def _like(self, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> "Mixture":
        return Mixture(weights, means, covariances)

    def _set(self, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> None:
        super()._set(weights, means, covariances)
        self._each = _in_float32(self._flat, self.covariances)
        self._overall = _in_float32(self.mean.ravel(), self.covariance)

    def __call__(self, z: Tensor, state: NoisingState) -> Tensor:
        """The posterior mean of eps, what an exact denoiser predicts.

        Args:
            z: Noised components, float32 ``(batch, *data_shape)``.
            state: Their noising state, one for the whole batch or one for each.

        Returns:
            float32, the shape of z.
        """
        moments = self._noised_tensors(state, self._each)
        scores, densities = noised_gaussian.score_and_log_density(self._rows(z), *moments)
        joint = ops.cast(np.log(self.weights)[:, None], "float32") + densities
        share = ops.exp(joint - ops.logsumexp(joint, axis=0, keepdims=True))
        score = ops.sum(ops.expand_dims(share, -1) * scores, axis=0)
        return -state.sigma * ops.reshape(score, ops.shape(z))

    def score(self, z: Tensor, state: NoisingState) -> Tensor:
        """The exact score of the noised components, ``-eps/sigma``, the shape of z."""
        return score_from_eps(self(z, state), state)

    def start(self, noise: Tensor, state: NoisingState) -> Tensor:
        """Turns noise N(0, 1) into samples of the Gaussian with the exact moments of z at a state.

        Exact samples of z where the model is Gaussian.

        Args:
            noise: float32 ``(batch, *data_shape)``.
            state: The noising state, one for the whole batch or one for each.

        Returns:
            float32, the shape of `noise`.
        """
        z = noised_gaussian.draw(self._rows(noise), *self._noised_tensors(state, self._overall))
        return ops.reshape(z, ops.shape(noise))

    def log_start(self, z: Tensor, state: NoisingState, given: ArrayLike | None = None) -> Tensor:
        """Log density of the samples that `start` draws, in nats, ``(batch,)``.

        Args:
            z: ``(batch, *data_shape)``.
            state: The noising state, one for the whole batch or one for each.
            given: Boolean NumPy mask of `data_shape`. With it, the log density of the other
                components conditional on those where it is True.
        """
        if given is not None:
            given = checks.check_mask("given", given, self.data_shape)
        mean, covariance = self._noised_tensors(state, self._overall)
        return noised_gaussian.conditional_log_density(self._rows(z), mean, covariance, given)

    def negative_elbo(
        self,
        schedule: Any,  # a `ComponentSchedule`, whose folder is not below this one
        n: int = 4096,
        seed: int = 0,
        **params: float,
    ) -> dict[str, float]:
        """The expected bound of `likelihood.negative_elbo` for this exact model, in nats.

        The expectation is over the model's own components and over the noise; terms have the names
        and the meaning that they have there. The diffusion term is I(z0; z(0)) - I(z0; z(1)),
        the same for all paths between equal ends; see `oracle.bound`.

        Args:
            schedule: An adapted `ComponentSchedule`.
            n: Number of samples, >= 2, for the part that has no closed form where there is more
                than one Gaussian: the information of z about which of them it comes from.
            seed: Their seed.
            **params: The schedule's parameters, numbers.

        Returns:
            Dict of floats ``"prior"``, ``"diffusion"``, ``"reconstruction"``, whose sum is the
            bound; with more than one Gaussian also the diffusion term's ``"standard_error"``.

        Raises:
            ValueError: for n < 2, or an unknown parameter of the schedule.

        Example:

        >>> from keras_gud import oracle, schedules
        >>> schedule = schedules.get("vp"); schedule.adapt(variance=np.ones(2))
        >>> truth = oracle.Gaussian(np.zeros(2), np.eye(2))
        >>> round(sum(truth.negative_elbo(schedule).values()), 2)      # the entropy, log(2 pi e)
        2.84
        """
        resolved = schedule.resolve(params, others=("n", "seed"))
        first, last = schedule(0.0, **resolved), schedule(1.0, **resolved)
        return bound.negative_elbo(self, first, last, n, seed)

    def _rows(self, z: Tensor) -> Tensor:
        return ops.reshape(ops.cast(z, "float32"), (-1, self._d))

    def _noised_tensors(self, state: NoisingState, clean: tuple) -> tuple[Tensor, Tensor]:
        """Moments of z at a state, ``(..., b, d)`` and ``(..., b, d, d)``."""
        mean, covariance, least = clean
        return noised_gaussian.moments(state, mean, covariance, self.data_shape, least)


def _in_float32(
    mean: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Mean, covariance and floor of a Gaussian; no floor, the usual case, is `None`."""
    floor = noised_gaussian.floor(covariance)
    least = floor.astype("float32") if floor.any() else None
    return mean.astype("float32"), covariance.astype("float32"), least
