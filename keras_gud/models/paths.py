"""Which paths a model can follow: those it was trained on, and any other, with how far it is.

Methods of `GUDModel`, which sets them as its attributes.
"""

import json
from typing import Any

import keras
import numpy as np

from keras_gud import backend, presets, regions, schedules
from keras_gud.core.arguments import require_built
from keras_gud.core.types import Identifier, Tensor
from keras_gud.regions import Path, View
from keras_gud.schedules import ComponentSchedule


def trained(model: keras.Model) -> tuple[Path, ...]:
    """The paths that the network is trained on: the schedule's, then those of `region`."""
    require_built(model, "its paths are listed")
    return regions.trained_paths(model.views)


@backend.in_strategy_scope
def path(model: keras.Model, schedule: Identifier | None = None, **params: Any) -> Path:
    """How far a path is from the noising states that the network was trained on.

    Args:
        schedule: As in `sample`.
        **params: Parameters of the schedule; those left open take the middle of their range.

    Returns:
        A `Path`; print it. Its `distance` is that of the worst of its states, in gamma: 0 on the
        trained paths; up to 0.5 is not warned of.

    Raises:
        ValueError: as `sample`.

    Example:

    >>> import numpy as np, keras_gud
    >>> x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    >>> model = keras_gud.GUD(schedule="cosine", backbone="tiny"); model.adapt(x, verbose=0)
    >>> model.path("cosine").distance, model.path("edm").distance > 2.0
    (0.0, True)
    """
    require_built(model, "its paths are measured")
    view = view_along(model, schedule)
    view.schedule.resolve(params, others=("schedule",))
    return regions.describe_path(view, params, _gap(model, view, params))


@backend.in_strategy_scope
def view_along(
    model: keras.Model,
    schedule: Identifier | None,
    basis: Any = None,
    params: dict[str, Any] | None = None,
) -> View:
    """The view in which the model follows a schedule; see `regions.find_view`.

    Args:
        schedule: As in `sample`.
        basis: `None`, or the one of the model's `Basis` objects that it must be in.
        params: If given, values of the schedule's parameters; a path that leaves what the network
            was trained on then warns.
    """
    view = _found(model, schedule, basis)
    if params is None or any(view.schedule is trained.schedule for trained in model.views):
        return view  # values beyond its ranges are warned of where they are resolved
    known = {name: value for name, value in params.items() if name in view.schedule.ranges}
    gap = _gap(model, view, known)
    at = regions.describe_path(view, known, gap).time
    what = f"The path of {type(view.schedule).__name__}, most of all at t={at:.2g},"
    regions.warn_of_gap(gap, view, what)
    return view


def check_region(model: keras.Model, view: View, gamma: Tensor) -> None:
    """Warns of noising states that the network was not trained on; `regions.check_region`.

    Args:
        view: The view in whose components they are.
        gamma: Some states, ``(k, *data_shape)``.
    """
    regions.check_region(model.views, view, gamma, model.denoiser.gamma_scales > 0)


def _found(model: keras.Model, schedule: Identifier | None, basis: Any) -> View:
    if schedule is None and basis is None:
        return model.views[0]
    if isinstance(schedule, str) and schedule.lower() not in schedules.registry.factories:
        if schedule.lower() in presets.ALL:
            schedule = presets.get(schedule)
    if isinstance(schedule, dict) and "schedule" in schedule:  # a preset's arguments
        schedule = schedule["schedule"]
    instance = isinstance(schedule, ComponentSchedule)
    key = id(schedule) if instance else json.dumps(schedule, sort_keys=True, default=str)
    gamma_map = model.denoiser.gamma_scales > 0
    # The schedule is kept with its view, so that no other object gets its id.
    _, view = model.session.cached(
        ("path", key, id(basis)),
        lambda: (schedule, regions.find_view(model.views, schedule, gamma_map, basis)),
    )
    return view


def _gap(model: keras.Model, view: View, params: dict[str, Any]) -> regions.Gap:
    values = sorted((name, np.asarray(value).tobytes()) for name, value in params.items())
    key = "path gap", id(view.schedule), str(values)
    parts = model.views, view, params, model.denoiser.gamma_scales > 0
    return model.session.cached(key, lambda: regions.gap_of_path(*parts))
