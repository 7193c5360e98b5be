"""A path on which some groups of components move while the others wait or are finished."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud.core.types import Tensor, TensorLike
from keras_gud.diffusion.noising_state import NoisingState
from keras_gud.schedules import ComponentSchedule


class Staged:
    """What samplers need of a schedule, for one stage of a path with many.

    Which groups move is a parameter of the path like others, one row for each sample, so that
    every order of every sample is computed by one compiled loop::

        gamma_g(t)    of the schedule where g moves, its gamma_g(0) where g is done, else gamma_g(1)

    Args:
        schedule: An adapted `ComponentSchedule`.

    Example:

    >>> from keras import ops
    >>> from keras_gud import schedules
    >>> schedule = schedules.Sequential(b=0.0, over=0); schedule.adapt(variance=np.ones(3))
    >>> moves, done = ops.convert_to_tensor([[[0.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]]])
    >>> [round(float(g)) for g in Staged(schedule)(0.5, moves=moves, done=done).gamma[0]]
    [-7, -1, 5]
    """

    def __init__(self, schedule: ComponentSchedule) -> None:
        self.schedule = schedule

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables of the schedule."""
        return self.schedule.variables

    def __call__(self, t: TensorLike, moves: Tensor, done: Tensor, **params: Any) -> NoisingState:
        """The state at time t of a stage.

        Args:
            t: As for the schedule.
            moves: 1 for the groups that move in this stage, else 0, ``(batch, n_groups)``.
            done: 1 for the groups that are finished, else 0; likewise.
            **params: Those of the schedule.
        """
        now, first, last = (self.schedule(time, **params) for time in (t, 0.0, 1.0))
        moves, done = (self.schedule.spread(ops.cast(x, "float32")) for x in (moves, done))
        still = done * first.gamma + (1.0 - moves - done) * last.gamma
        return NoisingState(moves * now.gamma + still, moves * now.dgamma_dt, now.time)

    def resolve(self, params: dict[str, Any], others: Iterable[str] = ()) -> dict[str, np.ndarray]:
        """As `ComponentSchedule.resolve`; what moves and what is done is returned as it is."""
        stage = {name: params[name] for name in ("moves", "done")}
        rest = {name: value for name, value in params.items() if name not in stage}
        return self.schedule.resolve(rest, others) | stage
