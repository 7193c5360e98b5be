"""Better paths between the ends of a given one: its best speed, and the best curve of each group.

`warp` moves along the same states at constant speed. `optimize` lets each group move at constant
speed *in its own metric*: with ``s_g = int sqrt(sum_{i, j in g} C_ij^2) dgamma_g`` measured along
the present path, the new one has s_g linear in t. It is a geodesic where the correlations between
groups do not change along the path; for Gaussian data in their eigenbasis, exactly
``log(1 + SNR_i)`` linear in t. Measured and drawn anew a few times; the cheapest counts.

A trained network is not exact: its loss differs from path to path, least on those that it was
trained on most. So a path can also be chosen by the whole bound, loss and gap.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from keras_gud.core import counter_rng
from keras_gud.core.arguments import check_integer
from keras_gud.core.registry import require_one_of
from keras_gud.core.types import Array, Coordinates, DenoiserFunction
from keras_gud.paths.cost import PathCost, batches_of, measure
from keras_gud.paths.information import Information, groups_of
from keras_gud.schedules import ComponentSchedule, Curves, Retimed

# A group that has nothing to say at some time moves there at most so many times faster than it
# would if it said as much as at its best.
_FASTEST = 1e3
_MOST_GROUPS = 256
# Between two times at which the metric is measured a curve has so many knots.
_FINE = 4
_OBJECTIVES = ("elbo", "model", "ode")
# Values of each parameter of a family that are tried, by the number of parameters.
_VALUES = {1: 5, 2: 3}


def warp(schedule: ComponentSchedule, found: PathCost) -> Retimed:
    """The same path at constant speed in the metric, its best.

    Args:
        schedule: The adapted schedule.
        found: Its `cost`.

    Returns:
        The schedule, adapted.

    Example:

    >>> import numpy as np
    >>> from keras_gud import schedules
    >>> uneven = PathCost(np.array([0.25, 0.75]), np.array([[1.0], [9.0]]), 5.0, 0.1)
    >>> schedule = schedules.get("cosine"); schedule.adapt(np.ones(2))
    >>> times = warp(schedule, uneven).times
    >>> bool(times[len(times) // 2] > 0.6)  # the first half of the path takes less time
    True
    """
    return Retimed(schedule, _even_times(found))


def _even_times(found: PathCost) -> Array:
    """Times of the schedule, from 0 to 1, between which equal lengths of the path lie."""
    speed = np.sqrt(np.maximum(found.profile, 0.0))
    even = np.linspace(0.0, 1.0, _FINE * len(speed) + 1)
    return _at_constant_speed(speed[:, None], np.ones((1, 1)), even[:, None])[:, 0]


def _at_constant_speed(speeds: Array, moved: Array, values: Array) -> Array:
    """Values at equally spaced parts of the length passed, ``(_FINE n + 1, n_groups)``.

    Args:
        speeds: Length for each unit moved, at the middles of n equal intervals of time,
            ``(n, n_groups)``.
        moved: Units moved in each of ``_FINE n`` intervals; broadcasts.
        values: At the ends of these, ``(_FINE n + 1, n_groups)``.
    """
    n = len(speeds)
    log_speeds = np.log(np.maximum(speeds, speeds.max(axis=0) / _FASTEST))
    middle, fine = ((np.arange(k) + 0.5) / k for k in (n, _FINE * n))
    # On to both ends, as between the first and the last two.
    first, last = 1.5 * log_speeds[:1] - 0.5 * log_speeds[1:2], log_speeds[-1:]
    last = 1.5 * last - 0.5 * log_speeds[-2:-1] if n > 1 else last
    middle, log_speeds = np.r_[0.0, middle, 1.0], np.concatenate([first, log_speeds, last])
    new = []
    for g in range(speeds.shape[1]):
        lengths = (
            np.exp(np.interp(fine, middle, log_speeds[:, g]))
            * np.broadcast_to(moved, (len(fine), speeds.shape[1]))[:, g]
        )
        passed = np.concatenate([[0.0], np.cumsum(lengths)])
        even = np.linspace(0.0, passed[-1], len(passed))
        new.append(np.interp(even, passed, values[:, g]))
    return np.stack(new, axis=1)


def optimize(
    denoiser: DenoiserFunction,
    schedule: ComponentSchedule,
    z0: Array | Iterable[Array],
    coordinates: Coordinates,
    over: str | Sequence[str] = (),
    *,
    objective: str = "elbo",
    steps: int = 16,
    variance: Array | None = None,
    data_variance: Array | None = None,
    rounds: int = 2,
    knots: int = 32,
    seed: int = 0,
    progress: bool = False,
    **params: Any,
) -> tuple[Curves, PathCost]:
    """The best path between the ends of a given one, by measurement.

    Args:
        denoiser: As in `cost`.
        schedule: Where to begin: an adapted schedule whose gamma is the same within each group.
        z0: As in `cost`; read once.
        coordinates: The coordinates of the basis.
        over: Names of the coordinates whose combinations of values are the groups; ``()``: one
            group, of which the speed alone is optimised.
        objective: ``"elbo"``: the least gap between the bounds of few and of infinitely many
            ancestral steps. ``"model"``: the least bound of `steps` steps, with the denoiser's own
            loss, among the paths of a family at their best speed and the one of ``"elbo"``.
            ``"ode"``: the least error of a deterministic solver, by the speed alone: there is no
            metric for its directions.
        steps: Of the objective ``"model"``, >= 2.
        variance: Variances of the components of z0, for ``"ode"``; default: 1.
        data_variance: Variances of the data's components, for groups by ``"rank"`` and the like;
            default: `variance`.
        rounds: How often the metric is measured anew, >= 1.
        knots: Number of times at which the metric is measured; the curves have four times as many
            intervals.
        seed: As in `cost`.
        progress: As in `cost`.
        **params: As in `cost`; of ``"model"``, those left open are tried.

    Returns:
        The path, adapted, and its cost.

    Raises:
        ValueError: for groups within which gamma differs, coordinates that there are not, or an
            unknown objective.

    Example:

    >>> import numpy as np
    >>> from keras_gud import oracle, paths, schedules
    >>> variance = np.array([10.0, 0.1])
    >>> schedule = schedules.Sequential(b=0.0, over=0); schedule.adapt(variance)
    >>> truth = oracle.Gaussian(np.zeros(2), np.diag(variance))
    >>> z0 = np.random.default_rng(0).normal(size=(4, 2)) * np.sqrt(variance)
    >>> best, found = optimize(truth, schedule, z0, {"i": np.arange(2)}, over="i")
    >>> found.gap(8) < paths.cost(truth, schedule, z0).gap(8, best=True)
    True
    """
    rounds, knots = check_integer("rounds", rounds, 1), check_integer("knots", knots, 2)
    steps = check_integer("steps", steps, 2)
    require_one_of("objective", objective, _OBJECTIVES)
    batches = batches_of(z0)
    variance = np.ones(batches[0].shape[1:]) if variance is None else np.asarray(variance)
    data_variance = variance if data_variance is None else data_variance
    groups = groups_of(over, coordinates, data_variance)
    if groups.max() >= _MOST_GROUPS:
        raise ValueError(
            f"Expected `over` with at most {_MOST_GROUPS} groups, each of which is measured. "
            f"Received: over={over!r}, {groups.max() + 1} groups."
        )
    begins = _begins(schedule, groups, knots, params, objective)
    path = Curves(begins[0], over)
    path.adapt(data_variance, coordinates=coordinates)
    information = Information(denoiser, path, groups, {}, variance)
    measured_by = "ode" if objective == "ode" else "elbo"
    search = _Search(information, path, batches, knots, seed, progress, measured_by)
    tried = [search.at_best_speed(gamma) for gamma in begins]
    # The middle of a family is the one to begin with; its curves are drawn anew.
    tried += search.straightened(tried[0], rounds, of_groups=objective != "ode")

    def price(one: tuple[Array, PathCost]) -> float:
        return one[1].bound(steps, best=True) if objective == "model" else one[1].length

    path.move(min(tried, key=price)[0])
    return path, search.measured()


@dataclass(frozen=True)
class _Search:
    """One set of curves that is moved and measured, so that it is compiled once."""

    information: Information
    path: Curves
    batches: list[Array]
    knots: int
    seed: int
    progress: bool
    objective: str

    def measured(self) -> PathCost:
        """The cost of the curves as they are now."""
        rest = self.knots, self.seed, self.progress, self.objective
        return measure(self.information, self.batches, *rest)

    def at_best_speed(self, gamma: Array) -> tuple[Array, PathCost]:
        """The knots of the same path at its best speed, and its cost before."""
        self.path.move(gamma)
        found = self.measured()
        return _knots_of(self.path, self.information.groups, _even_times(found), {}), found

    def straightened(
        self, begin: tuple[Array, PathCost], rounds: int, of_groups: bool
    ) -> list[tuple[Array, PathCost]]:
        """What comes of a path in some rounds."""
        found = [begin]
        for _ in range(rounds):
            self.path.move(found[-1][0])
            gamma = self._constant_speeds() if of_groups else found[-1][0]
            found.append(self.at_best_speed(gamma))
        return found[1:]

    def _constant_speeds(self) -> Array:
        """The knots of the path on which each group has constant speed in its own metric."""
        middle = (np.arange(self.knots) + 0.5) / self.knots
        gamma = _knots_of(self.path, self.information.groups, _fine_times(self.knots), {})
        n_groups = self.information.n_groups
        speeds = np.zeros((self.knots, n_groups))
        for k, g in itertools.product(range(self.knots), range(n_groups)):
            speeds[k, g] = np.sqrt(np.concatenate(list(self._own(middle[k], g))).mean())
        return _at_constant_speed(speeds, np.diff(gamma, axis=0), gamma)

    def _own(self, t: float, group: int) -> Iterator[Array]:
        first = 0
        for batch in self.batches:
            keys = counter_rng.sample_keys(self.seed, len(batch), first)
            own = self.information.own(np.float32(t), batch, keys, np.int32(group))
            yield ops.convert_to_numpy(own)
            first += len(batch)


def _begins(
    schedule: ComponentSchedule,
    groups: Array,
    knots: int,
    params: dict[str, Any],
    objective: str,
) -> list[Array]:
    """The knots of the paths to begin with: the middle of a family, then others to be tried."""
    open_ = [n for n, (low, high) in schedule.ranges.items() if low < high and n not in params]
    chosen = [schedule.resolve(params)]
    if objective == "model" and open_:
        count = _VALUES.get(len(open_), 2)
        values = [np.linspace(*schedule.ranges[name], count) for name in open_]
        for row in itertools.product(*values):
            chosen.append(schedule.resolve(params | dict(zip(open_, map(float, row), strict=True))))
    return [_knots_of(schedule, groups, _fine_times(knots), one) for one in chosen]


def _fine_times(knots: int) -> Array:
    return np.linspace(0.0, 1.0, _FINE * knots + 1)


def _knots_of(
    schedule: ComponentSchedule, groups: Array, times: Array, params: dict[str, Any]
) -> Array:
    """Gamma of each group at some times, float64 ``(n, n_groups)``.

    Raises:
        ValueError: for groups within which gamma differs.
    """
    gamma = ops.convert_to_numpy(schedule(times.astype("float32"), **params).gamma)
    gamma = np.broadcast_to(gamma, (len(times), *groups.shape)).reshape(len(times), -1)
    gamma = gamma.astype("float64")
    _, first = np.unique(groups, return_index=True)
    found = gamma[:, first]
    apart = np.abs(gamma - found[:, groups.ravel()]).max()
    if apart > 1e-2:
        raise ValueError(
            "Expected `over` to tell all components apart that the schedule does. Received: groups "
            f"within which gamma differs by {apart:.2g}."
        )
    return np.maximum.accumulate(found, axis=0)
