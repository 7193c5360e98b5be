"""A schedule with observed components: ``min(gamma(t), gamma_observed)`` (DESIGN sec. 3.10)."""

import weakref
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_gud.core.lru_cache import LRUCache
from keras_gud.core.types import Tensor, TensorLike
from keras_gud.diffusion.noising_state import NoisingState
from keras_gud.samplers.loop import MAX_LOOPS
from keras_gud.schedules import ComponentSchedule

# By id of the schedule. An entry lives as long as a sampler's loop (or anything else) holds it, and
# it holds its schedule, so that the id stays that schedule's.
_known: weakref.WeakValueDictionary[int, "Capped"] = weakref.WeakValueDictionary()


class Capped:
    """What samplers need of a schedule, for the path ``schedule(t).capped(caps)``.

    The caps are a parameter of the path like others, so that a new mask needs no new compilation.

    Args:
        schedule: An adapted `ComponentSchedule`.

    Attributes:
        compiled: Compiled functions of this path, by what they are made of.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> from keras_gud import schedules
    >>> schedule = schedules.get("vp"); schedule.adapt(variance=np.ones(2))
    >>> state = Capped(schedule)(1.0, caps=ops.convert_to_tensor([[-2.0, np.inf]]))
    >>> float(state.gamma[0, 0])
    -2.0
    """

    def __init__(self, schedule: ComponentSchedule) -> None:
        self.schedule = schedule
        self.compiled = LRUCache(MAX_LOOPS)

    @classmethod
    def of(cls, schedule: ComponentSchedule) -> "Capped":
        """The same object for the same schedule, since samplers find their loops by its id."""
        capped = _known.get(id(schedule))
        if capped is None:
            capped = _known[id(schedule)] = cls(schedule)
        return capped

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables of the schedule."""
        return self.schedule.variables

    def __call__(self, t: TensorLike, caps: Tensor, **params: Any) -> NoisingState:
        """The state at time t.

        Args:
            t: As for the schedule.
            caps: Largest gamma of each component, ``inf`` where there is no bound; broadcasts
                against ``(batch, *data_shape)``.
            **params: Those of the schedule.
        """
        return self.schedule(t, **params).capped(caps)

    def resolve(self, params: dict[str, Any], others: Iterable[str] = ()) -> dict[str, np.ndarray]:
        """As `ComponentSchedule.resolve`; the caps are returned as they are."""
        rest = {name: value for name, value in params.items() if name != "caps"}
        return self.schedule.resolve(rest, others) | {"caps": params["caps"]}

    def kinks(self, caps: Tensor, **params: Any) -> Tensor | None:
        """Those of the schedule; where a cap is reached, solvers rely on their error estimates."""
        return self.schedule.kinks(**params)
