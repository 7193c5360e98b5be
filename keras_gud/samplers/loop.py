"""The compiled part of all samplers: where z begins, the loop over the steps, and how it ends.

The numbers of the first and the last step are arguments of the compiled loop. So one compilation
serves any number of steps, intermediate states and a progress bar, and memory does not grow with
the number of steps.
"""

import functools
from typing import TYPE_CHECKING, Any

from keras_gud.core import counter_rng
from keras_gud.core.compiled import CompiledWithVariables
from keras_gud.core.types import DenoiserFunction, Shape, Tensor
from keras_gud.diffusion.noising_state import NoisingState, z0_from_eps
from keras_gud.samplers.contract import Schedule
from keras_gud.samplers.one_step import take_step

if TYPE_CHECKING:
    from keras_gud.samplers.sampler import Sampler

# Compiled loops that a sampler keeps, more than a model needs. Without a limit, guides that are new
# functions at every call would add one loop a call.
MAX_LOOPS = 32
# Counter of the draw that makes z(1); the sampler's steps are numbered from 0.
_START = -1
_MAX_KINKS = 128


class Path:
    """A schedule with its parameters: a callable from a time to a `NoisingState`.

    Args:
        schedule: Callable ``(t, **params) -> NoisingState``.
        params: The parameters, tensors with one row, or one for each sample.

    Attributes:
        kinks: `None`, or the times, float32 ``(n,)``, at which the field of an ODE jumps. Only
            where all samples share them and they are few: many small ones do no harm.
    """

    def __init__(self, schedule: Schedule, params: dict[str, Tensor]) -> None:
        self.schedule, self.params = schedule, params
        kinks = schedule.kinks(**params) if hasattr(schedule, "kinks") else None
        if kinks is not None and (kinks.shape[0] != 1 or kinks.shape[1] > _MAX_KINKS):
            kinks = None
        self.kinks: Tensor | None = None if kinks is None else kinks[0]

    def __call__(self, t: Tensor) -> NoisingState:
        """The state at time t."""
        return self.schedule(t, **self.params)


class Loop(CompiledWithVariables):
    """Start, steps and finish, compiled for one sampler, denoiser, schedule and shape.

    It keeps denoiser and schedule alive: samplers find their loops by the ids of these objects.

    Args:
        sampler: The `Sampler`, for its `begin` and `advance`.
        denoiser: Callable ``(z, state, **condition) -> eps``.
        schedule: Callable ``(t, **params) -> NoisingState``.
        shape: Shape of one sample.
        matched: Whether z(1) has the data's own moments, where the denoiser knows them.

    Attributes:
        start: Compiled function ``(keys, params) -> z(1)``.
        begin: Compiled function ``(z, params, condition, times) -> carry``.
        advance: Compiled function ``(carry, keys, params, condition, times, bounds) -> carry`` that
            takes steps.
        finish: Compiled function ``(z, t, params, condition) -> z0``, the denoiser's mean of the
            clean components given z at time t.
        functions: The same by name, not compiled, and `advance_once`, one step without a loop.
    """

    def __init__(
        self,
        sampler: "Sampler",
        denoiser: DenoiserFunction,
        schedule: Schedule,
        shape: Shape,
        matched: bool,
    ) -> None:
        super().__init__(denoiser, schedule)

        def start(keys, params):
            z = counter_rng.normal(keys, _START, shape)
            if not (matched and hasattr(denoiser, "start")):
                return z
            return denoiser.start(z, schedule(1.0, **params))

        def parts(params: dict[str, Any], condition: dict[str, Any]):
            return functools.partial(denoiser, **condition), Path(schedule, params)

        def begin(z, params, condition, times):
            return sampler.begin(*parts(params, condition), z, times)

        def by(method, carry, keys, params, condition, times, bounds):
            def draw_at(counter):
                return counter_rng.normal(keys, counter, shape)

            return method(*parts(params, condition), carry, times, bounds, draw_at)

        def advance(*arguments):
            return by(sampler.advance, *arguments)

        def advance_once(*arguments):
            return by(functools.partial(take_step, sampler), *arguments)

        def finish(z, t, params, condition):
            state = schedule(t, **params)
            return z0_from_eps(z, denoiser(z, state, **condition), state)

        self.functions = {f.__name__: f for f in (start, begin, advance, advance_once, finish)}
        self.start = self.compile(start)
        self.begin = self.compile(begin)
        self.advance = self.compile(advance)
        self.finish = self.compile(finish)
