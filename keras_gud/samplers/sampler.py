"""What all samplers share: arguments, batches, seeds per sample, intermediate states, progress.

A sampler is a small class with one method, `step`, that takes components from one time to the next.
The compiled loop around it is in `loop.py`.
"""

import itertools

import keras
import numpy as np
from keras import ops

from keras_gud import noise
from keras_gud.checks import check_integer
from keras_gud.registry import Registry
from keras_gud.samplers.loop import Loop

_ARGUMENTS = (
    "steps",
    "seed",
    "batch_size",
    "denoise",
    "states",
    "progress",
    "sampler",
    "condition",
    "start",
)
_STARTS = ("matched", "prior")


class Sampler:
    """Base class: integrates the reverse process from t = 1 to t = 0, in component space.

    Args:
        steps: Number of steps, uniform in t.

    Raises:
        ValueError: for steps < 1.
    """

    def __init__(self, steps: int = 1000):
        self.steps = check_count("steps", steps)
        self._compiled: dict[tuple, Loop] = {}

    def first_memory(self, z) -> tuple:
        """What the first step is given as its memory: tensors of the shape of z (default: none)."""
        return ()

    def step(self, denoiser, state_at, z, memory, clock, draw):
        """One step from time ``clock(0)`` to ``clock(1) < clock(0)``.

        Args:
            denoiser: Callable ``(z, state) -> eps``.
            state_at: Callable from a time to the `NoisingState` at that time.
            z: Components, ``(batch, *data_shape)``.
            memory: What the step before returned beside its components.
            clock: Callable k -> the time k steps from now, a scalar float32 tensor; before the
                first step it stands at 1.
            draw: Callable without arguments that returns this step's standard normal noise.

        Returns:
            The components at ``clock(1)`` and the memory for the next step, a tuple of as many
            tensors as `first_memory`.
        """
        raise NotImplementedError("A Sampler implements step(...).")

    def __call__(
        self,
        denoiser,
        schedule,
        n: int,
        *,
        shape=None,
        steps: int | None = None,
        seed: int = 0,
        first: int = 0,
        batch_size: int | None = None,
        denoise: bool = False,
        states: int = 0,
        progress: bool = False,
        condition: dict | None = None,
        start: str = "matched",
        **params,
    ):
        """Draws samples of the components at t = 0.

        Args:
            denoiser: Callable ``(z, state, **condition) -> eps`` in component space. If it
                has `variables` (Keras variables that it reads), they are passed to the compiled
                loop, so that new values take effect.
            schedule: An adapted `ComponentSchedule`.
            n: Number of samples.
            shape: Shape of one sample; default: `denoiser.data_shape`.
            steps: Overrides the number of steps.
            seed: Seed; sample i depends on (seed, i) alone, not on n or the batch size.
            first: Index of the first sample.
            batch_size: Samples computed at a time; default: all.
            denoise: Whether to return the denoiser's mean of the clean components given z(0)
                instead of z(0) itself (gamma(0) is finite, so z(0) has a little noise left).
            states: Number of evenly spaced intermediate states to return as well.
            progress: Whether to show a progress bar over the steps.
            condition: What the denoiser is told beside the state: arrays by name, with one row or
                one for each sample. Their values need no new compilation.
            start: What z(1) is: ``"matched"``, Gaussian with the moments of noised data as far as
                the denoiser knows them (its method ``start(noise, state)``), or ``"prior"``,
                N(0, 1), which the data reach only in the limit of a large gamma(1).
            **params: The schedule's parameters; those left open take the middle of their range.

        Returns:
            float32 NumPy array ``(n, *shape)``. With `states`, a pair of that and an array
            ``(states + 1, n, *shape)`` of z at times 1, 1 - 1/states, ..., 0.

        Example:

        >>> import numpy as np
        >>> from keras_gud import samplers, schedules
        >>> schedule = schedules.get("vp"); schedule.adapt(variance=np.ones(3))
        >>> noise = lambda z, state: state.sigma * z      # exact for data N(0, 1)
        >>> samplers.EulerMaruyama(steps=10)(noise, schedule, n=4, shape=(3,)).shape
        (4, 3)
        """
        n, first = check_count("n", n), int(first)
        steps = check_count("steps", self.steps if steps is None else steps)
        batch_size = min(check_count("batch_size", n if batch_size is None else batch_size), n)
        states = check_integer("states", states, 0)
        shape = tuple(denoiser.data_shape if shape is None else shape)
        params = schedule.resolve(params, others=_ARGUMENTS)
        given = params, {k: np.asarray(v) for k, v in (condition or {}).items()}
        for part in given:
            _check_rows(part, n)
        if start not in _STARTS:
            raise ValueError(f"Expected `start` to be one of {_STARTS}. Received: start={start!r}.")
        loop = self._loop(denoiser, schedule, shape, start == "matched")
        wanted = [round(steps * i / states) for i in range(states + 1)] if states else []
        starts = range(0, n, batch_size)
        bar = keras.utils.Progbar(steps * len(starts), unit_name="step") if progress else None
        results, paths = [], []
        for b, at in enumerate(starts):
            # The last batch is filled up to the common size: one compilation serves all.
            keys = noise.sample_keys(seed, batch_size, first + at)
            rows = np.minimum(at + np.arange(batch_size), n - 1)
            chosen = [{k: v if len(v) == 1 else v[rows] for k, v in part.items()} for part in given]
            path = {}
            for i, z in self._run(loop, keys, chosen, steps, wanted, bar):
                if i in wanted:
                    path[i] = ops.convert_to_numpy(z)[: n - at]
                if bar:
                    bar.update(b * steps + i)
            z = loop.finish(loop.values(), z, *chosen) if denoise else z
            results.append(ops.convert_to_numpy(z)[: n - at])
            paths.append([path[i] for i in wanted])
        result = np.concatenate(results)
        return (result, np.concatenate(paths, axis=1)) if states else result

    def _run(self, loop, keys, chosen, steps: int, wanted: list[int], bar):
        """Integrates one batch; yields (step, z) at every step that is wanted or moves the bar."""
        moves = {steps * i // 50 for i in range(51)} if bar else set()
        z = loop.start(loop.values(), keys, chosen[0])
        memory = self.first_memory(z)
        yield 0, z
        for i0, i1 in itertools.pairwise(sorted({0, steps} | set(wanted) | moves)):
            bounds = np.int32(i0), np.int32(i1), np.int32(steps)
            z, memory = loop.segment(loop.values(), z, memory, keys, *chosen, *bounds)
            yield i1, z

    def _loop(self, denoiser, schedule, shape, matched):
        """The compiled loop for this denoiser and schedule, made once."""
        key = (id(denoiser), id(schedule), shape, matched)
        if key not in self._compiled:
            self._compiled[key] = Loop(self.step, denoiser, schedule, shape, matched)
        return self._compiled[key]

    def get_config(self):
        """The constructor's arguments."""
        return {"steps": self.steps}

    @classmethod
    def from_config(cls, config):
        """Makes a sampler from `get_config`."""
        return cls(**config)


def _check_rows(arrays: dict, n: int):
    for name, value in arrays.items():
        if len(value) not in (1, n):
            raise ValueError(
                f"Expected one value of `{name}`, or one for each of n={n} samples. "
                f"Received: {len(value)} values."
            )


def check_count(name: str, value) -> int:
    """A positive integer, or a `ValueError` that names the argument."""
    return check_integer(name, value, 1)


registry = Registry("sampler", Sampler)
