"""A path through noising states that a trained network can follow: any schedule, in one view.

The network does not know schedules, only states (paper sec. 4): it serves every path through the
region that it was trained on, and nearly so those that are near.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from keras_gud import schedules
from keras_gud.core.types import Array, Identifier
from keras_gud.regions.coverage import Gap, measure_gap
from keras_gud.regions.levels import ALONG_PATHS
from keras_gud.regions.view import View
from keras_gud.schedules import ComponentSchedule, parameters

_TIMES = np.linspace(0.0, 1.0, 33, dtype="float32")
# Of more values of a parameter, one for each sample, so many are looked at.
_MOST_VALUES = 8
# Gamma of an adapted schedule and of the same one adapted to the model's data differ by less.
_SAME_GAMMA = 1e-2
# Smaller distances are rounding.
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Path:
    """A path of a trained model; `GUDModel.path` returns it, `GUDModel.paths` lists the trained.

    Attributes:
        basis: Class name of the basis whose components are noised.
        schedule: Class name of the schedule.
        parameters: Its parameters, each a value or a range (low, high).
        observed: Kinds of observations in training, see `Paths`.
        levels: How levels of groups are drawn in training, see `Paths`.
        distance: Distance in gamma from what the network was trained on, in the worst state.
        time: Where on the path that is, in [0, 1].

    Example:

    >>> print(Path("Pixel", "Sequential", {"b": (0.2, 0.8)}, (), 0.0, 0.0))
    Sequential(b=0.2..0.8) in Pixel components
    """

    basis: str
    schedule: str
    parameters: dict[str, Any]
    observed: tuple[str, ...] = ()
    distance: float = 0.0
    time: float = 0.0
    levels: str = ALONG_PATHS

    def __str__(self) -> str:
        values = ", ".join(f"{k}={_in_words(v)}" for k, v in self.parameters.items())
        text = f"{self.schedule}({values}) in {self.basis} components"
        if self.observed:
            text += f", {' or '.join(self.observed)} observed"
        if self.levels != ALONG_PATHS:
            text += f", levels drawn by {self.levels!r}"
        if self.distance:
            text += f"; {self.distance:.2g} in gamma from the trained states at t={self.time:.2g}"
        return text


def trained_paths(views: Iterable[View]) -> tuple[Path, ...]:
    """The paths of views, as they were trained."""
    return tuple(
        Path(
            type(view.basis).__name__,
            type(view.schedule).__name__,
            dict(view.schedule.ranges),
            view.observed,
            levels=view.levels,
        )
        for view in views
    )


def find_view(
    views: Sequence[View], schedule: Identifier | None, gamma_map: bool, restrict: Any = None
) -> View:
    """The view in which a schedule is nearest to what the network was trained on.

    Args:
        views: The views of a model.
        schedule: `None` for the model's own; a name, a config or an instance.
        gamma_map: Whether the network is given gamma for every pixel.
        restrict: `None`, or the `Basis` object that the view must have.

    Returns:
        One of the views, where the schedule is trained as a family of this name; otherwise a view
        with the given schedule, adapted to the model's statistics.

    Raises:
        ValueError: for an unknown name, a schedule that no basis of the model has the coordinates
            for, or one that was adapted to other data.
    """
    views = [view for view in views if restrict is None or view.basis is restrict]
    if schedule is None:
        return views[0]
    given = schedules.get(schedule)
    for view in views:
        named = isinstance(schedule, str) and _is_family(given, view)
        if named or given is view.schedule:
            return view.along_path()
    tokens = {(id(view.basis), id(view.tokens)): view for view in reversed(views)}
    distinct = [view for view in views if tokens[id(view.basis), id(view.tokens)] is view]
    found, errors = [], []
    for view in distinct:
        try:
            adapted = _adapted(given, view)
        except ValueError as error:
            errors.append(error)
            continue
        found.append(view.along_path(adapted))
    if not found:
        raise errors[0]
    if len(found) == 1:
        return found[0]
    gaps = [gap_of_path(views, view, {}, gamma_map).largest for view in found]
    return found[int(np.argmin(gaps))]


def gap_of_path(views: Sequence[View], view: View, params: dict[str, Any], gamma_map: bool) -> Gap:
    """How far the states of a path are from trained ones, time by time.

    Args:
        views: All views of the model.
        view: The view with the path's schedule.
        params: Values of its parameters; those left open take the middle of their range.
        gamma_map: Whether the network is given gamma for every pixel.
    """
    gaps = [measure_gap(views, view, _states(view, row), gamma_map) for row in _rows(params)]
    return Gap(
        np.max([gap.nearest for gap in gaps], axis=0), np.max([gap.within for gap in gaps], axis=0)
    )


def describe_path(view: View, params: dict[str, Any], gap: Gap) -> Path:
    """The `Path` of a view at some parameters.

    Args:
        view: The view.
        params: As in `gap_of_path`.
        gap: Its gap.
    """
    at = np.maximum(gap.nearest, gap.within)
    at = np.where(at < _ROUNDING, 0.0, at)
    middle = parameters.middle(view.schedule.ranges)
    return Path(
        type(view.basis).__name__,
        type(view.schedule).__name__,
        middle | params,
        (),
        float(at.max()),
        float(_TIMES[at.argmax()]),
    )


def _states(view: View, params: dict[str, Any]) -> Array:
    gamma = ops.convert_to_numpy(view.schedule(_TIMES, **params).gamma)
    return np.broadcast_to(gamma, (len(_TIMES), *view.basis.data_shape))


def _rows(params: dict[str, Any]) -> list[dict[str, float]]:
    """The combinations of values that samples have, some of them where there are many."""
    columns = {name: np.ravel(value) for name, value in params.items()}
    n = max((len(column) for column in columns.values()), default=1)
    rows = np.unique(np.linspace(0, n - 1, min(n, _MOST_VALUES)).astype(int))
    return [
        {name: float(column[row if len(column) > 1 else 0]) for name, column in columns.items()}
        for row in rows
    ]


def _adapted(schedule: ComponentSchedule, view: View) -> ComponentSchedule:
    """The schedule for the components of a view; one that is adapted already must agree."""
    own = schedule.unbuilt()
    view.adapt_schedule(own)
    if not schedule.built:
        return own
    same_groups = (schedule.group_shape, schedule.n_groups) == (own.group_shape, own.n_groups)
    if not same_groups:
        raise ValueError(
            f"Expected a schedule for data of shape {view.basis.data_shape} in the "
            f"{view.basis.name} basis, {own.n_groups} groups. Received: "
            f"{type(schedule).__name__}, adapted to {schedule.n_groups} groups."
        )
    if not schedule.learns:
        apart = _apart(schedule, own)
        if apart > _SAME_GAMMA:
            raise ValueError(
                "Expected a schedule that is adapted to the data of the model. Received: "
                f"{type(schedule).__name__}, adapted to others: gamma differs by {apart:.2g}. Give "
                "its name, or a new one, which is then adapted."
            )
    return schedule


def _is_family(schedule: ComponentSchedule, view: View) -> bool:
    """Whether a new schedule differs from that of a view in the ranges of parameters alone."""
    trained = view.schedule
    if type(schedule) is not type(trained) or schedule.ranges.keys() != trained.ranges.keys():
        return False
    try:
        own = _adapted(schedule, view)
    except ValueError:  # the view's basis has not its coordinates
        return False
    if (own.group_shape, own.n_groups) != (trained.group_shape, trained.n_groups):
        return False
    return _apart(own, trained, **parameters.middle(trained.ranges)) < _SAME_GAMMA


def _apart(first: ComponentSchedule, second: ComponentSchedule, **params: Any) -> float:
    """The largest difference of gamma between two schedules of the same groups."""
    return max(
        float(ops.max(ops.abs(first(t, **params).gamma - second(t, **params).gamma)))
        for t in (0.0, 0.25, 0.5, 0.75, 1.0)
    )


def _in_words(value: Any) -> str:
    if isinstance(value, tuple):
        low, high = value
        return f"{low:g}" if low == high else f"{low:g}..{high:g}"
    values = np.ravel(value)
    return f"{values[0]:g}" if len(values) == 1 else f"{values.min():g}..{values.max():g}"
