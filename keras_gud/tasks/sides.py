"""Which way images are extended: an axis of the data, and the order of its columns."""

from dataclasses import dataclass

import numpy as np
from keras import ops

from keras_gud.core.data_shape import axis_names, spatial_shape
from keras_gud.core.registry import near_match
from keras_gud.schedules import Sequential

# Axis of the data, counted from the last spatial one, and whether its last entry is the first one
# that is generated.
_DIRECTIONS = {"right": (-1, False), "left": (-1, True), "down": (-2, False), "up": (-2, True)}


@dataclass(frozen=True)
class Side:
    """An axis of the data, and the order of its entries ("columns") in generation."""

    axis: int
    reverse: bool
    length: int

    def cut(self, array, begin: int, end: int):
        """Columns begin .. end - 1 of an array ``(..., *data_shape)``, counted in generation."""
        length = array.shape[self.axis]
        if self.reverse:
            begin, end = length - end, length - begin
        index = [slice(None)] * array.ndim
        index[self.axis] = slice(begin, end)
        return array[tuple(index)]

    def join(self, first, second):
        """Two arrays one after the other, in generation."""
        parts = [second, first] if self.reverse else [first, second]
        return np.concatenate(parts, axis=self.axis)

    def width(self, array) -> int:
        """Number of columns of an array ``(..., *data_shape)``."""
        return array.shape[self.axis]


def find(model, direction: str):
    """The view of a model that is generated in this direction, and its `Side`.

    Raises:
        ValueError: if there is none; the message says what to train.
    """
    shape = model.data_shape
    spatial = spatial_shape(shape)
    known = [name for name, (axis, _) in _DIRECTIONS.items() if -axis <= len(spatial)]
    if not isinstance(direction, str) or direction not in known:
        raise ValueError(
            f"Expected `direction` to be one of {known} for data of shape {shape}. "
            f"Received: direction={direction!r}.{near_match(direction, known)}"
        )
    axis, reverse = _DIRECTIONS[direction]
    name, length = axis_names(shape)[axis], spatial[axis]
    from_end = axis if len(shape) == 1 else axis - 1
    order = np.arange(length)[::-1] if reverse else np.arange(length)
    order = np.broadcast_to(order.reshape(-1, *[1] * (-from_end - 1)), shape)

    def goes_there(view):
        groups = ops.convert_to_numpy(view.schedule.groups)
        return (
            isinstance(view.schedule, Sequential)
            and (name in view.basis.coordinates or not view.basis.mixes_space)
            and np.array_equal(np.broadcast_to(groups, shape), order)
        )

    for view in model.views:
        if goes_there(view):
            return view, Side(from_end, reverse, length)
    wanted = f'schedules.Sequential(b=(0.5, 0.8), over="{name}"{", reverse=True" * reverse})'
    received = sorted({type(view.schedule).__name__ for view in model.views})
    raise ValueError(
        f"Expected a model that is generated one {name} after the other, to extend to direction="
        f"{direction!r}. Received: a model with the schedules {received}. Train one with "
        f"schedule={wanted}, or with region=regions.Paths({wanted}) beside its own."
    )
