"""The exact denoiser of a Gaussian, a mixture of one.

``eps_hat = sigma Cov(z)^-1 (z - alpha m)``, ``Cov(z) = alpha C alpha + sigma^2``.
"""

import numpy as np
from keras import ops

from keras_gud.bases.basis import Basis
from keras_gud.core.types import ArrayLike, Tensor
from keras_gud.diffusion import noised_gaussian
from keras_gud.diffusion.noising_state import NoisingState
from keras_gud.oracle import checks, space
from keras_gud.oracle.mixture import Mixture
from keras_gud.priors.prior import Prior


class Gaussian(Mixture):
    """The exact denoiser of Gaussian components with any covariance.

    With clean components N(m, C), the noised ones are N(alpha m, alpha C alpha + sigma^2) and the
    posterior mean of the noise is ``sigma Cov(z)^-1 (z - alpha m)``.

    Args:
        mean: Mean of the clean components, array of `data_shape`.
        covariance: Their covariance, ``(d, d)`` with d the number of components.

    Raises:
        ValueError: if the covariance does not fit the mean, or is not symmetric and positive
            semi-definite, or a value is not finite.

    Example:

    >>> import numpy as np
    >>> from keras_gud import samplers, schedules
    >>> schedule = schedules.get("vp"); schedule.adapt(variance=np.ones(2))
    >>> truth = Gaussian(np.zeros(2), [[1.0, 0.9], [0.9, 1.0]])
    >>> z = samplers.EulerMaruyama(steps=200)(truth, schedule, n=2000)
    >>> bool(0.85 < np.corrcoef(z.T)[0, 1] < 0.95)
    True
    """

    def __init__(self, mean: ArrayLike, covariance: ArrayLike) -> None:
        mean = checks.check_finite("mean", mean)
        if not (mean.ndim and mean.size):
            raise ValueError(
                f"Expected `mean` of shape data_shape. Received: mean of shape {mean.shape}."
            )
        covariance = checks.check_covariance("covariance", covariance, (mean.size, mean.size))
        self._set(np.ones(1), mean[None], covariance[None])

    @classmethod
    def from_data_space(  # type: ignore[override]  # a Gaussian has no weights
        cls, mean: ArrayLike, covariance: ArrayLike, basis: Basis, prior: Prior | None = None
    ) -> "Gaussian":
        """The oracle of the components ``z0 = S^-1 (U phi - mean)`` of Gaussian data phi.

        Args:
            mean: Mean in data space, `data_shape`.
            covariance: Covariance in data space, ``(d, d)``.
            basis: A built `Basis`, U.
            prior: An adapted `Prior`, mean and S; `None` for the components U phi as they are.

        Raises:
            ValueError: for moments that do not have the shape of the basis, or a prior that is not
                adapted.

        Example:

        >>> from keras_gud import bases
        >>> basis = bases.get("haar", levels=1); basis.build((None, 2, 1))
        >>> truth = Gaussian.from_data_space(np.zeros((2, 1)), [[1, 0.5], [0.5, 1]], basis)
        >>> truth.covariance.round(4).tolist()
        [[1.5, 0.0], [0.0, 0.5]]
        """
        means, covariance = space.to_components(np.asarray(mean)[None], covariance, basis, prior)
        return cls(means[0], covariance)

    def _like(self, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> "Gaussian":
        return Gaussian(means[0], covariances[0])

    def __call__(self, z: Tensor, state: NoisingState) -> Tensor:
        """The posterior mean of eps; see `Mixture.__call__`."""
        mean, covariance = self._noised_tensors(state, self._overall)
        solution = noised_gaussian.solve(covariance, self._rows(z) - mean)
        return state.sigma * ops.reshape(solution, ops.shape(z))
