"""Generation of long strips through the moving window of a model, in constant memory.

Rolling diffusion (paper sec. 5.2 and app. C; DESIGN sec. 3.12): integrate the window from
`RollingWindow.begin` to its `end`, let the finished columns leave and noise enter, and repeat.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from keras import ops

from keras_gud.core import counter_rng
from keras_gud.core.compiled import CompiledWithVariables
from keras_gud.core.types import DenoiserFunction, Shape
from keras_gud.samplers import Sampler
from keras_gud.samplers.contract import Schedule
from keras_gud.tasks.posterior import cantor_pair
from keras_gud.tasks.rolling_window import RollingWindow

# Counter of the noise that enters; the sampler's own draws are numbered from 0.
_NEW_COLUMNS = -3
# Multistep samplers look back at most this many steps.
_PAST = 3


class CompiledShift(CompiledWithVariables):
    """Moves components by some columns; noise enters, as at the end of the schedule.

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

    def __init__(
        self,
        denoiser: DenoiserFunction,
        schedule: Schedule,
        shape: Shape,
        axis: int,
        reverse: bool,
        shift: int,
    ) -> None:
        super().__init__(denoiser, schedule)
        length = shape[axis]

        def cut(x, begin, end):
            return x[(slice(None), *(slice(None),) * axis, slice(begin, end))]

        def moved(x, noise):
            parts = [cut(x, shift, length), cut(noise, length - shift, length)]
            if reverse:
                parts = [cut(noise, 0, shift), cut(x, 0, length - shift)]
            return ops.concatenate(parts, axis=axis + 1)

        def move(tensors, keys, t, params):
            noise = counter_rng.normal(keys, _NEW_COLUMNS, shape)
            if hasattr(denoiser, "start"):
                noise = denoiser.start(noise, schedule(t, **params))
            # The past estimates of a multistep sampler move too. In new columns gamma has not
            # changed since then, so a sampler does not use theirs.
            return tuple(moved(x, noise) for x in tensors)

        self.move = self.compile(move)


class RollingGeneration:
    """The generation of n strips.

    Args:
        sampler: A `Sampler` with steps of equal length.
        denoiser: As for `CompiledShift`.
        schedule: As for `CompiledShift`.
        shift: The `CompiledShift`.
        window: The `RollingWindow`.
        steps: Number of steps from `window.begin` to `window.end`.
        seed: The noise of strip s depends on (seed, index[s]) alone.
        index: Integers ``(n,)``.
        params: Parameters of the schedule, arrays of one row or n.
        condition: What the denoiser is conditioned on beside the state, arrays of one row or n.
        z: Components at `window.begin`, ``(n, *data_shape)``.
    """

    def __init__(
        self,
        sampler: Sampler,
        denoiser: DenoiserFunction,
        schedule: Schedule,
        shift: CompiledShift,
        window: RollingWindow,
        *,
        steps: int,
        seed: int,
        index: np.ndarray,
        params: dict[str, Any],
        condition: dict[str, Any],
        z: np.ndarray,
    ) -> None:
        self.loop = sampler.loop_of(denoiser, schedule, z.shape[1:])
        self.shift, self.window, self.steps = shift, window, steps
        self.params, self.condition = params, condition
        self.seed, self.index, self.shifts = seed, index, 0
        self.carry = self.loop.begin(z, params, condition, self._times(0))

    def windows(self) -> Iterator[np.ndarray]:
        """Without end: the mean of the clean components at the end of each shift.

        Yields:
            float32 array ``(n, *data_shape)``; the first ``finished + shift`` columns in the order
            of generation are finished.
        """
        while True:
            # After a shift a multistep sampler goes on with the memory of the steps before it,
            # which has moved with the columns.
            past = _PAST if self.shifts and self.window.exact else 0
            bounds = (np.int32(i) for i in (past, past + self.steps, past + self.steps))
            times = self._times(past)
            arguments = self._keys(), self.params, self.condition, times
            self.carry = self.loop.advance(self.carry, *arguments, tuple(bounds))
            mean = self.loop.finish(self.carry[0], times[1], self.params, self.condition)
            yield ops.convert_to_numpy(mean)
            self.shifts += 1
            begin = np.float32(self.window.begin)
            self.carry = self.shift.move(self.carry, self._keys(), begin, self.params)

    def _times(self, past: int) -> tuple[np.float32, np.float32]:
        """Start and end of an integration of which the first `past` steps have been taken."""
        step = (self.window.begin - self.window.end) / self.steps
        return np.float32(self.window.begin + past * step), np.float32(self.window.end)

    def _keys(self) -> np.ndarray:
        return counter_rng.keys_of(self.seed, cantor_pair(self.index, self.shifts))
