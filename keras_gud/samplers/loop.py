"""The loop of all samplers: compiled whole, with traced bounds, flat in memory."""

import functools

import keras
from keras import ops

from keras_gud import backend, noise
from keras_gud.process import x0_from_eps

# The draw that makes z(1); the sampler's steps are numbered from 0.
_START = -1


class Loop:
    """Start, steps and finish, compiled for one step function, denoiser, schedule and shape.

    Variables that the denoiser and the schedule read are arguments of the compiled functions, so
    none is baked in. Denoiser and schedule are kept alive, so that their ids stay theirs.

    Args:
        step: `Sampler.step`.
        denoiser: Callable ``(z, state, **condition) -> eps``.
        schedule: Callable ``(t, **params) -> NoisingState``.
        shape: Shape of one sample.
        matched: Whether z(1) has the data's own moments, where the denoiser knows them.

    Attributes:
        start: Compiled function that gives z(1).
        segment: Compiled function that takes steps i0 .. i1 - 1 of `steps`.
        finish: Compiled function that gives the mean of the clean components given z(0).
    """

    def __init__(self, step, denoiser, schedule, shape, matched):
        self.variables = [
            v for part in (denoiser, schedule) for v in getattr(part, "variables", ())
        ]

        def start(values, keys, params):
            z = noise.normal(keys, _START, shape)
            if not (matched and hasattr(denoiser, "start")):
                return z
            with self._scope(values):
                return denoiser.start(z, schedule(1.0, **params))

        def segment(values, z, memory, keys, params, condition, i0, i1, steps):
            """All numbers are traced, the bounds too: one executable for any number of steps."""
            told = functools.partial(denoiser, **condition)

            def state_at(t):
                return schedule(t, **params)

            def body(i, carried):
                def clock(k):
                    left = ops.minimum(steps - i - k, steps)
                    return ops.cast(left, "float32") / ops.cast(steps, "float32")

                def draw():
                    return noise.normal(keys, i, shape)

                return step(told, state_at, *carried, clock, draw)

            with self._scope(values):
                return ops.fori_loop(i0, i1, body, (z, tuple(memory)))

        def finish(values, z, params, condition):
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
