"""The tasks by name, each with an example of an observation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Task:
    """A task: what draws data given an observation of them.

    Attributes:
        function: Called as ``function(model, **arguments, **options)``, see `Options`.
        observe: An example: a function from a clean image, an array ``(height, width, channels)``
            with values 0 to 255 and even sizes, to the arguments that are an observation of it.

    Example:

    >>> import numpy as np
    >>> arguments = registry["upscale"].observe(np.full((8, 8, 3), 7))
    >>> arguments["low_resolution"].shape, arguments["factor"]
    ((4, 4, 3), 2)
    """

    function: Callable[..., Any]
    observe: Callable[[np.ndarray], dict[str, Any]]


registry: dict[str, Task] = {}


def register(observe: Callable[[np.ndarray], dict[str, Any]]) -> Callable[[Function], Function]:
    """A decorator that registers a function as the task of its name.

    Args:
        observe: See `Task`. What it returns without an argument `noise_std` or `t` is taken for
            exact: observing a draw must then give the same again.
    """

    def add(function: Function) -> Function:
        registry[function.__name__] = Task(function, observe)
        return function

    return add
