"""Component-wise noise schedules gamma_i(t)."""

from keras_gud.schedules.frequencies import Blurring, HeatDissipation, Renormalization, ShortestPath
from keras_gud.schedules.function import Curves, Function
from keras_gud.schedules.hierarchical import Hierarchical
from keras_gud.schedules.learned import Learned
from keras_gud.schedules.linear import Linear
from keras_gud.schedules.scalar import EDM, VP, Cosine, FlowMatching, SubVP
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
registry.add("subvp", SubVP)
registry.add("learned", Learned)
registry.add("edm", EDM)
registry.add("flow", FlowMatching)
registry.add("blurring", Blurring)
registry.add("heat", HeatDissipation)
registry.add("shortest", ShortestPath)
registry.add("renormalization", Renormalization)

get = registry.get

__all__ = [
    "EDM",
    "VP",
    "Blurring",
    "ComponentSchedule",
    "Cosine",
    "Curves",
    "FlowMatching",
    "Function",
    "HeatDissipation",
    "Hierarchical",
    "Learned",
    "Linear",
    "Renormalization",
    "Sequential",
    "ShortestPath",
    "SubVP",
    "TimeWarp",
    "get",
]
