"""Strips that move through the window of a model: shift after shift, in constant memory."""

import numpy as np
from keras import ops

from keras_gud.core import counter_rng
from keras_gud.core.compiled import CompiledWithVariables
from keras_gud.tasks.front import Front
from keras_gud.tasks.posterior import pair

# Counter of the noise that moves in; the sampler's own draws are numbered from 0.
_FRESH = -3
# Multistep samplers look back at most so many steps.
_PAST = 3


class Belt(CompiledWithVariables):
    """Moves components by some columns; what moves in is noise, as at the end of the schedule.

    Args:
        denoiser: Callable ``(z, state, **condition) -> eps``.
        schedule: Callable ``(t, **params) -> NoisingState``.
        shape: Shape of one window.
        axis: Axis of `shape` along which it moves.
        reverse: Whether columns with a large index are generated first.
        shift: By how many columns.

    Attributes:
        move: Compiled function ``(tensors, keys, t, params)`` that moves every tensor; t is the
            time after the move.
    """

    def __init__(self, denoiser, schedule, shape, axis: int, reverse: bool, shift: int):
        super().__init__(denoiser, schedule)
        length = shape[axis]

        def cut(x, begin, end):
            return x[(slice(None), *(slice(None),) * axis, slice(begin, end))]

        def moved(x, fresh):
            parts = [cut(x, shift, length), cut(fresh, length - shift, length)]
            if reverse:
                parts = [cut(fresh, 0, shift), cut(x, 0, length - shift)]
            return ops.concatenate(parts, axis=axis + 1)

        def move(tensors, keys, t, params):
            fresh = counter_rng.normal(keys, _FRESH, shape)
            if hasattr(denoiser, "start"):
                fresh = denoiser.start(fresh, schedule(t, **params))
            # Past values of a multistep sampler move along. Columns that are new have not moved in
            # time, so what stands there is not used.
            return tuple(moved(x, fresh) for x in tensors)

        self.move = self.compile(move)


class Rolling:
    """Strips on their way through the window.

    Args:
        sampler: A `Sampler` with even steps.
        denoiser: As for `Belt`.
        schedule: As for `Belt`.
        belt: The `Belt`.
        front: The `Front`.
        steps: Number of steps from `front.begin` to `front.end`.
        seed: Strip s draws noise that depends on (seed, index[s]) alone.
        index: Integers ``(n,)``.
        given: Pair of dicts: the parameters of the schedule, and what the denoiser is told.
        z: Components at `front.begin`, ``(n, *data_shape)``.
    """

    def __init__(
        self, sampler, denoiser, schedule, belt, front: Front, *, steps, seed, index, given, z
    ):
        self.loop = sampler.loop_of(denoiser, schedule, z.shape[1:])
        self.belt, self.front, self.given, self.steps = belt, front, given, steps
        self.seed, self.index, self.turn = seed, index, 0
        self.carry = self.loop.begin(z, *given, self._times(0))

    def turns(self):
        """Endlessly: the mean of the clean components at the end of each shift, then moves on.

        Yields:
            float32 array ``(n, *data_shape)``; the first ``finished + shift`` columns in the order
            of generation are finished.
        """
        params, told = self.given
        while True:
            # A multistep sampler looks back past the move, along with which its memory has moved.
            past = _PAST if self.turn and self.front.exact else 0
            bounds = (np.int32(i) for i in (past, past + self.steps, past + self.steps))
            times = self._times(past)
            parts = self._keys(), params, told, times
            self.carry = self.loop.advance(self.carry, *parts, tuple(bounds))
            mean = self.loop.finish(self.carry[0], times[1], params, told)
            yield ops.convert_to_numpy(mean)
            self.turn += 1
            begin = np.float32(self.front.begin)
            self.carry = self.belt.move(self.carry, self._keys(), begin, params)

    def _times(self, past: int):
        """Begin and end of a way whose first `past` steps have been taken."""
        step = (self.front.begin - self.front.end) / self.steps
        return np.float32(self.front.begin + past * step), np.float32(self.front.end)

    def _keys(self):
        return counter_rng.keys_of(self.seed, pair(self.index, self.turn))
