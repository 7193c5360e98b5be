"""One loop for all samplers: compiled whole, seeded per sample, flat in memory.

A sampler is a small class with one method, `step`, that takes components from time t to s < t.
The loop around it lives here, once.
"""

import functools
import itertools

import keras
import numpy as np
from keras import ops

from keras_gud import backend, noise
from keras_gud.checks import check_integer
from keras_gud.process import x0_from_eps
from keras_gud.registry import Registry

# The draw that makes z(1); the sampler's steps are numbered from 0.
_START = -1
_ARGUMENTS = (
    "steps",
    "seed",
    "batch_size",
    "denoise",
    "states",
    "progress",
    "sampler",
    "condition",
)


class Sampler:
    """Base class: integrates the reverse process from t = 1 to t = 0, in component space.

    Args:
        steps: Number of steps, uniform in t.

    Raises:
        ValueError: for steps < 1.
    """

    def __init__(self, steps: int = 1000):
        self.steps = check_count("steps", steps)
        self._compiled: dict[tuple, _Functions] = {}

    def step(self, denoiser, schedule, z, t, s, params, draw):
        """One step from time t to s < t.

        Args:
            denoiser: Callable ``(z, state) -> eps``.
            schedule: Callable ``(t, **params) -> NoisingState``.
            z: Components, ``(batch, *data_shape)``.
            t: Scalar float32 tensor, the time now.
            s: Scalar float32 tensor, the time to reach.
            params: Dict of the schedule's parameters.
            draw: Callable without arguments that returns this step's standard normal noise.

        Returns:
            The components at time s.
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
        wanted = [round(steps * i / states) for i in range(states + 1)] if states else []
        starts = range(0, n, batch_size)
        bar = keras.utils.Progbar(steps * len(starts), unit_name="step") if progress else None
        marks = self._marks(steps, wanted, bar)
        functions = self._functions(denoiser, schedule, shape)
        results, paths = [], []
        for b, start in enumerate(starts):
            # The last batch is filled up to the common size: one compilation serves all.
            keys = noise.sample_keys(seed, batch_size, first + start)
            rows = np.minimum(start + np.arange(batch_size), n - 1)
            chosen = [{k: v if len(v) == 1 else v[rows] for k, v in part.items()} for part in given]
            path = {}
            for i, z in self._run(functions, keys, chosen, steps, marks):
                if i in wanted:
                    path[i] = ops.convert_to_numpy(z)[: n - start]
                if bar:
                    bar.update(b * steps + i)
            z = functions.finish(functions.values(), z, *chosen) if denoise else z
            results.append(ops.convert_to_numpy(z)[: n - start])
            paths.append([path[i] for i in wanted])
        result = np.concatenate(results)
        return (result, np.concatenate(paths, axis=1)) if states else result

    def _marks(self, steps: int, wanted: list[int], bar) -> list[int]:
        """Steps at which the compiled loop is left: for a state to keep or the bar to move."""
        moves = {steps * i // 50 for i in range(51)} if bar else set()
        return sorted({0, steps} | set(wanted) | moves)

    def _run(self, functions, keys, chosen, steps, marks):
        """Integrates one batch; yields (step, z) at every mark."""
        z = functions.start(keys)
        yield 0, z
        for i0, i1 in itertools.pairwise(marks):
            bounds = np.int32(i0), np.int32(i1), np.int32(steps)
            z = functions.segment(functions.values(), z, keys, *chosen, *bounds)
            yield i1, z

    def _functions(self, denoiser, schedule, shape):
        """The compiled loop for this denoiser and schedule, made once."""
        key = (id(denoiser), id(schedule), shape)
        if key not in self._compiled:
            self._compiled[key] = _Functions(self.step, denoiser, schedule, shape)
        return self._compiled[key]

    def get_config(self):
        """The constructor's arguments."""
        return {"steps": self.steps}

    @classmethod
    def from_config(cls, config):
        """Makes a sampler from `get_config`."""
        return cls(**config)


class _Functions:
    """Start, loop and finish, compiled for one denoiser, schedule and shape.

    Variables that the denoiser and the schedule read are arguments of the compiled functions, so
    none is baked in. Denoiser and schedule are kept alive, so that their ids stay theirs.
    """

    def __init__(self, step, denoiser, schedule, shape):
        self.variables = [
            v for part in (denoiser, schedule) for v in getattr(part, "variables", ())
        ]

        def start(keys):
            return noise.normal(keys, _START, shape)

        def segment(values, z, keys, params, condition, i0, i1, steps):
            """Steps i0 .. i1 - 1 of `steps`; all numbers are traced: one executable for all."""
            told = functools.partial(denoiser, **condition)

            def time(i):
                return ops.cast(steps - i, "float32") / ops.cast(steps, "float32")

            def body(i, z):
                def draw():
                    return noise.normal(keys, i, shape)

                return step(told, schedule, z, time(i), time(i + 1), params, draw)

            with self._scope(values):
                return ops.fori_loop(i0, i1, body, z)

        def finish(values, z, params, condition):
            """The denoiser's mean of the clean components given z(0)."""
            with self._scope(values):
                state = schedule(0.0, **params)
                return x0_from_eps(z, denoiser(z, state, **condition), state)

        self.start = backend.compile(start)
        self.segment = backend.compile(segment)
        self.finish = backend.compile(finish)

    def values(self):
        """The present values of the variables."""
        return [v.value for v in self.variables]

    def _scope(self, values):
        return keras.StatelessScope(state_mapping=list(zip(self.variables, values, strict=True)))


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
