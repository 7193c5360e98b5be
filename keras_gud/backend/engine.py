"""What an engine of distributed training has to answer; the answers of one device by itself."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import keras


def _same(x):
    return x


@dataclass(frozen=True)
class Engine:
    """Each entry is what the function of its name in `devices` returns or calls.

    The defaults are right for one process with one device; an engine gives what is otherwise.
    """

    process: tuple[int, int] = (0, 1)
    data_part: tuple[int, int] = (0, 1)
    batch_parts: int = 1
    replica: Callable = lambda: (0, 1)
    own_part: Callable = _same
    share_rows: Callable = _same
    is_shared: Callable = lambda x: False
    whole: Callable = keras.ops.convert_to_numpy
    value_of: Callable = keras.ops.convert_to_numpy
    all_rows: Callable = _same
    share_of_loss: Callable = _same
    step_results: Callable = _same
    after: Callable = lambda data: contextlib.nullcontext()
    replicated: Callable = _same
    run: Callable = lambda compiled, args: compiled(*args)
    all_processes: Callable = lambda x: x[None]
