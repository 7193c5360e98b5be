"""What samplers are given, in types: a schedule, and the callables that make up one step."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeAlias

import numpy as np

from keras_gud.core.types import Tensor, TensorLike
from keras_gud.diffusion.noising_state import NoisingState

# Time -> noising state; `loop.Path` is one.
StateAt: TypeAlias = Callable[[Tensor], NoisingState]
# k -> the time k steps from now, a scalar float32 tensor.
Clock: TypeAlias = Callable[[int], Tensor]
# draw(k=0) -> the k-th standard normal noise of a step, of the shape of z.
Draw: TypeAlias = Callable[..., Tensor]
# Start and end of an integration, float32 scalars.
Times: TypeAlias = tuple[Tensor, Tensor]
# Called with the fraction of an integration that is done, for a progress bar.
Report: TypeAlias = Callable[[float], None]
# Tensors that a compiled loop hands from step to step; the first one is z.
Carry: TypeAlias = tuple[Any, ...]


class Schedule(Protocol):
    """A `schedules.ComponentSchedule`, or a path that is made of one.

    It may also have `variables`, the Keras variables that it reads, and `kinks`, see
    `ComponentSchedule.kinks`.
    """

    def __call__(self, t: TensorLike, *args: Any, **params: Any) -> NoisingState:
        """The noising state at time t."""

    def resolve(self, params: dict[str, Any], others: Iterable[str] = ()) -> dict[str, np.ndarray]:
        """All parameters as arrays; those left open in the middle of their range."""
