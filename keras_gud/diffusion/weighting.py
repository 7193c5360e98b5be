"""Weights lambda_i of the squared error of eps_i (DESIGN sec. 3.6)."""

from keras import ops

from keras_gud.diffusion.noising_state import NoisingState


def unit_weight(state: NoisingState, variance):
    """lambda_i = sigma_i^2 on the score, i.e. 1 on eps (paper eq. 11)."""
    return ops.ones_like(state.gamma)


def likelihood_weight(state: NoisingState, variance):
    """``dgamma_i/dt / 2``: the loss is the diffusion term of the ELBO, in nats per component."""
    return 0.5 * state.dgamma_dt


def min_snr_weight(state: NoisingState, variance):
    """``min(SNR, 5)/SNR`` per component (Hang et al., 2023, with this framework's true SNR)."""
    return ops.minimum(5.0 / state.snr(variance), 1.0)


def v_weight(state: NoisingState, variance):
    """``1/alpha_i^2 = 1 + exp(gamma_i)``: the squared error of v (Salimans and Ho, 2022).

    The weight 1 on eps counts an error of the clean value by exp(-gamma): what known components
    tell of one in high noise is then hardly learned.
    """
    return 1.0 / state.alpha**2


WEIGHTINGS = {
    "eps": unit_weight,
    "v": v_weight,
    "likelihood": likelihood_weight,
    "min_snr": min_snr_weight,
}
