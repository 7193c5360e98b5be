"""Component-wise noise schedules gamma_i(t)."""

from keras_gud.core.registry import discover
from keras_gud.schedules.curves import Curves
from keras_gud.schedules.frequencies import Blurring, HeatDissipation, Renormalization
from keras_gud.schedules.function import CoordinateSchedule, Function
from keras_gud.schedules.hierarchical import Hierarchical
from keras_gud.schedules.learned import Learned
from keras_gud.schedules.linear import Linear
from keras_gud.schedules.scalar import EDM, VP, Cosine, FlowMatching, SubVP
from keras_gud.schedules.schedule import ComponentSchedule, registry
from keras_gud.schedules.sequential import Sequential
from keras_gud.schedules.shortest_path import ShortestPath
from keras_gud.schedules.staggered import Staggered
from keras_gud.schedules.warp import Retimed, TimeWarp

discover(__name__)
get = registry.get

__all__ = [
    "EDM",
    "VP",
    "Blurring",
    "ComponentSchedule",
    "CoordinateSchedule",
    "Cosine",
    "Curves",
    "FlowMatching",
    "Function",
    "HeatDissipation",
    "Hierarchical",
    "Learned",
    "Linear",
    "Renormalization",
    "Retimed",
    "Sequential",
    "ShortestPath",
    "Staggered",
    "SubVP",
    "TimeWarp",
    "get",
]
