"""One step of a sampler: its clock and its noise, by the number of the step."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from keras_gud.core.types import DenoiserFunction, Tensor
from keras_gud.samplers.contract import Carry, StateAt, Times
from keras_gud.samplers.spacing import clock_of

if TYPE_CHECKING:
    from keras_gud.samplers.sampler import Sampler

# The counters of the draws of one step are this far apart.
_DRAWS_APART = 2**24


def take_step(
    sampler: "Sampler",
    denoiser: DenoiserFunction,
    state_at: StateAt,
    carry: Carry,
    times: Times,
    bounds: tuple[Tensor, ...],
    draw_at: Callable[[Tensor], Tensor],
) -> Carry:
    """Takes step i of `steps`, ``bounds = (i, steps)``; other arguments as in `Sampler.advance`."""
    i, steps = bounds

    def draw(k: int = 0):
        return draw_at(i + k * _DRAWS_APART)

    z, *memory = carry
    clock = clock_of(i, steps, times, sampler.spacing)
    z, new = sampler.step(denoiser, state_at, z, tuple(memory), clock, draw)
    return (z, *new)
