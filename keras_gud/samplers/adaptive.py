"""Adaptive Runge-Kutta integration of the probability flow (paper eq. 25 and app. B).

The error estimate and the controller are in `solver.py`, the methods in `tableaus.py`.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import DenoiserFunction, Tensor
from keras_gud.samplers.contract import Carry, Report, StateAt, Times
from keras_gud.samplers.loop import Loop
from keras_gud.samplers.runge_kutta import Flow
from keras_gud.samplers.sampler import Sampler, registry
from keras_gud.samplers.solver import AdaptiveSolver, SolverState


@registry.register("adaptive")
@keras.saving.register_keras_serializable(package=PACKAGE)
class AdaptiveRungeKutta(Sampler):
    """Steps as long as a tolerance allows, by an embedded method and a PI controller.

    A batch shares its steps, so a sample depends on the others of its batch within the tolerance.
    `statistics` has the accepted and rejected steps and the network evaluations of each batch.

    Args:
        method: ``"tsit5"`` (6 evaluations a step), ``"bogacki_shampine"`` (3) or ``"heun"`` (2).
        rtol: Relative tolerance of a step, > 0; the paper's is 1e-4. Below about 1e-6 float32 has
            no digits left.
        atol: Absolute tolerance of a step, > 0, in units of the components.
        steps: Limit on the number of steps tried, accepted and rejected ones together.

    Raises:
        ValueError: for an unknown method, or a tolerance that is not a number > 0.
        ToleranceError: when a call cannot meet its tolerance within the limit.

    Example:

    >>> import numpy as np
    >>> from keras_gud import oracle, schedules
    >>> schedule = schedules.get("vp"); schedule.adapt(variance=np.ones(2))
    >>> truth = oracle.Gaussian(np.zeros(2), [[1.0, 0.9], [0.9, 1.0]])
    >>> sampler = AdaptiveRungeKutta(rtol=1e-3, atol=1e-3)
    >>> sampler(truth, schedule, n=4, seed=0).shape
    (4, 2)
    >>> sorted(sampler.statistics[0])
    ['accepted', 'evaluations', 'rejected']
    """

    two_way = True
    independent_rows = False

    def __init__(
        self, method: str = "tsit5", rtol: float = 1e-4, atol: float = 1e-4, steps: int = 10_000
    ) -> None:
        super().__init__(steps)
        self.method = method
        self.solver = AdaptiveSolver(method, rtol, atol)

    def begin(
        self, denoiser: DenoiserFunction, state_at: StateAt, z: Tensor, times: Times
    ) -> SolverState:
        """See `AdaptiveSolver.begin`."""
        return self.solver.begin(Flow(denoiser, state_at), (z,), *times)

    def advance(
        self,
        denoiser: DenoiserFunction,
        state_at: StateAt,
        carry: Carry,
        times: Times,
        bounds: tuple[Tensor, ...],
        draw_at: Callable[[Tensor], Tensor],
    ) -> SolverState:
        """Steps to a time, or as many as are allowed: ``bounds = (time, tries)``."""
        end, tries = bounds
        return self.solver.advance(Flow(denoiser, state_at), SolverState(*carry), end, tries)

    def run_batch(
        self,
        loop: Loop,
        carry: Carry,
        arguments: tuple[Any, ...],
        steps: int,
        states: int,
        report: Report | None,
    ) -> list[Tensor]:
        """See `Sampler.run_batch`; the states are equally spaced in t, and `steps` is the limit."""
        begin, end = arguments[-1]
        solve = SolverState(*carry)
        path = [solve.y[0]]

        def advance(solve, bounds):
            return loop.advance(solve, *arguments, bounds)

        def report_time(t):
            report((begin - t) / (begin - end))

        for i in range(1, states + 1):
            target = end if i == states else np.float32(begin + (end - begin) * i / states)
            on_step = report_time if report else None
            solve = self.solver.reach(advance, solve, float(target), steps, on_step)
            path.append(solve.y[0])
        self.statistics.append(self.solver.statistics(solve))
        return path

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "method": self.method,
            "rtol": self.solver.rtol,
            "atol": self.solver.atol,
            "steps": self.steps,
        }
