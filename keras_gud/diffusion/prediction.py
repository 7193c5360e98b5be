"""What the network's output F means: from F to the estimate of eps (DESIGN sec. 3.7).

    eps         eps_hat = F
    residual    eps_hat = sigma z + F
    v           eps_hat = sigma z + alpha F                 F estimates v = alpha eps - sigma z0
    x0          eps_hat = (z - alpha F)/sigma               F estimates z0
    linear      eps_hat = sigma z/V + F                     V = alpha^2 Sigma + sigma^2
    wiener      eps_hat = sigma z/V + sqrt(alpha^2 Sigma/V) F
    edm         as wiener, with the mean of Sigma over the components

``sigma z/V`` is the best linear estimate of eps_i from z_i alone. All functions work per component
on tensors that broadcast against ``(batch, *data_shape)``.
"""

from collections.abc import Callable

from keras import ops

from keras_gud.core.types import Tensor
from keras_gud.diffusion.noising_state import NoisingState

# (output, z, state, Sigma) -> eps_hat.
Prediction = Callable[[Tensor, Tensor, NoisingState, Tensor], Tensor]


def eps_from_eps(output: Tensor, z: Tensor, state: NoisingState, variance: Tensor) -> Tensor:
    """The output is eps itself (Ho et al., 2020; the paper, sec. 4.5)."""
    return output


def eps_from_residual(output: Tensor, z: Tensor, state: NoisingState, variance: Tensor) -> Tensor:
    """The output is added to ``sigma z``, which is the answer where everything is noise."""
    return state.sigma * z + output


def eps_from_v(output: Tensor, z: Tensor, state: NoisingState, variance: Tensor) -> Tensor:
    """The output is the velocity ``v = alpha eps - sigma z0`` (Salimans and Ho, 2022).

    ``eps = sigma z + alpha v`` per component, since ``z = alpha z0 + sigma eps``.
    """
    return state.sigma * z + state.alpha * output


def eps_from_z0(output: Tensor, z: Tensor, state: NoisingState, variance: Tensor) -> Tensor:
    """The output is the clean component z0, ``eps = (z - alpha z0)/sigma``."""
    return (z - state.alpha * output) / state.sigma


def eps_from_linear(output: Tensor, z: Tensor, state: NoisingState, variance: Tensor) -> Tensor:
    """The output is added to the best component-wise linear prediction."""
    return linear_eps(z, state, variance) + output


def eps_from_wiener(output: Tensor, z: Tensor, state: NoisingState, variance: Tensor) -> Tensor:
    """As `linear`, with an output of unit variance: the scale of what linear prediction leaves.

    ``eps_i = sigma_i z_i/V_i + sqrt(alpha_i^2 Sigma_i/V_i) F_i``, ``V = alpha^2 Sigma + sigma^2``:
    with F = 0 this is the best component-wise Gaussian model of the data in the basis.
    """
    gain = ops.sqrt(state.alpha**2 * variance / state.marginal_variance(variance))
    return linear_eps(z, state, variance) + gain * output


def eps_from_edm(output: Tensor, z: Tensor, state: NoisingState, variance: Tensor) -> Tensor:
    """As `wiener`, with one variance for all components: their mean (Karras et al., 2022).

    This is EDM's preconditioning for eps and with a gamma per component. For variance 1 it is `v`.
    """
    return eps_from_wiener(output, z, state, ops.mean(variance))


def linear_eps(z: Tensor, state: NoisingState, variance: Tensor) -> Tensor:
    """The best linear prediction of eps_i from z_i alone, ``sigma_i z_i/V_i``.

    Args:
        z: Noised components ``(batch, *data_shape)``.
        state: Their noising state.
        variance: Sigma_i, the variance of the clean component.

    Returns:
        Tensor of z's shape.
    """
    return state.sigma * z / state.marginal_variance(variance)


PREDICTIONS: dict[str, Prediction] = {
    "eps": eps_from_eps,
    "residual": eps_from_residual,
    "v": eps_from_v,
    "edm": eps_from_edm,
    "x0": eps_from_z0,
    "linear": eps_from_linear,
    "wiener": eps_from_wiener,
}
