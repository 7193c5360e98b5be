"""What the network's output means, and how errors are weighted (DESIGN secs. 3.6, 3.7).

All functions work per component on tensors that broadcast against ``(batch, *data_shape)``.
"""

from keras import ops

from keras_gud.diffusion.noising_state import NoisingState

# -- from the network's output to eps -----------------------------------------------------------


def eps_from_eps(output, z, state: NoisingState, variance):
    """The output is eps itself (Ho et al., 2020; the paper, sec. 4.5)."""
    return output


def eps_from_residual(output, z, state: NoisingState, variance):
    """The output is what is left of eps after ``sigma z``: right at the noise end by itself."""
    return state.sigma * z + output


def eps_from_v(output, z, state: NoisingState, variance):
    """The output is the velocity ``v = alpha eps - sigma z0`` (Salimans and Ho, 2022).

    ``eps = sigma z + alpha v`` per component, since ``z = alpha z0 + sigma eps``.
    """
    return state.sigma * z + state.alpha * output


def eps_from_z0(output, z, state: NoisingState, variance):
    """The output is the clean component z0, ``eps = (z - alpha z0)/sigma``."""
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
    "x0": eps_from_z0,
    "linear": eps_from_linear,
    "wiener": eps_from_wiener,
}

# -- weights of the squared error of eps --------------------------------------------------------


# -- the loss -----------------------------------------------------------------------------------
