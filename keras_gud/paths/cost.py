"""What a path costs a sampler of few steps: its profile in time, and its share by group."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from keras_gud.core import counter_rng
from keras_gud.core.arguments import check_integer
from keras_gud.core.progress import Progress
from keras_gud.core.registry import require_one_of
from keras_gud.core.types import Array, DenoiserFunction
from keras_gud.paths.information import Information
from keras_gud.samplers.contract import Schedule

# What a path can be measured by; "model" is a choice among paths, by the bound.
OBJECTIVES = ("elbo", "ode")


@dataclass(frozen=True)
class PathCost:
    """What a path costs a sampler of few steps, measured.

    Attributes:
        times: Middles of equal intervals of [0, 1], ``(n_times,)``.
        by_group: Cost per unit of time of each group, mean over examples, ``(n_times, n_groups)``.
        energy: The integral of the cost.
        standard_error: Of the energy, over examples.
        nats: The denoiser's loss along the path, the diffusion term of the bound of infinitely
            many steps. Of an exact denoiser it is the same along all paths between two states.

    Example:

    >>> cost = PathCost(np.array([0.25, 0.75]), np.array([[1.0], [9.0]]), 5.0, 0.1, 20.0)
    >>> cost.gap(steps=5), cost.gap(steps=5, best=True), cost.bound(steps=5)
    (0.25, 0.2, 20.25)
    """

    times: Array
    by_group: Array
    energy: float
    standard_error: float
    nats: float = float("nan")

    @property
    def profile(self) -> Array:
        """Cost per unit of time of all groups together, ``(n_times,)``."""
        return self.by_group.sum(axis=1)

    @property
    def share(self) -> Array:
        """Each group's part of the energy, ``(n_groups,)``, of sum 1."""
        return self.by_group.sum(axis=0) / self.by_group.sum()

    @property
    def length(self) -> float:
        """The integral of the square root of the profile: the path's length in the metric."""
        return float(np.sqrt(np.maximum(self.profile, 0.0)).mean())

    def gap(self, steps: int, best: bool = False) -> float:
        """By how much a sampler of so many steps falls short of one of infinitely many.

        Args:
            steps: T, >= 1.
            best: Whether for the same path at its best speed (`warp`).

        Returns:
            Of the objective ``"elbo"``, nats of the bound of ancestral sampling; of ``"ode"``, the
            root mean square error of the samples of a first-order solver, if its errors add up,
            in units of the data's standard deviation.
        """
        steps = check_integer("steps", steps, 1)
        return (self.length**2 if best else self.energy) / (4.0 * steps)

    def bound(self, steps: int, best: bool = False) -> float:
        """The diffusion term of the bound of so many ancestral steps, in nats.

        Args:
            steps: As in `gap`, of the objective ``"elbo"``.
            best: As in `gap`.
        """
        return self.nats + self.gap(steps, best)


def cost(
    denoiser: DenoiserFunction,
    schedule: Schedule,
    z0: Array | Iterable[Array],
    groups: Array | None = None,
    times: int = 32,
    seed: int = 0,
    progress: bool = False,
    *,
    objective: str = "elbo",
    variance: Array | None = None,
    **params: Any,
) -> PathCost:
    """Measures what a path costs; by one Jacobian-vector product for each example and time.

    Args:
        denoiser: Callable ``(z, state) -> eps``: an oracle, or `GUDModel.denoiser`.
        schedule: The adapted schedule.
        z0: Clean components ``(n, *data_shape)``, or batches of them of one size.
        groups: Group of every component, integers from 0 of `data_shape`, for the shares; default:
            one group.
        times: Number of times, >= 2.
        seed: Of the noise and the probes.
        progress: Whether to show a progress bar.
        objective: ``"elbo"``: the energy of `keras_gud.paths`. ``"ode"``: four times the error, in
            samples, of a step of a first-order solver of the probability flow, for each unit of the
            step's square.
        variance: Variances of the components of z0, for ``"ode"``; default: 1.
        **params: Parameters of the schedule; those left open take the middle of their range.

    Raises:
        ValueError: for `times` < 2, no examples, or an unknown objective.

    Example:

    >>> from keras_gud import oracle, schedules
    >>> schedule = schedules.Sequential(b=0.0, over=0); schedule.adapt(variance=np.ones(3))
    >>> truth = oracle.Gaussian(np.zeros(3), np.eye(3))
    >>> found = cost(truth, schedule, np.random.default_rng(0).normal(size=(8, 3)))
    >>> round(found.gap(steps=32), 2)
    1.69
    """
    times = check_integer("times", times, 2)
    require_one_of("objective", objective, OBJECTIVES)
    batches = batches_of(z0)
    shape = batches[0].shape[1:]
    groups = np.zeros(shape, "int32") if groups is None else np.asarray(groups)
    variance = np.ones(shape) if variance is None else variance
    chosen = schedule.resolve(params)
    information = Information(denoiser, schedule, groups, chosen, variance)
    return measure(information, batches, times, seed, progress, objective)


def batches_of(z0: Array | Iterable[Array]) -> list[Array]:
    """Batches of components in float32.

    Args:
        z0: As in `cost`.

    Raises:
        ValueError: for no examples.
    """
    batches = [np.asarray(b, "float32") for b in ([z0] if hasattr(z0, "shape") else z0)]
    if not sum(map(len, batches)):
        raise ValueError("Expected at least one example. Received: none.")
    return batches


def measure(
    information: Information,
    batches: list[Array],
    times: int,
    seed: int,
    progress: bool,
    objective: str,
) -> PathCost:
    """What the path of `information` costs now; see `cost`."""
    middle = (np.arange(times) + 0.5) / times
    at = information.speed if objective == "elbo" else information.bend
    parts, first = [], 0
    for batch in batches:
        parts.append(_over_time(at, batch, middle, seed, first, progress))
        first += len(batch)
    # (times, examples, groups) and (times, examples)
    values, nats = (np.concatenate(columns, axis=1) for columns in zip(*parts, strict=True))
    if objective == "ode":
        values = _roots(values)
    energies = values.sum(axis=2).mean(axis=0)
    error = float(energies.std(ddof=1) / np.sqrt(first)) if first > 1 else float("nan")
    by_group = values.mean(axis=1)
    return PathCost(middle, by_group, float(energies.mean()), error, float(nats.mean()))


def _roots(squares: Array) -> Array:
    """Four times the root mean square, as a mean over examples and a sum over groups."""
    mean = squares.sum(axis=2).mean(axis=1)[:, None, None]
    root = np.sqrt(np.maximum(mean, 1e-30))
    # Each example's first-order part in the root, so that their spread is the root's error.
    share = squares / np.maximum(mean, 1e-30)
    return 4.0 * root * share


def _over_time(at, batch, times, seed, first, progress) -> tuple[Array, Array]:
    shown = Progress(len(times), "time", progress)
    keys = counter_rng.sample_keys(seed, len(batch), first)
    found = []
    for k, t in enumerate(times):
        parts = at(np.float32(t), batch, keys)
        found.append([ops.convert_to_numpy(part).astype("float64") for part in parts])
        shown.update(k + 1)
    values, nats = zip(*found, strict=True)
    return np.stack(values), np.stack(nats)
