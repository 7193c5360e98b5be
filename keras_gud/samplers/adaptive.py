"""Adaptive Runge-Kutta integration of the probability flow (paper eq. 25 and app. B)."""

import keras
import numpy as np

from keras_gud.core.registry import PACKAGE
from keras_gud.samplers.runge_kutta import Flow
from keras_gud.samplers.sampler import Sampler, registry
from keras_gud.samplers.solver import AdaptiveSolver


@registry.register("adaptive")
@keras.saving.register_keras_serializable(package=PACKAGE)
class AdaptiveRungeKutta(Sampler):
    """Steps as long as a tolerance allows, by an embedded method and a PI controller.

    A batch shares its steps, so a sample depends on the others of its batch within the tolerance.
    `statistics` has the accepted and rejected steps of each batch.

    Args:
        method: ``"tsit5"`` (6 evaluations a step), ``"bogacki_shampine"`` (3) or ``"heun"`` (2).
        rtol: Relative tolerance of a step; the paper's is 1e-4. Below about 1e-6 float32 has no
            digits left.
        atol: Absolute tolerance of a step.
        steps: Limit on the number of steps tried, accepted and rejected ones together.

    Raises:
        ValueError: for an unknown method, or a tolerance that is not a number > 0.
        ToleranceError: when a call cannot meet its tolerance within the limit.
    """

    two_way = True
    splits = False

    def __init__(
        self, method: str = "tsit5", rtol: float = 1e-4, atol: float = 1e-4, steps: int = 10_000
    ):
        super().__init__(steps)
        self.method = method
        self.solver = AdaptiveSolver(method, rtol, atol)

    def begin(self, denoiser, state_at, z, times):
        """See `AdaptiveSolver.begin`."""
        return self.solver.begin(Flow(denoiser, state_at), (z,), *times)

    def advance(self, denoiser, state_at, carry, times, bounds, draw_at):
        """Steps to a time, or as many as are allowed: ``bounds = (time, tries)``."""
        return self.solver.advance(Flow(denoiser, state_at), carry, *bounds)

    def follow(self, loop, carry, parts, steps, states, tell):
        """See `Sampler.follow`; the parts are of equal length in t, and `steps` is the limit."""
        begin, end = parts[-1]
        path = [carry[4][0]]

        def advance(carry, bounds):
            return loop.advance(loop.values(), carry, *parts, bounds)

        def tell_time(t):
            tell((begin - t) / (begin - end))

        for i in range(1, states + 1):
            target = end if i == states else np.float32(begin + (end - begin) * i / states)
            news = tell_time if tell else None
            carry = self.solver.reach(advance, carry, float(target), steps, news)
            path.append(carry[4][0])
        self.statistics.append(self.solver.statistics(carry))
        return path

    def get_config(self):
        """The constructor's arguments."""
        return {
            "method": self.method,
            "rtol": self.solver.rtol,
            "atol": self.solver.atol,
            "steps": self.steps,
        }
