"""Exponential multistep solvers, DPM-Solver++ and UniPC, component by component.

Lu et al. 2022, arXiv:2211.01095 (DPM-Solver++), Zhao et al. 2023, arXiv:2302.04867 (UniPC); here
every component has its own log-SNR, and with it its own step size (DESIGN sec. 3.8)::

    z(s) = sigma(s)/sigma(t) z(t) + alpha(s) int_0^h e^(-(h - u)) D(u) du,
    h    = lambda(s) - lambda(t) >= 0

is exact for the probability flow (paper eq. 25), with ``lambda = -gamma/2`` and D the denoiser's
estimate of the clean components; D is replaced by the polynomial in lambda through its last values.
"""

import functools
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import DenoiserFunction, Tensor
from keras_gud.diffusion.noising_state import NoisingState, z0_from_eps
from keras_gud.samplers.contract import Clock, Draw, StateAt
from keras_gud.samplers.multistep import polynomial_integral, usable_orders
from keras_gud.samplers.sampler import Sampler, check_count, registry


@registry.register("dpm++")
@keras.saving.register_keras_serializable(package=PACKAGE)
class DPMSolver(Sampler):
    """DPM-Solver++ and UniPC, component by component.

    Order 1 is DDIM (Song et al. 2021, arXiv:2010.02502), orders 2 and 3 are DPM-Solver++(2M) and
    (3M). The corrector (UniC) repeats the last step with the new estimate of the clean components
    as one more node of the polynomial, without a further evaluation. The stochastic form solves the
    reverse SDE (paper eq. 9) instead: order 1 is ancestral sampling.

    A component whose gamma does not change in a step stays bit-exact, and one that has just begun
    to move uses the order that its distinct nodes allow. At order 3 such steps are always
    corrected, since their error would cost an order.

    Args:
        steps: Number of steps, >= 1; one network evaluation each.
        order: Number of estimates that the polynomial goes through: 1, 2 or 3; at most 2 where
            stochastic.
        corrector: Whether to correct each step with the next estimate; not where stochastic.
        stochastic: Whether to solve the SDE.
        spacing: Where the steps lie, see `Sampler`.

    Raises:
        ValueError: for another order, or a corrector of the stochastic form.

    Example:

    >>> import numpy as np
    >>> from keras_gud import oracle, schedules
    >>> schedule = schedules.get("vp"); schedule.adapt(variance=np.ones(2))
    >>> truth = oracle.Gaussian(np.zeros(2), [[1.0, 0.9], [0.9, 1.0]])
    >>> z = DPMSolver(steps=20, order=3)(truth, schedule, n=2000)
    >>> bool(abs(np.corrcoef(z.T)[0, 1] - 0.9) < 0.05)
    True
    """

    def __init__(
        self,
        steps: int = 50,
        order: int = 2,
        corrector: bool = False,
        stochastic: bool = False,
        spacing: str = "uniform",
    ) -> None:
        super().__init__(steps, spacing)
        self.order = check_count("order", order)
        self.corrector, self.stochastic = bool(corrector), bool(stochastic)
        most = 2 if stochastic else 3
        if self.order > most:
            raise ValueError(
                f"Expected `order` to be at most {most} with stochastic={self.stochastic}. "
                f"Received: order={order}."
            )
        if self.corrector and self.stochastic:
            raise ValueError(
                "Expected corrector=False with stochastic=True. Received: corrector=True."
            )

    @property
    def _corrects(self) -> bool:
        return self.corrector or self.order == 3

    def initial_memory(self, z: Tensor) -> tuple[Tensor, ...]:
        """The z that a step started from, if it may be corrected, and past estimates."""
        zeros = ops.zeros_like(z)
        if self._corrects:
            return (z, *[zeros] * self.order)
        return (zeros,) * (self.order - 1)

    def step(
        self,
        denoiser: DenoiserFunction,
        state_at: StateAt,
        z: Tensor,
        memory: tuple[Tensor, ...],
        clock: Clock,
        draw: Draw,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See `Sampler.step`."""
        start, past = (memory[0], memory[1:]) if self._corrects else (None, memory)
        # The state now and those of the past estimates, the latest first.
        states = [state_at(clock(-k)) for k in range(len(past) + 1)]
        target = state_at(clock(1))
        estimates = (z0_from_eps(z, denoiser(z, states[0]), states[0]), *past)
        kept = estimates[: len(past)]
        if self.stochastic:
            return self._stochastic_step(z, estimates, states, target, draw), kept
        if self._corrects:
            z = self._correct(z, start, estimates, states)
            kept = (z, *kept)
        return _integrate(z, estimates[: self.order], states[: self.order], target), kept

    def _correct(
        self,
        z: Tensor,
        start: Tensor,
        estimates: tuple[Tensor, ...],
        states: list[NoisingState],
    ) -> Tensor:
        """The last step once more, with the estimate at its end as a further node."""
        now, before, *earlier = states
        # Nodes in the order of the step from `before` to `now`: its start, its end, earlier ones.
        at_now, at_before, *at_earlier = estimates
        corrected = _integrate(
            start, (at_before, at_now, *at_earlier), (before, now, *earlier), now
        )
        if self.corrector:
            return corrected
        nodes = [_log_snr_step(before, state) for state in (before, *earlier)]
        complete = usable_orders(nodes, _log_snr_step(before, now))[-1]
        return ops.where(complete > 0.0, z, corrected)

    def _stochastic_step(
        self,
        z: Tensor,
        estimates: tuple[Tensor, ...],
        states: list[NoisingState],
        target: NoisingState,
        draw: Draw,
    ) -> Tensor:
        """Exact for a constant estimate; order 2 takes its value at the middle of the step."""
        estimate, state = estimates[0], states[0]
        h = _log_snr_step(state, target)
        if self.order == 2:
            h_before = _log_snr_step(states[1], state)
            # A step that is longer than the last one extrapolates no further than an equal one.
            ratio = ops.where(h_before > 0.0, h / ops.where(h_before > 0.0, h_before, 1.0), 0.0)
            estimate = estimate + ops.minimum(0.5 * ratio, 0.5) * (estimate - estimates[1])
        kept = ops.exp(-h)
        gained = -ops.expm1(-2.0 * h)
        z = target.sigma / state.sigma * kept * z + target.alpha * gained * estimate
        return z + target.sigma * ops.sqrt(gained) * draw()

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "order": self.order,
            "corrector": self.corrector,
            "stochastic": self.stochastic,
        }


def _log_snr_step(state: NoisingState, target: NoisingState) -> Tensor:
    """The step h = lambda(target) - lambda(state) with lambda = -gamma/2, for every component."""
    return 0.5 * (state.gamma - target.gamma)


def _integrate(
    z: Tensor, estimates: Sequence[Tensor], states: Sequence[NoisingState], target: NoisingState
) -> Tensor:
    """From z at the first state to the target, with D through the estimates at the states.

    ``z(s) = sigma(s)/sigma(t) z(t) + alpha(s) int_0^h e^(-(h - u)) D(u) du``.
    """
    first = states[0]
    nodes = [_log_snr_step(first, state) for state in states]
    total = polynomial_integral(estimates, nodes, _log_snr_step(first, target))
    return target.sigma / first.sigma * z + target.alpha * total


registry.add("ddim", functools.partial(DPMSolver, order=1))
registry.add("ancestral", functools.partial(DPMSolver, order=1, stochastic=True))
registry.add("dpm++sde", functools.partial(DPMSolver, stochastic=True))
registry.add("unipc", functools.partial(DPMSolver, corrector=True))
