"""What the network's output means, and how errors are weighted (DESIGN secs. 3.6, 3.7).

All functions work per component on tensors that broadcast against ``(batch, *data_shape)``.
"""

import math

from keras import ops

from keras_gud.process import NoisingState
from keras_gud.registry import require_one_of

# -- from the network's output to eps -----------------------------------------------------------


def eps_from_eps(output, z, state: NoisingState, variance):
    """The output is eps itself (Ho et al., 2020; the paper, sec. 4.5)."""
    return output


def eps_from_residual(output, z, state: NoisingState, variance):
    """The output is what is left of eps after ``sigma z``: right at the noise end by itself."""
    return state.sigma * z + output


def eps_from_v(output, z, state: NoisingState, variance):
    """The output is the velocity ``v = alpha eps - sigma chi`` (Salimans and Ho, 2022).

    ``eps = sigma z + alpha v`` per component, since ``z = alpha chi + sigma eps``.
    """
    return state.sigma * z + state.alpha * output


def eps_from_x0(output, z, state: NoisingState, variance):
    """The output is the clean component chi, ``eps = (z - alpha chi)/sigma``."""
    return (z - state.alpha * output) / state.sigma


def eps_from_linear(output, z, state: NoisingState, variance):
    """The best component-wise linear prediction, plus a correction as it is."""
    return linear_eps(z, state, variance) + output


def eps_from_wiener(output, z, state: NoisingState, variance):
    """The best component-wise linear prediction plus a correction of unit variance.

    ``eps_i = sigma_i z_i/V_i + sqrt(alpha_i^2 Sigma_i/V_i) F_i``, ``V = alpha^2 Sigma + sigma^2``:
    with F = 0 this is the best component-wise Gaussian model of the data in the basis.
    """
    gain = ops.sqrt(state.alpha**2 * variance / state.marginal_variance(variance))
    return linear_eps(z, state, variance) + gain * output


def eps_from_edm(output, z, state: NoisingState, variance):
    """As `wiener`, with one variance for all components: their mean (Karras et al., 2022).

    It is the preconditioning of EDM, written for eps and for a gamma per component; with data of
    variance 1 it is `v`.
    """
    return eps_from_wiener(output, z, state, ops.mean(variance))


def linear_eps(z, state: NoisingState, variance):
    """The best linear prediction of eps_i from z_i alone, ``sigma_i z_i/V_i``.

    Args:
        z: Noised components.
        state: Their noising state.
        variance: Sigma_i, the variance of the clean component.
    """
    return state.sigma * z / state.marginal_variance(variance)


PREDICTIONS = {
    "eps": eps_from_eps,
    "residual": eps_from_residual,
    "v": eps_from_v,
    "edm": eps_from_edm,
    "x0": eps_from_x0,
    "linear": eps_from_linear,
    "wiener": eps_from_wiener,
}

# -- weights of the squared error of eps --------------------------------------------------------


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


def choose(kind: str, table: dict, name: str):
    """Looks a function up by name, with an error that names the nearest one."""
    require_one_of(kind, name, table)
    return table[name]


# -- the loss -----------------------------------------------------------------------------------


def weighted_error(eps, eps_hat, state: NoisingState, weight):
    """Denoising score matching, component by component (paper eq. 11).

    ``1/d sum_i lambda_i |eps_i - eps_hat_i|^2`` over the components that are being noised at this
    time; frozen ones (dgamma/dt = 0) carry no loss.

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


def diffusion_nats(eps, eps_hat, state: NoisingState):
    """Integrand of the ELBO's diffusion term, ``1/2 sum_i dgamma_i/dt |eps_i - eps_hat_i|^2``.

    Returns:
        float32 ``(batch,)`` in nats.
    """
    size = math.prod(eps.shape[1:])
    return size * weighted_error(eps, eps_hat, state, likelihood_weight(state, None))
