"""One call of a sampler: its arguments checked, its samples in batches, its progress shown."""

import keras
import numpy as np
from keras import ops, tree

from keras_gud import backend
from keras_gud.core import counter_rng
from keras_gud.core.arguments import check_integer

# What a typo in a parameter of the schedule may have meant.
_ARGUMENTS = (
    *("steps", "seed", "first", "batch_size", "states", "progress", "condition"),
    *("shape", "denoise", "start", "times", "sampler"),
)


class Run:
    """Takes n samples from one time to another; see `Sampler.integrate` for the arguments."""

    def __init__(
        self,
        sampler,
        loop,
        schedule,
        n: int,
        times: tuple,
        *,
        steps: int | None = None,
        seed: int = 0,
        first=0,
        batch_size: int | None = None,
        states: int = 0,
        progress: bool = False,
        condition: dict | None = None,
        **params,
    ):
        self.sampler, self.loop, self.n = sampler, loop, n
        self.times = tuple(np.float32(t) for t in times)
        self.steps = check_integer("steps", sampler.steps if steps is None else steps, 1)
        batch_size = n if batch_size is None else batch_size
        batch_size = min(check_integer("batch_size", batch_size, 1), n)
        self.rows = DividedRows(batch_size, sampler.splits)
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
        self.given = (
            schedule.resolve(params, others=_ARGUMENTS),
            {name: np.asarray(value) for name, value in (condition or {}).items()},
        )
        for part in self.given:
            check_rows(part, n)

    def __call__(self, first_z, denoise: bool):
        """Runs all batches.

        Args:
            first_z: Callable ``(keys, rows, params) -> z``, the components of a batch to begin
                with; `rows` are the indices of its samples.
            denoise: Whether to return the mean of the clean components.

        Returns:
            As `Sampler.integrate`.
        """
        loop, sampler = self.loop, self.sampler
        sampler.statistics = []
        starts = range(0, self.n, self.rows.count)
        bar = None
        if self.progress:
            bar = keras.utils.Progbar(self.steps * len(starts), unit_name="step")
        results, paths = [], []
        for b, at in enumerate(starts):
            rows = rows_of_batch(at, self.rows.count, self.n)
            keys = counter_rng.keys_of(self.seed, self.index[rows])
            params, told = (take_rows(part, rows) for part in self.given)
            keys, params, told = self.rows.divide((keys, params, told))

            def tell(done, b=b):
                bar.update(round(self.steps * (b + done)))

            z = first_z(keys, rows, params)
            carry = loop.begin(loop.values(), z, params, told, self.times)
            parts = keys, params, told, self.times
            how = self.steps, max(self.states, 1), tell if bar else None
            path = sampler.follow(loop, carry, parts, *how)
            z = path[-1]
            if denoise:
                z = loop.finish(loop.values(), z, self.times[1], params, told)
            results.append(self.rows.whole(z)[: self.n - at])
            if self.states:
                paths.append([self.rows.whole(z)[: self.n - at] for z in path])
        result = np.concatenate(results)
        return (result, np.concatenate(paths, axis=1)) if self.states else result


class DividedRows:
    """A batch of samples, divided among the devices of a distributed run, if there are several.

    Args:
        count: Samples in the batch, at least.
        splits: Whether each device may go its own way with its samples. If not, a batch is divided
            only among devices of one program.

    Attributes:
        count: Samples in the batch, as many as the devices can divide.
    """

    def __init__(self, count: int, splits: bool):
        parts = backend.batch_parts() if splits or backend.one_program() else 1
        self.several, self.count = parts > 1, -(-count // parts) * parts

    def divide(self, arrays):
        """Nested arrays; those with a row for each sample are divided, others stay."""
        if not self.several:
            return arrays
        return tree.map_structure(
            lambda x: backend.share_rows(x) if len(x) == self.count else x, arrays
        )

    def whole(self, x) -> np.ndarray:
        """All rows of what has been computed from divided ones."""
        return backend.whole(x) if self.several else ops.convert_to_numpy(x)


def rows_of_batch(at: int, batch_size: int, n: int) -> np.ndarray:
    """Indices of the samples of the batch that begins with sample `at`.

    The last batch is filled up to the common size: one compilation serves all.
    """
    return np.minimum(at + np.arange(batch_size), n - 1)


def take_rows(arrays: dict, rows) -> dict:
    """Those rows of every array; arrays of one row serve all."""
    return {k: v if len(v) == 1 else v[rows] for k, v in arrays.items()}


def check_rows(arrays: dict, n: int):
    """Raises a `ValueError` unless every array has one row, or one for each of n samples."""
    for name, value in arrays.items():
        if len(value) not in (1, n):
            raise ValueError(
                f"Expected one value of `{name}`, or one for each of n={n} samples. "
                f"Received: {len(value)} values."
            )
