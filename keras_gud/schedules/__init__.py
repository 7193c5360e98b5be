"""Component-wise noise schedules gamma_i(t)."""

from keras_gud.schedules.function import Function
from keras_gud.schedules.hierarchical import Hierarchical
from keras_gud.schedules.linear import Linear
from keras_gud.schedules.scalar import VP, Cosine
from keras_gud.schedules.schedule import ComponentSchedule, registry
from keras_gud.schedules.sequential import Sequential
from keras_gud.schedules.warp import TimeWarp

registry.add("linear", Linear)
registry.add("frequency", lambda **kwargs: Linear(ordering="frequency", **kwargs))
registry.add("sequential", Sequential)
registry.add("columns", lambda **kwargs: Sequential(over="column", **kwargs))
registry.add("rows", lambda **kwargs: Sequential(over="row", **kwargs))
registry.add("hierarchical", Hierarchical)
registry.add("cosine", Cosine)
registry.add("vp", VP)

get = registry.get

__all__ = [
    "VP",
    "ComponentSchedule",
    "Cosine",
    "Function",
    "Hierarchical",
    "Linear",
    "Sequential",
    "TimeWarp",
    "get",
]
