"""Several processes of one run: which one this is, and what they exchange.

Without a distribution every function here returns what is right for a single process.
"""

import contextlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_gud.backend.devices import value_of
from keras_gud.backend.distribution import current_distribution

# Error messages are exchanged as arrays of this many bytes.
_MESSAGE_BYTES = 2048


def process_index() -> int:
    """The index of this process in the run.

    >>> process_index()
    0
    """
    return current_distribution().process_index


def process_count() -> int:
    """The number of processes of the run.

    >>> process_count()
    1
    """
    return current_distribution().process_count


def process_allgather(array: ArrayLike) -> np.ndarray:
    """The arrays of all processes, of the same shape and dtype, stacked along a new first axis.

    >>> process_allgather(np.arange(2)).tolist()
    [[0, 1]]
    """
    array = np.asarray(array)
    if process_count() == 1:
        return array[None]
    # As bytes, for jax would round 64 bits to 32.
    gathered = current_distribution().process_allgather(np.frombuffer(array.tobytes(), "uint8"))
    return np.frombuffer(gathered.tobytes(), array.dtype).reshape(-1, *array.shape)


def summed_over_processes(variables: Iterable[keras.Variable]) -> AbstractContextManager:
    """A context in which sums that each process accumulates for itself are those of all processes.

    Only on torch: elsewhere one step counts the whole batch.

    Args:
        variables: Keras variables; only scalars are summed.
    """
    if keras.backend.backend() != "torch" or process_count() == 1:
        return contextlib.nullcontext()
    variables = [v for v in variables if v.shape == ()]
    values = np.stack([value_of(v).astype("float64") for v in variables])
    sums = process_allgather(values).sum(axis=0)
    mapping = [
        (v, keras.ops.convert_to_tensor(total, v.dtype))
        for v, total in zip(variables, sums, strict=True)
    ]
    return keras.StatelessScope(state_mapping=mapping)


def part_of_sum(value: np.ndarray) -> np.ndarray:
    """This process' part of a sum over processes: all of it in the first one, 0 in the others.

    So that `summed_over_processes` gives the sum again. Arrays are not sums and stay as they are.
    """
    holds_all = keras.backend.backend() != "torch" or process_index() == 0 or value.ndim
    return value if holds_all else np.zeros_like(value)


def synchronized_batches(batches: Iterable[Any]) -> Iterator[Any]:
    """Batches of unknown number, for as long as every process has one more.

    Args:
        batches: The batches of this process.

    Raises:
        RuntimeError: where some processes have one more batch and others do not, or have failed:
            the ones that do would wait for the others for ever.
    """
    batches, count = iter(batches), 0
    while True:
        with raise_together("read its data"):
            batch = next(batches, None)
        has_batch = process_allgather(np.asarray(batch is not None))
        if not has_batch.all():
            break
        yield batch
        count += 1
    if has_batch.any():
        raise RuntimeError(
            "Expected data of the same number of batches in every process. Received: after "
            f"{count} batches those of processes {np.flatnonzero(~has_batch).tolist()} of "
            f"{len(has_batch)} have ended."
        )


@contextlib.contextmanager
def raise_together(action: str) -> Iterator[None]:
    """A context that raises in all processes if it raises in one, so that none waits for another.

    Args:
        action: What is done in the block, for the message: ``"open the data"``.

    Raises:
        RuntimeError: if the block raised in another process.
    """
    error = None
    try:
        yield
    except Exception as raised:
        error = raised
    if process_count() > 1:
        text = "" if error is None else f"{type(error).__name__}: {error}"
        message = text.encode()[:_MESSAGE_BYTES].ljust(_MESSAGE_BYTES, b"\0")
        messages = process_allgather(np.frombuffer(message, "uint8"))
        others = [bytes(row).rstrip(b"\0").decode(errors="replace") for row in messages]
        for i, other in enumerate(others):
            if other and error is None:
                raise RuntimeError(
                    f"Expected every process to {action}. Received: process {i} of {len(others)} "
                    f"failed, with {other}"
                )
    if error is not None:
        raise error
