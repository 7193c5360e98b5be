"""The Gaussian with the moments of noised data, which sampling starts from (DESIGN sec. 3.8).

    full covariance    z(1) ~ N(0, alpha C alpha + sigma^2)       C = Cov z0
    variances only     z_i(1) ~ N(0, alpha_i^2 Sigma_i + sigma_i^2)

at the state of t = 1. The paper's N(0, 1), ``start="prior"``, is the same only in the limit
alpha(1) = 0, or where z0 has the covariance 1.
"""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud.core.fitted_layer import FittedLayer
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import Array, ArrayLike, Shape, Tensor
from keras_gud.diffusion import noised_gaussian
from keras_gud.diffusion.noising_state import NoisingState

# Cholesky's factor is O(d^3) in time and O(d^2) in memory, as the fit of the pca basis.
MAX_COMPONENTS = 4096


@keras.saving.register_keras_serializable(package=PACKAGE)
class NoisedMoments(FittedLayer):
    """Draws from, and densities of, the Gaussian of noised components at a state.

    Args:
        full: Whether it has the whole covariance of the components or their variances only. Where
            the basis diagonalises the covariance (pca; fourier for data that look the same
            everywhere) the variances are all there is.

    Raises:
        ValueError: when built for more than 4096 components with `full`.
    """

    def __init__(self, full: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.full = bool(full)
        self.data_shape: Shape | None = None

    def build(self, data_shape: Shape) -> None:
        """Creates the covariance, if there is one."""
        self.check_size(data_shape)
        self.data_shape = tuple(data_shape)
        size = math.prod(self.data_shape)
        if self.full:
            self.covariance = self.add_statistic("covariance", (size, size), "identity")

    def check_size(self, data_shape: Shape) -> None:
        """Raises a `ValueError` for more components than a covariance can be kept of."""
        size = math.prod(data_shape)
        if self.full and size > MAX_COMPONENTS:
            raise ValueError(
                f"Expected at most {MAX_COMPONENTS} components with start_covariance=True. "
                f"Received: data of shape {tuple(data_shape)} with {size} components."
            )

    def adapt(self, covariance: Array | None, scale: ArrayLike) -> None:
        """Takes the covariance of the components before whitening.

        Args:
            covariance: float64 ``(d, d)``; `None` where there are variances only.
            scale: S, the prior's scale, of the data's shape.
        """
        if not self.built:
            self.build(np.shape(scale))
            self.built = True
        if covariance is None:
            return
        flat = np.ravel(scale).astype("float64")
        self.covariance.assign(covariance / flat[:, None] / flat)

    def start(self, noise: Tensor, state: NoisingState, variance: Tensor) -> Tensor:
        """Noise N(0, 1) with the moments that noised data have at a state.

        Args:
            noise: ``(batch, *data_shape)``.
            state: The state.
            variance: Sigma_i, the variances of the clean components.

        Returns:
            Tensor of the noise's shape.
        """
        if not self.full:
            return noise * ops.sqrt(state.marginal_variance(variance))
        mean, covariance = self._moments(state)
        z = noised_gaussian.draw(ops.reshape(noise, (-1, mean.shape[-1])), mean, covariance)
        return ops.reshape(z, ops.shape(noise))

    def log_density(
        self,
        z: Tensor,
        state: NoisingState,
        variance: Tensor,
        given: Array | None = None,
    ) -> Tensor:
        """Log density of what `start` makes, ``(batch,)``, in nats.

        Args:
            z: ``(batch, *data_shape)``.
            state: The state.
            variance: Sigma_i.
            given: Boolean mask of the data's shape: the density of the others, conditional on
                these.
        """
        if self.full:
            mean, covariance = self._moments(state)
            flat = ops.reshape(z, (-1, mean.shape[-1]))
            return noised_gaussian.conditional_log_density(flat, mean, covariance, given)
        marginal = state.marginal_variance(variance)
        return noised_gaussian.diagonal_log_density(z, marginal, given)

    def _moments(self, state: NoisingState) -> tuple[Tensor, Tensor]:
        zeros = ops.zeros((self.covariance.shape[0],))
        return noised_gaussian.moments(state, zeros, self.covariance, self.data_shape or ())

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"full": self.full}

    def get_build_config(self) -> dict[str, Any] | None:
        """The shape, so that saved moments are built again on loading."""
        return None if self.data_shape is None else {"data_shape": list(self.data_shape)}
