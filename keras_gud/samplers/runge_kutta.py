"""Explicit Runge-Kutta integration of the probability flow (paper eq. 25) with fixed steps.

The methods and their sources are in `tableaus.py`.
"""

import functools
from typing import Any

import keras
from keras import ops

from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import DenoiserFunction, Tensor
from keras_gud.diffusion.noising_state import probability_flow
from keras_gud.samplers import tableaus
from keras_gud.samplers.contract import Clock, Draw, StateAt
from keras_gud.samplers.sampler import Sampler, registry
from keras_gud.samplers.tableaus import Unknowns


@keras.saving.register_keras_serializable(package=PACKAGE)
class RungeKutta(Sampler):
    """Fixed steps of an explicit Runge-Kutta method along ``dz/dt = -beta/2 (z + score)``.

    Frozen components have beta = 0 and stay as they are. Schedules with kinks (clipped ones) lower
    the order: prefer `DPMSolver` there.

    Args:
        method: ``"heun"`` (order 2, 2 evaluations a step), ``"bogacki_shampine"`` (3, 3), ``"rk4"``
            (4, 4) or ``"tsit5"`` (5, 6).
        steps: Number of steps, >= 1.
        spacing: Where the steps lie, see `Sampler`.

    Raises:
        ValueError: for an unknown method, with the nearest one; steps < 1 or an unknown spacing.

    Example:

    >>> import numpy as np
    >>> from keras_gud import oracle, schedules
    >>> schedule = schedules.get("vp"); schedule.adapt(variance=np.ones(2))
    >>> truth = oracle.Gaussian(np.zeros(2), np.eye(2))
    >>> z = RungeKutta("tsit5", steps=20)(truth, schedule, n=4, seed=0)
    >>> z.shape, z.dtype.name
    ((4, 2), 'float32')
    """

    two_way = True

    def __init__(self, method: str = "rk4", steps: int = 50, spacing: str = "uniform") -> None:
        super().__init__(steps, spacing)
        self.tableau = tableaus.get(method)
        self.method = method

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
        flow = Flow(denoiser, state_at)
        t, s = clock(0), clock(1)
        after, _ = tableaus.step(self.tableau, flow, t, s, (z,))
        return flow.hold(t, s, (z,), after)[0], memory

    def get_config(self) -> dict[str, Any]:
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

    def __init__(self, denoiser: DenoiserFunction, state_at: StateAt) -> None:
        self.denoiser, self.state_at = denoiser, state_at
        self.kinks = getattr(state_at, "kinks", None)

    def __call__(self, t: Tensor, y: Unknowns) -> Unknowns:
        """The velocity (paper eq. 25).

        Args:
            t: Time, a scalar tensor.
            y: ``(z,)`` with z of shape ``(batch, *data_shape)``.

        Returns:
            ``(dz/dt,)``, of the same shape.
        """
        (z,), state = y, self.state_at(t)
        return (probability_flow(z, self.denoiser(z, state), state),)

    def hold(self, t: Tensor, s: Tensor, before: Unknowns, after: Unknowns) -> Unknowns:
        """`after`, the components at s, with those that are frozen from t to s as `before`.

        At a kink, where a component is about to move or has just stopped, its beta is not 0, so
        that a step would move a frozen component a little.
        """
        frozen = self.state_at(t).gamma == self.state_at(s).gamma
        return (ops.where(frozen, before[0], after[0]), *after[1:])


for _method in tableaus.TABLEAUS:
    registry.add(_method, functools.partial(RungeKutta, _method))
