"""One call of a sampler: its arguments checked, its samples in batches, its progress shown."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from keras import ops, tree

from keras_gud import backend
from keras_gud.core import counter_rng
from keras_gud.core.arguments import check_integer
from keras_gud.core.progress import Progress
from keras_gud.core.types import DenoiserFunction, Shape, Tensor
from keras_gud.samplers.contract import Schedule
from keras_gud.samplers.loop import Loop

if TYPE_CHECKING:
    from keras_gud.samplers.sampler import Sampler

# Arguments of a call beside the schedule's parameters: the error for an unknown parameter suggests
# the nearest of both.
_ARGUMENTS = (
    *("steps", "seed", "first", "batch_size", "states", "progress", "condition"),
    *("shape", "denoise", "start", "times", "sampler"),
)


class Run:
    """Takes n samples from one time to another; see `Sampler.integrate` for the arguments."""

    def __init__(
        self,
        sampler: "Sampler",
        loop: Loop,
        schedule: Schedule,
        n: int,
        times: tuple[float, float],
        *,
        steps: int | None = None,
        seed: int = 0,
        first: int | np.ndarray = 0,
        batch_size: int | None = None,
        states: int = 0,
        progress: bool = False,
        condition: dict[str, Any] | None = None,
        **params: Any,
    ) -> None:
        self.sampler, self.loop, self.n = sampler, loop, n
        self.times = tuple(np.float32(t) for t in times)
        self.steps = check_integer("steps", sampler.steps if steps is None else steps, 1)
        batch_size = n if batch_size is None else batch_size
        batch_size = min(check_integer("batch_size", batch_size, 1), n)
        self.rows = ShardedRows(batch_size, sampler.independent_rows)
        self.states = check_integer("states", states, 0)
        # One index for each sample: counted from `first`, or given.
        index = (
            np.asarray(first) if np.ndim(first) else check_integer("first", first) + np.arange(n)
        )
        if index.shape != (n,) or index.dtype.kind not in "iu":
            raise ValueError(
                f"Expected `first` to be an integer, or one for each of n={n} samples. "
                f"Received: first={first!r}."
            )
        self.index = index
        self.seed, self.progress = seed, progress
        self.params = schedule.resolve(params, others=_ARGUMENTS)
        self.condition = {name: np.asarray(value) for name, value in (condition or {}).items()}
        for part in (self.params, self.condition):
            check_rows(part, n)

    def __call__(
        self,
        initial_z: Callable[[Tensor, np.ndarray, dict[str, Tensor]], Tensor],
        denoise: bool,
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Runs all batches.

        Args:
            initial_z: Callable ``(keys, rows, params) -> z``, the components of a batch to begin
                with; `rows` are the indices of its samples.
            denoise: Whether to return the mean of the clean components.

        Returns:
            As `Sampler.integrate`.
        """
        loop, sampler = self.loop, self.sampler
        sampler.statistics = []
        starts = range(0, self.n, self.rows.count)
        progress = Progress(self.steps * len(starts), "step", self.progress)
        results, paths = [], []
        for b, at in enumerate(starts):
            rows = rows_of_batch(at, self.rows.count, self.n)
            keys = counter_rng.keys_of(self.seed, self.index[rows])
            params, condition = (take_rows(part, rows) for part in (self.params, self.condition))
            keys, params, condition = self.rows.shard((keys, params, condition))

            def report(done, b=b):
                progress.update(round(self.steps * (b + done)))

            z = initial_z(keys, rows, params)
            carry = loop.begin(z, params, condition, self.times)
            arguments = keys, params, condition, self.times
            states = max(self.states, 1)
            path = sampler.run_batch(
                loop, carry, arguments, self.steps, states, report if self.progress else None
            )
            z = path[-1]
            if denoise:
                z = loop.finish(z, self.times[1], params, condition)
            results.append(self.rows.gather(z)[: self.n - at])
            if self.states:
                paths.append([self.rows.gather(z)[: self.n - at] for z in path])
        result = np.concatenate(results)
        return (result, np.concatenate(paths, axis=1)) if self.states else result


class ShardedRows:
    """A batch of samples, sharded over the devices of a distributed run, if there are several.

    Args:
        count: Samples in the batch, at least.
        independent: Whether the steps of a sample do not depend on the others of the batch. If they
            do, a batch is sharded only over devices that run one program together.

    Attributes:
        count: Samples in the batch, a multiple of the number of shards.
    """

    def __init__(self, count: int, independent: bool) -> None:
        parts = backend.batch_shards() if independent or backend.is_single_program() else 1
        self.several, self.count = parts > 1, -(-count // parts) * parts

    def shard(self, arrays: Any) -> Any:
        """Nested arrays; those with a row for each sample are sharded, others stay."""
        if not self.several:
            return arrays
        return tree.map_structure(
            lambda x: backend.shard_rows(x) if len(x) == self.count else x, arrays
        )

    def gather(self, x: Tensor) -> np.ndarray:
        """All rows of what has been computed from sharded ones."""
        return backend.gather_rows(x) if self.several else ops.convert_to_numpy(x)


def rows_of_batch(at: int, batch_size: int, n: int) -> np.ndarray:
    """Indices of the samples of the batch that begins with sample `at`, int ``(batch_size,)``.

    The last batch is filled up to the common size with the last sample: one compilation serves all.
    """
    return np.minimum(at + np.arange(batch_size), n - 1)


def take_rows(arrays: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    """These rows of every array; an array of one row, which holds for all samples, stays."""
    return {k: v if len(v) == 1 else v[rows] for k, v in arrays.items()}


def sample_shape(denoiser: DenoiserFunction, shape: Shape | None) -> Shape:
    """Shape of one sample: the given one, or the denoiser's `data_shape`.

    Raises:
        ValueError: if there is neither.
    """
    if shape is None and not hasattr(denoiser, "data_shape"):
        raise ValueError(
            "Expected `shape`, the shape of one sample, with a denoiser that has no attribute "
            "`data_shape`. Received: shape=None."
        )
    return tuple(getattr(denoiser, "data_shape", ()) if shape is None else shape)


def check_times(times: Any, sampler: str, two_way: bool) -> tuple[float, float]:
    """Start and end of an integration as floats.

    Args:
        times: What was given.
        sampler: The sampler's name, for the message.
        two_way: Whether it can go from data to noise.

    Raises:
        ValueError: unless they are two different numbers in [0, 1], the larger one first for a
            sampler that goes one way only.
    """
    try:
        begin, end = (float(t) for t in times)
    except (TypeError, ValueError):
        begin = end = np.nan
    if not (0.0 <= begin <= 1.0 and 0.0 <= end <= 1.0) or begin == end:
        raise ValueError(
            f"Expected `times` to be two different numbers in [0, 1]. Received: times={times}."
        )
    if end > begin and not two_way:
        raise ValueError(
            "Expected a Runge-Kutta sampler to go from data to noise, e.g. 'adaptive' or "
            f"'rk4'. Received: times={times} for {sampler}."
        )
    return begin, end


def check_rows(arrays: dict[str, np.ndarray], n: int) -> None:
    """Raises a `ValueError` unless every array has one row, or one for each of n samples."""
    for name, value in arrays.items():
        if len(value) not in (1, n):
            raise ValueError(
                f"Expected one value of `{name}`, or one for each of n={n} samples. "
                f"Received: {len(value)} values."
            )
