"""The variational bound, term by term (DESIGN sec. 3.8; Kingma et al. 2021, arXiv:2107.00630).

    -log p(z0) <= prior + diffusion + reconstruction
    prior             KL(q(z(1) | z0) || N(0, 1))
                      = 1/2 sum_i (alpha_i^2 z0_i^2 + sigma_i^2 - 1 - log sigma_i^2)  at t = 1
    diffusion         1/2 int_0^1 sum_i dgamma_i/dt E(eps_i - eps_hat_i)^2 dt
    reconstruction    -E log p(z0 | z(0)) = 1/2 sum_i (log(2 pi e) + gamma_i(0))

For an exact denoiser the sum does not depend, in expectation, on the path between equal ends.
"""

import math
from typing import Any

from keras import ops

from keras_gud.core import counter_rng
from keras_gud.core.types import DenoiserFunction, Tensor
from keras_gud.diffusion.loss import diffusion_nats
from keras_gud.diffusion.noising_state import NoisingState
from keras_gud.samplers.contract import Schedule


def prior_kl(z0: Tensor, state: NoisingState, counted: Tensor | None = None) -> Tensor:
    """KL(q(z(1) | z0) || N(0, 1)) in nats, ``(batch,)``.

    ``1/2 sum_i (alpha^2 z0^2 + sigma^2 - 1 - log sigma^2)`` at t = 1.

    Args:
        z0: Clean components ``(batch, *data_shape)``.
        state: The state at t = 1.
        counted: 1 for the components that are summed over, else 0, ``(batch, *data_shape)``;
            default: all.
    """
    variance = ops.square(state.sigma)
    terms = ops.square(state.alpha * z0) + variance - 1.0 - ops.log(variance)
    return 0.5 * _sum(terms, counted)


def reconstruction(z0: Tensor, state: NoisingState, counted: Tensor | None = None) -> Tensor:
    """-E log p(z0 | z(0)) in nats, ``(batch,)``: ``1/2 sum_i (log(2 pi e) + gamma_i(0))``.

    p(z0 | z(0)) is the Gaussian N(z(0)/alpha, sigma^2/alpha^2): data are floats, or dequantised.

    Args:
        z0: Clean components ``(batch, *data_shape)``.
        state: The state at t = 0.
        counted: As in `prior_kl`.
    """
    terms = math.log(2.0 * math.pi * math.e) + state.gamma + ops.zeros_like(z0)
    return 0.5 * _sum(terms, counted)


def negative_elbo(
    denoiser: DenoiserFunction,
    schedule: Schedule,
    z0: Tensor,
    keys: Tensor,
    index: Tensor,
    draws: int,
    params: dict[str, Any],
    condition: dict[str, Tensor] | None = None,
    counted: Tensor | None = None,
) -> dict[str, Tensor]:
    """Upper bound of -log p(z0), term by term.

    The integral of the diffusion term is estimated at `draws` times, one in each of as many equal
    intervals.

    Args:
        denoiser: Callable ``(z, state, **condition) -> eps``.
        schedule: An adapted `ComponentSchedule`.
        z0: Clean components ``(batch, *data_shape)``.
        keys: int32 ``(batch, 2)``, keys of the noise (`counter_rng.sample_keys`).
        index: int32 ``(batch,)``, places the times in their intervals.
        draws: Number of times, and of network evaluations.
        params: The schedule's parameters.
        condition: What the denoiser is conditioned on beside the state, by name.
        counted: As in `prior_kl`; the others must be frozen on the path.

    Returns:
        Dict of float32 ``(batch,)`` in nats: ``"prior"``, ``"diffusion"``, ``"reconstruction"``;
        the bound is their sum.
    """
    offset = counter_rng.golden_sequence(index)
    shape = tuple(z0.shape[1:])

    def body(j, total):
        state = schedule((ops.cast(j, "float32") + offset) / draws, **params)
        eps = counter_rng.normal(keys, j, shape)
        eps_hat = denoiser(state.add_noise(z0, eps), state, **(condition or {}))
        return total + diffusion_nats(eps, eps_hat, state)

    total = ops.fori_loop(0, draws, body, ops.zeros_like(z0[(slice(None), *(0 for _ in shape))]))
    return {
        "prior": prior_kl(z0, schedule(1.0, **params), counted),
        "diffusion": total / draws,
        "reconstruction": reconstruction(z0, schedule(0.0, **params), counted),
    }


def _sum(terms: Tensor, counted: Tensor | None) -> Tensor:
    terms = terms if counted is None else counted * terms
    return ops.sum(terms, axis=tuple(range(1, len(terms.shape))))
