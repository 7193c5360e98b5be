"""Groups of components generated a few at a time, in an order chosen sample by sample.

Where parts of data constrain each other, as in a puzzle, an order decides whether they fit: a
network that makes all of them at once has to settle each before it knows the others. In the order
``"surest"`` the next groups are those of which the network already knows most,

    sureness_g = sum_{i in g} z0_hat_i^2 / sum_{i in g} Sigma_i

The variance of clean components is that of their estimate plus that of what it misses, so that on
average ``1 - sureness_g`` is the fraction of the group's variance that is not known.
"""

import inspect
from typing import Any

import numpy as np
from keras import ops

from keras_gud.conditioning.given import sampling_condition
from keras_gud.core import counter_rng
from keras_gud.core.arguments import check_integer, require_built
from keras_gud.core.compiled import CompiledWithVariables
from keras_gud.core.progress import Progress
from keras_gud.core.registry import require_one_of
from keras_gud.core.types import ArrayLike, DenoiserFunction, Identifier
from keras_gud.data.arrays import BATCH_SIZE
from keras_gud.diffusion.noising_state import z0_from_eps
from keras_gud.regions import View
from keras_gud.regions.levels import ALONG_PATHS
from keras_gud.samplers.run import check_rows, rows_of_batch, take_rows
from keras_gud.schedules.group_sums import sum_groups
from keras_gud.tasks.contract import Model
from keras_gud.tasks.staged import Staged

ORDERS = ("surest", "random", "fixed")
# Steps of a stage: its groups are few, and what they depend on is known.
_STEPS = 6
# Counter of the draw that orders the groups at random; the sampler's own are numbered from 0.
_ORDER = -3


