"""What a path costs: the energy of `keras_gud.paths`, its profile in time, its share by group."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud.core import counter_rng
from keras_gud.core.arguments import check_integer
from keras_gud.core.types import Array, DenoiserFunction
from keras_gud.paths.information import Information
from keras_gud.samplers.contract import Schedule


@dataclass(frozen=True)
class PathCost:
    """The energy of a path, measured.

    Attributes:
        times: Middles of equal intervals of [0, 1], ``(n_times,)``.
        by_group: Energy per unit of time of each group, mean over examples,
            ``(n_times, n_groups)``.
        energy: The integral, in nats.
        standard_error: Of the energy, over examples.

    Example:

    >>> cost = PathCost(np.array([0.25, 0.75]), np.array([[1.0], [9.0]]), 5.0, 0.1)
    >>> cost.gap(steps=5), cost.gap(steps=5, best=True)
    (0.25, 0.2)
    """

    times: Array
    by_group: Array
    energy: float
    standard_error: float

    @property
    def profile(self) -> Array:
        """Energy per unit of time of all groups together, ``(n_times,)``."""
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
        """Nats by which the bound of so many ancestral steps exceeds that of infinitely many.

        Args:
            steps: T, >= 1.
            best: Whether for the same path at its best speed (`warp`).
        """
        steps = check_integer("steps", steps, 1)
        return (self.length**2 if best else self.energy) / (4.0 * steps)


def cost(
    denoiser: DenoiserFunction,
    schedule: Schedule,
    z0: Array | Iterable[Array],
    groups: Array | None = None,
    times: int = 32,
    seed: int = 0,
    progress: bool = False,
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
        **params: Parameters of the schedule; those left open take the middle of their range.

    Raises:
        ValueError: for `times` < 2, or no examples.

    Example:

    >>> from keras_gud import oracle, schedules
    >>> schedule = schedules.Sequential(b=0.0, over=0); schedule.adapt(variance=np.ones(3))
    >>> truth = oracle.Gaussian(np.zeros(3), np.eye(3))
    >>> found = cost(truth, schedule, np.random.default_rng(0).normal(size=(8, 3)))
    >>> round(found.gap(steps=32), 2)
    1.69
    """
    times = check_integer("times", times, 2)
    batches = [z0] if hasattr(z0, "shape") else z0
    middle = (np.arange(times) + 0.5) / times
    information, found, count = None, [], 0
    for batch in batches:
        batch = np.asarray(batch, "float32")
        if information is None:
            index = np.zeros(batch.shape[1:], "int32") if groups is None else np.asarray(groups)
            information = Information(denoiser, schedule, index, schedule.resolve(params))
        found.append(_over_time(information, batch, middle, seed, count, progress))
        count += len(batch)
    if not count:
        raise ValueError("Expected at least one example. Received: none.")
    every = np.concatenate(found, axis=1)  # (times, examples, groups)
    energies = every.sum(axis=2).mean(axis=0)
    error = float(energies.std(ddof=1) / np.sqrt(count)) if count > 1 else float("nan")
    return PathCost(middle, every.mean(axis=1), float(energies.mean()), error)


def _over_time(information, batch, times, seed, first, progress) -> Array:
    bar = keras.utils.Progbar(len(times), unit_name="time") if progress else None
    keys = counter_rng.sample_keys(seed, len(batch), first)
    found = []
    for k, t in enumerate(times):
        part = information.speed(np.float32(t), batch, keys)
        found.append(ops.convert_to_numpy(part).astype("float64"))
        if bar:
            bar.update(k + 1)
    return np.stack(found)
