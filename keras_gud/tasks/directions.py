"""In which direction images are extended: an axis of the data, and the order of its columns."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from keras_gud.core.data_shape import axis_names, spatial_shape
from keras_gud.core.registry import near_match
from keras_gud.core.types import Identifier
from keras_gud.regions import View
from keras_gud.schedules import Sequential
from keras_gud.tasks.contract import Model

# Axis of the data, counted from the last spatial one, and whether its last entry is the first one
# that is generated.
_DIRECTIONS = {"right": (-1, False), "left": (-1, True), "down": (-2, False), "up": (-2, True)}


@dataclass(frozen=True)
class Direction:
    """An axis of the data, and the order in which its entries ("columns") are generated.

    Attributes:
        axis: The axis, counted from the end, < 0.
        reverse: Whether the last entry is generated first.
        length: Size of the axis in one example of the model's data.

    Example:

    >>> Direction(axis=-1, reverse=True, length=4).cut(np.arange(4), 0, 2).tolist()
    [2, 3]
    """

    axis: int
    reverse: bool
    length: int

    def cut(self, array: Any, begin: int, end: int) -> Any:
        """Columns begin .. end - 1 of an array ``(..., *data_shape)``, counted in generation."""
        length = array.shape[self.axis]
        if self.reverse:
            begin, end = length - end, length - begin
        index = [slice(None)] * array.ndim
        index[self.axis] = slice(begin, end)
        return array[tuple(index)]

    def join(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Two arrays one after the other, in generation."""
        parts = [second, first] if self.reverse else [first, second]
        return np.concatenate(parts, axis=self.axis)

    def width(self, array: Any) -> int:
        """Number of columns of an array ``(..., *data_shape)``."""
        return array.shape[self.axis]


def find_direction(
    model: Model, direction: str, schedule: Identifier | None = None
) -> tuple[View, Direction]:
    """The view of a model that is generated in a direction, and the `Direction`.

    Args:
        model: The model.
        direction: ``"right"``, ``"left"``, ``"down"`` or ``"up"``.
        schedule: As in `GUDModel.sample`; default: any that the model was trained on.

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

    def is_generated_so(view: View) -> bool:
        groups = ops.convert_to_numpy(view.schedule.groups)
        return (
            isinstance(view.schedule, Sequential)
            and (name in view.basis.coordinates or not view.basis.mixes_space)
            and np.array_equal(np.broadcast_to(groups, shape), order)
        )

    views = model.views if schedule is None else [model.view_along(schedule)]
    for view in views:
        if is_generated_so(view):
            return view, Direction(from_end, reverse, length)
    wanted = f'schedules.Sequential(b=(0.5, 0.8), over="{name}"{", reverse=True" * reverse})'
    received = sorted({type(view.schedule).__name__ for view in views})
    raise ValueError(
        f"Expected a model that is generated one {name} after the other, to extend to direction="
        f"{direction!r}. Received: a model with the schedules {received}. Train one with "
        f"schedule={wanted}, or with region=regions.Paths({wanted}) beside its own."
    )
