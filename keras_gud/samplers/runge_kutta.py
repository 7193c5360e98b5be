"""Explicit Runge-Kutta integration of the probability flow (paper eq. 25) with fixed steps."""

import functools

import keras
from keras import ops

from keras_gud.core.registry import PACKAGE
from keras_gud.diffusion.noising_state import probability_flow
from keras_gud.samplers import tableaus
from keras_gud.samplers.sampler import Sampler, registry


@keras.saving.register_keras_serializable(package=PACKAGE)
class RungeKutta(Sampler):
    """Fixed steps of an explicit Runge-Kutta method.

    ``dz/dt = -beta/2 (z + score)`` (paper eq. 25). Frozen components have beta = 0 and stay as they
    are. Schedules with kinks (clipped ones) lower the order: prefer `DPMSolver` there.

    Args:
        method: ``"heun"`` (2 evaluations a step), ``"bogacki_shampine"`` (3), ``"rk4"`` (4) or
            ``"tsit5"`` (6).
        steps: Number of steps.
        spacing: See `Sampler`.

    Raises:
        ValueError: for an unknown method; the nearest one is suggested.
    """

    two_way = True

    def __init__(self, method: str = "rk4", steps: int = 50, spacing: str = "uniform"):
        super().__init__(steps, spacing)
        self.tableau = tableaus.get(method)
        self.method = method

    def step(self, denoiser, state_at, z, memory, clock, draw):
        """See `Sampler.step`."""
        flow = Flow(denoiser, state_at)
        t, s = clock(0), clock(1)
        after, _ = tableaus.step(self.tableau, flow, t, s, (z,))
        return flow.hold(t, s, (z,), after)[0], memory

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {"method": self.method}


class Flow:
    """The probability flow as a field ``(t, (z,)) -> (dz/dt,)``.

    Args:
        denoiser: Callable ``(z, state) -> eps``.
        state_at: Callable from a time to the `NoisingState` at that time.

    Attributes:
        kinks: `None`, or the times at which it jumps (`Path.kinks`).
    """

    def __init__(self, denoiser, state_at):
        self.denoiser, self.state_at = denoiser, state_at
        self.kinks = getattr(state_at, "kinks", None)

    def __call__(self, t, y):
        """The velocity (paper eq. 25)."""
        (z,), state = y, self.state_at(t)
        return (probability_flow(z, self.denoiser(z, state), state),)

    def hold(self, t, s, before, after):
        """`after`, the components at s, with those that are frozen from t to s as `before`.

        At a kink, where a component is about to move or has just stopped, its beta is not 0.
        """
        frozen = self.state_at(t).gamma == self.state_at(s).gamma
        return (ops.where(frozen, before[0], after[0]), *after[1:])


for _method in tableaus.TABLEAUS:
    registry.add(_method, functools.partial(RungeKutta, _method))
