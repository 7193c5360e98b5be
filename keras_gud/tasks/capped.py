"""A schedule with observed components: no noisier than the observation (DESIGN sec. 3.10)."""

import weakref

from keras_gud.core.lru_cache import LRUCache
from keras_gud.samplers.loop import MAX_LOOPS

# By id of the schedule. An entry lives as long as a sampler's loop (or anything else) holds it, and
# it holds its schedule, so that the id stays that schedule's.
_known = weakref.WeakValueDictionary()


class Capped:
    """What samplers need of a schedule, for the path ``schedule(t).capped(caps)``.

    The caps are a parameter of the path like others, so that a new mask needs no new compilation.

    Args:
        schedule: An adapted `ComponentSchedule`.

    Attributes:
        beginnings: Compiled functions that begin on this path, by what they are for.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> from keras_gud import schedules
    >>> schedule = schedules.get("vp"); schedule.adapt(variance=np.ones(2))
    >>> state = Capped(schedule)(1.0, caps=ops.convert_to_tensor([[-2.0, np.inf]]))
    >>> float(state.gamma[0, 0])
    -2.0
    """

    def __init__(self, schedule):
        self.schedule = schedule
        self.beginnings = LRUCache(MAX_LOOPS)

    @classmethod
    def of(cls, schedule):
        """The one of this schedule: samplers know their loops by the identity of its parts."""
        capped = _known.get(id(schedule))
        if capped is None:
            capped = _known[id(schedule)] = cls(schedule)
        return capped

    @property
    def variables(self):
        """The variables of the schedule."""
        return self.schedule.variables

    def __call__(self, t, caps, **params):
        """The state at time t.

        Args:
            t: As for the schedule.
            caps: Largest gamma of each component, ``inf`` where there is no bound; broadcasts
                against ``(batch, *data_shape)``.
            **params: Those of the schedule.
        """
        return self.schedule(t, **params).capped(caps)

    def resolve(self, params: dict, others=()) -> dict:
        """As `ComponentSchedule.resolve`; the caps pass."""
        rest = {name: value for name, value in params.items() if name != "caps"}
        return self.schedule.resolve(rest, others) | {"caps": params["caps"]}

    def kinks(self, caps, **params):
        """Those of the schedule; where a cap is reached, solvers rely on their error estimates."""
        return self.schedule.kinks(**params)
