"""What the paths of a model cost a sampler of few steps, and the best of them.

Methods of `GUDModel`, which sets them as its attributes; all use the averaged weights.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud import backend, paths
from keras_gud.core.arguments import check_integer, require_built
from keras_gud.core.types import Array, Identifier
from keras_gud.paths import PathCost
from keras_gud.regions import View
from keras_gud.schedules import Curves
from keras_gud.training import trainer


@backend.in_strategy_scope
def path_cost(
    model: keras.Model,
    x: Any,
    schedule: Identifier | None = None,
    *,
    over: str | Sequence[str] | None = None,
    objective: str = "elbo",
    examples: int = 128,
    times: int = 32,
    seed: int = 0,
    batch_size: int = 64,
    progress: bool = False,
    **params: Any,
) -> PathCost:
    """What a path costs a sampler of few steps, by the network's own estimate.

    The energy of `keras_gud.paths`, and what follows from it.

    Args:
        x: Data in any form that `fit` takes.
        schedule: As in `sample`.
        over: Names of the coordinates whose values are the groups of the shares; default: those of
            the schedule.
        objective: ``"elbo"``, of ancestral sampling, or ``"ode"``, of a deterministic solver; see
            `keras_gud.paths.cost`.
        examples: How many of the data to use, >= 2.
        times: Number of times at which it is measured.
        seed: Of the noise and the probes.
        batch_size: Examples computed at a time.
        progress: Whether to show progress.
        **params: Parameters of the schedule.

    Returns:
        A `keras_gud.paths.PathCost`.

    Raises:
        ValueError: for data that cannot be used, or unknown coordinates.
    """
    view, batches, over = _measured(model, x, schedule, over, examples, batch_size, params)
    groups = paths.groups_of(over, view.basis.coordinates, _variance(view))
    denoiser = model.denoiser.in_view(view)
    parts = denoiser, view.schedule, batches, groups, times, seed, progress
    return paths.cost(*parts, objective=objective, variance=_own_variance(view), **params)


@backend.in_strategy_scope
def optimize_path(
    model: keras.Model,
    x: Any,
    schedule: Identifier | None = None,
    *,
    over: str | Sequence[str] | None = None,
    objective: str = "elbo",
    steps: int = 16,
    examples: int = 128,
    knots: int = 16,
    rounds: int = 1,
    seed: int = 0,
    batch_size: int = 64,
    progress: bool = False,
    **params: Any,
) -> Curves:
    """The path between the ends of a given one that costs a sampler of few steps least.

    Measured on data by Jacobian-vector products of the network; see `keras_gud.paths.optimize`.
    ``model.sample(64, schedule=best, steps=16)`` follows the path, and warns if the network was not
    trained on what lies beside it.

    Args:
        x: As in `path_cost`.
        schedule: Where to begin; as in `sample`.
        over: Names of the coordinates whose values are the groups that have a curve each, at most
            256 groups; default: those of the schedule. ``()``: one for all.
        objective: ``"elbo"``: the gap between the bounds of few ancestral steps and of infinitely
            many. ``"model"``: the bound itself, with the network's loss, which is larger on paths
            that it knows less; give data that it was not trained on. ``"ode"``: the error of a
            deterministic solver (the speed alone).
        steps: Steps of the sampler, >= 2, for ``"model"``.
        examples: As in `path_cost`.
        knots: Number of times at which the metric is measured, group by group.
        rounds: How often the metric is measured anew.
        seed: As in `path_cost`.
        batch_size: As in `path_cost`.
        progress: As in `path_cost`.
        **params: As in `path_cost`.

    Returns:
        A `schedules.Curves`, adapted to the model's data; it can be saved with a model, too.

    Raises:
        ValueError: as `path_cost`.

    Example:

    >>> import numpy as np, keras_gud
    >>> x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    >>> model = keras_gud.GUD(schedule="cosine", backbone="tiny"); model.adapt(x, verbose=0)
    >>> best = model.optimize_path(x, knots=4)
    >>> model.sample(2, schedule=best, steps=4).shape
    (2, 4)
    """
    view, batches, over = _measured(model, x, schedule, over, examples, batch_size, params)
    best, _ = paths.optimize(
        model.denoiser.in_view(view),
        view.schedule,
        batches,
        view.basis.coordinates,
        over,
        objective=objective,
        steps=steps,
        variance=_own_variance(view),
        data_variance=_variance(view),
        rounds=rounds,
        knots=knots,
        seed=seed,
        progress=progress,
        **params,
    )
    return best


def _measured(model, x, schedule, over, examples, batch_size, params):
    """The view of a path, clean components of some data in batches, and names of its groups."""
    require_built(model, "its paths are measured")
    check_integer("examples", examples, 2)
    view = model.view_along(schedule)
    view.schedule.resolve(params)
    source = trainer.open_data(model, x, batch_size=batch_size, required=False, complete=True)
    source.guard(model.data_space.check_complete)
    batches, left = [], examples
    for batch in source:
        phi = model.data_space.scaling.expected(batch[:left])
        batches.append(ops.convert_to_numpy(view.prior(view.basis(phi.astype("float32")))))
        left -= len(batch)
        if left <= 0:
            break
    # Batches of one size are compiled once.
    z0 = np.concatenate(batches)
    whole = len(z0) // batch_size * batch_size or len(z0)
    batches = list(z0[:whole].reshape(-1, min(batch_size, len(z0)), *z0.shape[1:]))
    over = view.schedule.group_names(model.data_shape) if over is None else over
    return view, batches, over


def _own_variance(view: View) -> Array:
    """Of the components that are noised, whitened or not."""
    return ops.convert_to_numpy(view.prior.variance).astype("float64")


def _variance(view: View) -> Array:
    return ops.convert_to_numpy(view.prior.data_variance).astype("float64")
