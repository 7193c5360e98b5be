"""The loop of all samplers: compiled whole, with traced bounds, flat in memory."""

import functools

import keras

from keras_gud import backend
from keras_gud.core import counter_rng
from keras_gud.diffusion.noising_state import z0_from_eps

# The draw that makes z(1); the sampler's steps are numbered from 0.
_START = -1
_MOST_KINKS = 128


class Path:
    """A schedule with its parameters: a callable from a time to a `NoisingState`.

    Args:
        schedule: Callable ``(t, **params) -> NoisingState``.
        params: The parameters, tensors with one row, or one for each sample.

    Attributes:
        kinks: `None`, or the times, float32 ``(n,)``, at which the field of an ODE jumps. Only
            where all samples share them and they are few: many small ones do no harm.
    """

    def __init__(self, schedule, params):
        self.schedule, self.params = schedule, params
        kinks = schedule.kinks(**params) if hasattr(schedule, "kinks") else None
        usable = kinks is not None and kinks.shape[0] == 1 and kinks.shape[1] <= _MOST_KINKS
        self.kinks = kinks[0] if usable else None

    def __call__(self, t):
        """The state at time t."""
        return self.schedule(t, **self.params)


class Reader:
    """The Keras variables that some parts read, as arguments of compiled functions.

    So none is baked in, and new values take effect.

    Args:
        *parts: Objects, those that read variables with an attribute `variables`.
    """

    def __init__(self, *parts):
        self.variables = [v for part in parts for v in getattr(part, "variables", ())]

    def values(self):
        """The present values of the variables."""
        return [v.value for v in self.variables]

    def scope(self, values):
        """A context in which the variables have these values."""
        return keras.StatelessScope(state_mapping=list(zip(self.variables, values, strict=True)))


class Loop(Reader):
    """Start, steps and finish, compiled for one sampler, denoiser, schedule and shape.

    Denoiser and schedule are kept alive, so that their ids stay theirs.

    Args:
        sampler: The `Sampler`, for its `begin` and `advance`.
        denoiser: Callable ``(z, state, **condition) -> eps``.
        schedule: Callable ``(t, **params) -> NoisingState``.
        shape: Shape of one sample.
        matched: Whether z(1) has the data's own moments, where the denoiser knows them.

    Attributes:
        start: Compiled function that gives z(1).
        begin: Compiled function from z to what `advance` carries along.
        advance: Compiled function that takes steps.
        finish: Compiled function that gives the mean of the clean components given z(t).
    """

    def __init__(self, sampler, denoiser, schedule, shape, matched):
        super().__init__(denoiser, schedule)

        def start(values, keys, params):
            z = counter_rng.normal(keys, _START, shape)
            if not (matched and hasattr(denoiser, "start")):
                return z
            with self.scope(values):
                return denoiser.start(z, schedule(1.0, **params))

        def parts(params, condition):
            return functools.partial(denoiser, **condition), Path(schedule, params)

        def begin(values, z, params, condition, times):
            with self.scope(values):
                return sampler.begin(*parts(params, condition), z, times)

        def advance(values, carry, keys, params, condition, times, bounds):
            """All numbers are traced, the bounds too: one executable for any number of steps."""

            def draw_at(counter):
                return counter_rng.normal(keys, counter, shape)

            with self.scope(values):
                return sampler.advance(*parts(params, condition), carry, times, bounds, draw_at)

        def finish(values, z, t, params, condition):
            with self.scope(values):
                state = schedule(t, **params)
                return z0_from_eps(z, denoiser(z, state, **condition), state)

        self.start = backend.compile(start)
        self.begin = backend.compile(begin)
        self.advance = backend.compile(advance)
        self.finish = backend.compile(finish)
