"""The probability flow together with its divergence: the field that a log-likelihood integrates.

flow          dz/dt = -beta/2 (z - eps_hat/sigma)                            (paper eq. 25)
divergence    -1/2 sum_i beta_i (1 - J_ii/sigma_i),  J = d eps_hat/dz
estimate      J_ii by u_i (J u)_i, u random signs                            (Hutchinson)
"""

import math
from collections.abc import Callable
from typing import Any

from keras import ops

from keras_gud.core import counter_rng
from keras_gud.core.types import Array, DenoiserFunction, Shape, Tensor
from keras_gud.diffusion.noising_state import NoisingState, probability_flow
from keras_gud.samplers.contract import StateAt
from keras_gud.samplers.runge_kutta import Flow
from keras_gud.samplers.tableaus import Unknowns


class FlowWithDivergence(Flow):
    """``(t, (z, log)) -> (dz/dt, div(dz/dt)/d)``: `log` integrates the divergence.

    It counts nats per dimension, so that the solver's tolerance means the same in all dimensions.

    With ``dz/dt = -beta/2 (z - eps/sigma)`` (paper eq. 25) the divergence is
    ``-1/2 sum_i beta_i (1 - J_ii/sigma_i)``, J the Jacobian of eps. Its diagonal is found exactly,
    by one Jacobian-vector product for every component, or estimated by Hutchinson's
    ``u_i (J u)_i`` with a random vector u of signs, by one product (FFJORD, Grathwohl et al. 2019,
    arXiv:1810.01367).

    Args:
        denoiser: Callable ``(z, state) -> eps``.
        state_at: Callable from a time to the `NoisingState` at that time.
        probes: Random signs ``(n, batch, *data_shape)``, the same throughout a solve, for n
            estimates in `log` ``(batch, n)``. `None`: the exact trace, `log` has one column.
    """

    def __init__(
        self, denoiser: DenoiserFunction, state_at: StateAt, probes: Tensor | None
    ) -> None:
        super().__init__(denoiser, state_at)
        self.probes = probes

    def __call__(self, t: Tensor, y: Unknowns) -> Unknowns:
        """The velocity of z and the divergence of the flow over d.

        Args:
            t: Time, a scalar tensor.
            y: z ``(batch, *data_shape)`` and `log` ``(batch, n)``.
        """
        z, state = y[0], self.state_at(t)

        def eps_at(z):
            return self.denoiser(z, state)

        if self.probes is None:
            eps, diagonal = eps_at(z), _diagonal(eps_at, z)
            return probability_flow(z, eps, state), _divergence(diagonal, state)[:, None]
        count = self.probes.shape[0]
        if count == 1:
            eps, change = ops.jvp(eps_at, (z,), (self.probes[0],))
            trace = _divergence(self.probes[0] * change, state)[:, None]
            return probability_flow(z, eps, state), trace

        def body(k, found):
            eps, change = ops.jvp(eps_at, (z,), (self.probes[k],))
            trace = _divergence(self.probes[k] * change, state)[:, None]
            return eps, found[1] + trace * ops.cast(ops.arange(count) == k, z.dtype)

        eps, traces = ops.fori_loop(0, count, body, (ops.zeros_like(z), ops.zeros_like(y[1])))
        return probability_flow(z, eps, state), traces


def _divergence(diagonal: Tensor, state: NoisingState) -> Tensor:
    """Divergence of the flow over d, ``(batch,)``, from the diagonal of the Jacobian of eps."""
    terms = -0.5 * state.beta * (1.0 - diagonal / state.sigma)
    return ops.mean(terms, axis=tuple(range(1, len(diagonal.shape))))


def _diagonal(function: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """Diagonal of the Jacobian of ``z -> function(z)``, by one product for each component."""
    size = math.prod(z.shape[1:])

    def body(i, found):
        unit = ops.reshape(ops.cast(ops.arange(size) == i, z.dtype), (1, *z.shape[1:]))
        unit = ops.zeros_like(z) + unit
        return found + unit * ops.jvp(function, (z,), (unit,))[1]

    return ops.fori_loop(0, size, body, ops.zeros_like(z))


def signs(keys: Tensor, count: int, shape: Shape) -> Tensor | None:
    """Random signs ``(count, batch, *shape)``, a function of the keys alone; `None` for none."""
    if not count:
        return None
    return ops.stack([ops.sign(counter_rng.uniform(keys, k, shape) - 0.5) for k in range(count)])


class Given:
    """A path on which some components stay at the state of t = 0.

    Args:
        path: Callable from a time to a `NoisingState`, with an attribute `kinks`.
        mask: Boolean array of the data's shape, True where a component stays.
    """

    def __init__(self, path: Any, mask: Array) -> None:
        self.path, self.mask, self.kinks = path, ops.convert_to_tensor(mask[None]), path.kinks

    def __call__(self, t: Tensor) -> NoisingState:
        """The state at time t."""
        moving, fixed = self.path(t), self.path(0.0)
        return NoisingState(
            ops.where(self.mask, fixed.gamma, moving.gamma),
            ops.where(self.mask, 0.0, moving.dgamma_dt),
            moving.time,
        )
