"""Explicit Runge-Kutta integration of the probability flow (paper eq. 25); tableaus are data."""

from dataclasses import dataclass

import keras

from keras_gud.process import score_from_eps
from keras_gud.registry import PACKAGE, near_match
from keras_gud.samplers.sampler import Sampler


@dataclass(frozen=True)
class Tableau:
    """An explicit method (Butcher 1964).

    Attributes:
        order: Its order of convergence.
        nodes: Times of the stages, as parts of the step.
        matrix: Row i: weights of the slopes before stage i.
        weights: Weights of the slopes in the step.
    """

    order: int
    nodes: tuple
    matrix: tuple
    weights: tuple


TABLEAUS = {
    "heun": Tableau(2, (0.0, 1.0), ((), (1.0,)), (0.5, 0.5)),
    "bogacki_shampine": Tableau(
        3, (0.0, 0.5, 0.75), ((), (0.5,), (0.0, 0.75)), (2 / 9, 1 / 3, 4 / 9)
    ),
    "rk4": Tableau(
        4,
        (0.0, 0.5, 0.5, 1.0),
        ((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)),
        (1 / 6, 1 / 3, 1 / 3, 1 / 6),
    ),
}


@keras.saving.register_keras_serializable(package=PACKAGE)
class RungeKutta(Sampler):
    """Fixed steps of an explicit Runge-Kutta method, uniform in t.

    ``dz/dt = -beta/2 (z + score)`` (paper eq. 25). Frozen components have beta = 0 and stay as they
    are. Schedules with kinks (clipped ones) lower the order: prefer `DPMSolver` there.

    Args:
        method: ``"heun"`` (2 evaluations a step), ``"bogacki_shampine"`` (3) or ``"rk4"`` (4).
        steps: Number of steps.

    Raises:
        ValueError: for an unknown method; the nearest one is suggested.
    """

    def __init__(self, method: str = "rk4", steps: int = 50):
        super().__init__(steps)
        if method not in TABLEAUS:
            raise ValueError(
                f"Expected `method` to be one of {sorted(TABLEAUS)}. "
                f"Received: method={method!r}.{near_match(method, TABLEAUS)}"
            )
        self.method = method

    def step(self, denoiser, state_at, z, memory, clock, draw):
        """See `Sampler.step`."""
        tableau = TABLEAUS[self.method]
        t, width = clock(0), clock(1) - clock(0)
        # Both ends as the clock has them: t = 0 is met exactly.
        ends = {0.0: state_at(t), 1.0: state_at(clock(1))}
        slopes = []
        for node, row in zip(tableau.nodes, tableau.matrix, strict=True):
            state = ends[node] if node in ends else state_at(t + node * width)
            stage = z + width * sum(a * k for a, k in zip(row, slopes, strict=True))
            slopes.append(flow(stage, denoiser(stage, state), state))
        after = z + width * sum(b * k for b, k in zip(tableau.weights, slopes, strict=True))
        # At a kink, where a component is about to move or has just stopped, beta is not 0.
        return keras.ops.where(ends[0.0].gamma == ends[1.0].gamma, z, after), memory

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {"method": self.method}


def flow(z, eps, state):
    """Velocity of the probability flow in diffusion time, ``-beta/2 (z + score)`` (eq. 25)."""
    return -0.5 * state.beta * (z + score_from_eps(eps, state))
