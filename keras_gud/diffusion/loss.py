"""Denoising score matching, component by component.

    loss         1/d sum_i lambda_i |eps_i - eps_hat_i|^2           (paper eq. 11)
    diffusion    1/2 sum_i dgamma_i/dt |eps_i - eps_hat_i|^2        the integrand of the ELBO

Both sums are over the components that are being noised at this time, dgamma_i/dt > 0: the others
are frozen and carry no loss. The second is d times the first with the weights `likelihood`.
"""

import math

from keras import ops

from keras_gud.core.types import Tensor
from keras_gud.diffusion.noising_state import NoisingState
from keras_gud.diffusion.weighting import likelihood_weight


def weighted_error(eps: Tensor, eps_hat: Tensor, state: NoisingState, weight: Tensor) -> Tensor:
    """The loss of every example, ``1/d sum_i lambda_i |eps_i - eps_hat_i|^2`` (paper eq. 11).

    Args:
        eps: The noise, ``(batch, *data_shape)``.
        eps_hat: Its estimate, same shape.
        state: The noising state.
        weight: lambda_i on eps, broadcastable.

    Returns:
        float32 ``(batch,)``.
    """
    active = ops.cast(state.dgamma_dt > 0.0, "float32")
    error = active * weight * ops.square(eps - eps_hat)
    return ops.mean(error, axis=tuple(range(1, len(eps.shape))))


def diffusion_nats(eps: Tensor, eps_hat: Tensor, state: NoisingState) -> Tensor:
    """Integrand of the ELBO's diffusion term, ``1/2 sum_i dgamma_i/dt |eps_i - eps_hat_i|^2``.

    Args:
        eps: The noise, ``(batch, *data_shape)``.
        eps_hat: Its estimate, same shape.
        state: The noising state.

    Returns:
        float32 ``(batch,)`` in nats.
    """
    size = math.prod(eps.shape[1:])
    return size * weighted_error(eps, eps_hat, state, likelihood_weight(state, None))
