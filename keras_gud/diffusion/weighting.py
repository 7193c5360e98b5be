"""Weights lambda_i of the squared error of eps_i in the loss (paper eq. 11; DESIGN sec. 3.6).

    eps           lambda_i = 1, i.e. sigma_i^2 on the score
    v             lambda_i = 1/alpha_i^2 = 1 + exp(gamma_i)
    likelihood    lambda_i = dgamma_i/dt / 2
    min_snr       lambda_i = min(SNR_i, 5)/SNR_i

All functions work per component on tensors that broadcast against ``(batch, *data_shape)``.
"""

from collections.abc import Callable

from keras import ops

from keras_gud.core.types import Tensor
from keras_gud.diffusion.noising_state import NoisingState

# (state, Sigma) -> lambda.
Weighting = Callable[[NoisingState, Tensor], Tensor]


def unit_weight(state: NoisingState, variance: Tensor) -> Tensor:
    """lambda_i = sigma_i^2 on the score, i.e. 1 on eps (paper eq. 11)."""
    return ops.ones_like(state.gamma)


def likelihood_weight(state: NoisingState, variance: Tensor) -> Tensor:
    """``dgamma_i/dt / 2``: the loss is the diffusion term of the ELBO, in nats per component."""
    return 0.5 * state.dgamma_dt


def min_snr_weight(state: NoisingState, variance: Tensor) -> Tensor:
    """``min(SNR, 5)/SNR`` per component (Hang et al., 2023), with SNR = Sigma exp(-gamma)."""
    return ops.minimum(5.0 / state.snr(variance), 1.0)


def v_weight(state: NoisingState, variance: Tensor) -> Tensor:
    """``1/alpha_i^2 = 1 + exp(gamma_i)``: the squared error of v (Salimans and Ho, 2022).

    The weight 1 on eps counts an error of the clean value by exp(-gamma): what a component in high
    noise can be inferred to be, from others that are known, is then hardly learned.
    """
    return 1.0 / state.alpha**2


WEIGHTINGS: dict[str, Weighting] = {
    "eps": unit_weight,
    "v": v_weight,
    "likelihood": likelihood_weight,
    "min_snr": min_snr_weight,
}
