"""Exponential multistep solvers with one log-SNR clock per component (DESIGN sec. 3.8)."""

import functools

import keras
from keras import ops

from keras_gud.core.registry import PACKAGE
from keras_gud.diffusion.noising_state import z0_from_eps
from keras_gud.samplers.multistep import polynomial_integral, usable_orders
from keras_gud.samplers.sampler import Sampler, check_count, registry


@registry.register("dpm++")
@keras.saving.register_keras_serializable(package=PACKAGE)
class DPMSolver(Sampler):
    """DPM-Solver++ and UniPC, component by component.

    With lambda = -gamma/2 and D the estimate of the clean components, the probability flow (paper
    eq. 25) from t to s is ``z(s) = sigma(s)/sigma(t) z(t) + alpha(s) int_0^h e^(-(h - u)) D(u) du``
    exactly; D is replaced by a polynomial in lambda through its last values. Order 1 is DDIM (Song
    et al. 2021, arXiv:2010.02502), order 2 and 3 are DPM-Solver++(2M) and (3M) (Lu et al. 2022,
    arXiv:2211.01095). The corrector (UniC, Zhao et al. 2023, arXiv:2302.04867) repeats the last
    step with the new D as one more node, without a further evaluation. The stochastic form
    solves the reverse SDE (paper eq. 9) instead: order 1 is ancestral sampling.

    Every component has its own clock: its step is h = lambda(s) - lambda(t) >= 0. A component with
    h = 0 stays bit-exact, and one that has just begun to move uses the order that its distinct
    nodes allow. At order 3 such steps are always corrected, since their error would cost an order.

    Args:
        steps: Number of steps; one network evaluation each.
        order: Number of values of D that the polynomial goes through: 1, 2 or 3; at most 2 where
            stochastic.
        corrector: Whether to correct each step with the next value of D; not where stochastic.
        stochastic: Whether to solve the SDE.
        spacing: Where the steps lie, see `Sampler`.

    Raises:
        ValueError: for another order, or a corrector of the stochastic form.
    """

    def __init__(
        self,
        steps: int = 50,
        order: int = 2,
        corrector: bool = False,
        stochastic: bool = False,
        spacing: str = "uniform",
    ):
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

    def first_memory(self, z):
        """The state that a step started from, if it may be corrected, and past values of D."""
        zeros = ops.zeros_like(z)
        if self._corrects:
            return (z, *[zeros] * self.order)
        return (zeros,) * (self.order - 1)

    def step(self, denoiser, state_at, z, memory, clock, draw):
        """See `Sampler.step`."""
        start, past = (memory[0], memory[1:]) if self._corrects else (None, memory)
        # The state now and those of the past values, the latest first.
        states = [state_at(clock(-k)) for k in range(len(past) + 1)]
        target = state_at(clock(1))
        values = (z0_from_eps(z, denoiser(z, states[0]), states[0]), *past)
        kept = values[: len(past)]
        if self.stochastic:
            return self._stochastic_step(z, values, states, target, draw), kept
        if self._corrects:
            z = self._correct(z, start, values, states)
            kept = (z, *kept)
        return _integrate(z, values[: self.order], states[: self.order], target), kept

    def _correct(self, z, start, values, states):
        """The last step once more, with the estimate at its end as a further node."""
        now, before, *earlier = states
        # From the step's start: its own node, the new one, those before it.
        order = [before, now, *earlier]
        corrected = _integrate(start, (values[1], values[0], *values[2:]), order, now)
        if self.corrector:
            return corrected
        nodes = [_log_snr_step(before, state) for state in (before, *earlier)]
        complete = usable_orders(nodes, _log_snr_step(before, now))[-1]
        return ops.where(complete > 0.0, z, corrected)

    def _stochastic_step(self, z, values, states, target, draw):
        """Exact for a constant D; order 2 adds its slope, taken at the middle of the step."""
        estimate, state = values[0], states[0]
        h = _log_snr_step(state, target)
        if self.order == 2:
            h_before = _log_snr_step(states[1], state)
            # The classical limit: a step much longer than the last extrapolates no further.
            ratio = ops.where(h_before > 0.0, h / ops.where(h_before > 0.0, h_before, 1.0), 0.0)
            estimate = estimate + ops.minimum(0.5 * ratio, 0.5) * (estimate - values[1])
        kept = ops.exp(-h)
        gained = -ops.expm1(-2.0 * h)
        z = target.sigma / state.sigma * kept * z + target.alpha * gained * estimate
        return z + target.sigma * ops.sqrt(gained) * draw()

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {
            "order": self.order,
            "corrector": self.corrector,
            "stochastic": self.stochastic,
        }


def _log_snr_step(state, target):
    """The step h = lambda(target) - lambda(state) with lambda = -gamma/2, for every component."""
    return 0.5 * (state.gamma - target.gamma)


def _integrate(z, values, states, target):
    """From z at the first state to the target, with D through its values at the states.

    ``z(s) = sigma(s)/sigma(t) z(t) + alpha(s) int_0^h e^(-(h - u)) D(u) du``.
    """
    first = states[0]
    nodes = [_log_snr_step(first, state) for state in states]
    total = polynomial_integral(values, nodes, _log_snr_step(first, target))
    return target.sigma / first.sigma * z + target.alpha * total


registry.add("ddim", functools.partial(DPMSolver, order=1))
registry.add("ancestral", functools.partial(DPMSolver, order=1, stochastic=True))
registry.add("dpm++sde", functools.partial(DPMSolver, stochastic=True))
registry.add("unipc", functools.partial(DPMSolver, corrector=True))