def sample_in_order(
    model: Model,
    n: int,
    order: str | ArrayLike = "surest",
    at_once: int = 1,
    labels: ArrayLike | None = None,
    guidance: ArrayLike = 1.0,
    *,
    condition: Any = None,
    schedule: Identifier | None = None,
    sampler: Identifier = "dpm++sde",
    steps: int = _STEPS,
    seed: int | None = None,
    batch_size: int = BATCH_SIZE,
    progress: bool = False,
    **params: Any,
) -> np.ndarray:
    """Generates data in stages: in each, some groups of components go from noise to data.

    Args:
        model: A trained `GUDModel`, whose network knows the states of this: one with
            ``region=regions.Paths(schedule, levels="stages")``, whose schedule has the groups, e.g.
            ``schedules.Sequential(b=0.0, over="patch")`` in the basis ``bases.Pixel(patch=8)``.
        n: Number of samples.
        order: ``"surest"``: the next groups of each sample are those of which the network knows
            most; ``"random"``, another order for each sample; ``"fixed"``, in the order of their
            numbers; or the numbers of all groups in their order, ``(n_groups,)`` or ``(n,
            n_groups)``.
        at_once: Groups of a stage, >= 1; with all groups there is one stage.
        labels: As in `GUDModel.sample`.
        guidance: As in `GUDModel.sample`.
        condition: As in `GUDModel.sample`.
        schedule: Whose groups, and what they do in their stage; default: that of the `Paths` that
            the model was trained on.
        sampler: A name, config or instance (`keras_gud.samplers`).
        steps: Steps of each stage. In all, the network is evaluated ``stages * steps + 1`` times,
            and once more a stage for ``"surest"``.
        seed: Sample i is a function of (seed, i): the same whatever n and the batch size. `None`
            draws a seed.
        batch_size: Samples computed at a time.
        progress: Whether to show a progress bar over the steps.
        **params: Parameters of the schedule.

    Returns:
        NumPy array ``(n, *data_shape)`` in the data's own units, as `GUDModel.sample`.

    Raises:
        ValueError: for an unknown order, one that does not name every group once, or a model
            without groups.

    Warns:
        UserWarning: for noising states that the model was not trained on.

    Example:

    >>> import keras_gud
    >>> from keras_gud import bases, regions, schedules, tasks
    >>> x = np.random.default_rng(0).normal(size=(64, 4, 4, 1))
    >>> path = schedules.Sequential(b=0.0, over="patch")
    >>> region = regions.Paths(path, levels="stages")
    >>> model = keras_gud.GUD(basis=bases.Pixel(patch=2), region=region, backbone="tiny")
    >>> history = model.fit(x, epochs=1, verbose=0)
    >>> tasks.sample_in_order(model, 3, order="surest", at_once=2, steps=2).shape
    (3, 4, 4, 1)
    """
    require_built(model, "it samples")
    n, at_once = check_integer("n", n, 1), check_integer("at_once", at_once, 1)
    view = _view_of_groups(model, schedule)
    others = inspect.signature(sample_in_order).parameters.keys() - {"model", "params"}
    params = view.schedule.resolve(params, others)
    seed = int(np.random.randint(2**31)) if seed is None else seed
    how = {"condition": condition, "labels": labels, "guidance": guidance}
    given = sampling_condition(model.conditions, n, **how)
    check_rows(given, n)
    ranks = _ranks(order, view.schedule.n_groups, n, seed)
    denoiser = model.denoiser.in_view(view)
    path, sureness = model.session.cached(
        ("path", "in order", id(view.schedule)), lambda: _make(denoiser, view)
    )
    _check_region(model, view, path, params)
    solver = model.session.sampler(sampler)
    kwargs = {"steps": steps, "seed": seed, "batch_size": batch_size, "condition": given}
    done, z = np.zeros(ranks.shape, "float32"), None
    stages = -(-view.schedule.n_groups // at_once)
    shown = Progress(stages, "stage", progress)
    for stage in range(stages):
        if isinstance(order, str) and order == "surest" and stage:
            ranks = -sureness(z, done, params, given, batch_size)
        moves = _next(ranks, done, at_once)
        along = params | {"moves": moves, "done": done}
        how = kwargs | {"denoise": stage == stages - 1}
        if stage == 0:
            z = solver(denoiser, path, n, **how, **along)
        else:
            z = solver.integrate(denoiser, path, z, **how, **along)
        done = done + moves
        shown.add(1)
    return model.data_space.to_data(z, view.basis, view.prior, batch_size)


class Sureness(CompiledWithVariables):
    """How much of the variance of each group is explained by what is done.

    Args:
        denoiser: Callable ``(z, state, **condition) -> eps``.
        path: The `Staged` schedule.
        view: The view whose components they are.

    Attributes:
        run: Compiled function ``(z, done, params, condition) -> sureness``, ``(batch, n_groups)``.
    """

    def __init__(self, denoiser: DenoiserFunction, path: Staged, view: View) -> None:
        super().__init__(denoiser, path)
        schedule, shape = path.schedule, view.basis.data_shape
        variance = np.broadcast_to(ops.convert_to_numpy(view.prior.variance), shape)
        groups = np.broadcast_to(ops.convert_to_numpy(schedule.groups), shape).astype("int32")
        total = np.bincount(groups.ravel(), weights=variance.ravel()).astype("float32")

        def run(z, done, params, condition):
            state = path(1.0, moves=ops.zeros_like(done), done=done, **params)
            estimate = z0_from_eps(z, denoiser(z, state, **condition), state)
            explained = sum_groups(ops.square(estimate), groups, schedule.n_groups)
            return explained / total

        self.run = self.compile(run)

    def __call__(
        self,
        z: np.ndarray,
        done: np.ndarray,
        params: dict[str, np.ndarray],
        condition: dict[str, np.ndarray],
        batch_size: int,
    ) -> np.ndarray:
        """The sureness of n samples, in batches of one size."""
        n, found = len(z), []
        for at in range(0, n, min(batch_size, n)):
            rows = rows_of_batch(at, min(batch_size, n), n)
            parts = (take_rows(part, rows) for part in (params, condition))
            found.append(ops.convert_to_numpy(self.run(z[rows], done[rows], *parts)))
        return np.concatenate(found)[:n]


def _make(denoiser: DenoiserFunction, view: View) -> tuple[Staged, Sureness]:
    path = Staged(view.schedule)
    return path, Sureness(denoiser, path, view)


def _view_of_groups(model: Model, schedule: Identifier | None) -> View:
    """The view whose groups are generated; by default the one whose network knows them."""
    if schedule is not None:
        view = model.view_along(schedule)
    else:
        known = [view for view in model.views if view.levels != ALONG_PATHS]
        view = (known or list(model.views))[0]
    if view.schedule.n_groups < 2:
        raise ValueError(
            "Expected a model or a `schedule` with groups of components that can be generated one "
            f"after the other. Received: one group of {type(view.schedule).__name__}. Train with "
            'region=regions.Paths(schedules.Sequential(b=0.0, over=...), levels="stages").'
        )
    return view


def _ranks(order: str | ArrayLike, n_groups: int, n: int, seed: int) -> np.ndarray:
    """Numbers ``(n, n_groups)``, smaller for groups that come earlier.

    Those of ``"surest"`` are random: in the first stage nothing is known of any group.
    """
    if isinstance(order, str):
        require_one_of("order", order, ORDERS)
        if order == "fixed":
            return np.tile(np.arange(n_groups, dtype="float32"), (n, 1))
        keys = counter_rng.keys_of(seed, np.arange(n))
        return ops.convert_to_numpy(counter_rng.uniform(keys, _ORDER, (n_groups,)))
    given = np.asarray(order)
    rows = np.broadcast_to(given, (n, n_groups)) if given.shape[-1:] == (n_groups,) else given
    if rows.shape != (n, n_groups) or not (np.sort(rows, axis=1) == np.arange(n_groups)).all():
        raise ValueError(
            f"Expected `order` to be one of {ORDERS}, or to name each of {n_groups} groups once, "
            f"for all or each of n={n} samples. Received: order={order!r}."
        )
    return np.argsort(rows, axis=1)


def _next(ranks: np.ndarray, done: np.ndarray, at_once: int) -> np.ndarray:
    """1 for the groups of the next stage, else 0; float32 ``(n, n_groups)``."""
    waiting = np.where(done > 0.0, np.inf, ranks)
    chosen = np.argsort(waiting, axis=1, kind="stable")[:, :at_once]
    moves = np.zeros_like(done)
    np.put_along_axis(moves, chosen, 1.0, axis=1)
    return moves * (1.0 - done)


def _check_region(model: Model, view: View, path: Staged, params: dict[str, np.ndarray]) -> None:
    """Warns of states in which the first half of the groups is done and one moves, if unknown."""
    n_groups = view.schedule.n_groups
    number = np.arange(n_groups)
    done = (number < n_groups // 2).astype("float32")[None]
    moves = (number == n_groups // 2).astype("float32")[None]
    one = {name: value[:1] for name, value in params.items()}
    times = np.linspace(0.1, 0.9, 5, dtype="float32")
    gamma = ops.convert_to_numpy(path(times, moves=moves, done=done, **one).gamma)
    model.check_region(view, np.broadcast_to(gamma, (len(times), *model.data_shape)))
