"""Batches of data to fit to, which can be read several times, one in memory at a time."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from keras_gud.backend import to_numpy
from keras_gud.core.types import Shape, TensorLike


class Batches:
    """An iterable of NumPy arrays ``(batch, *data_shape)`` that can be read several times.

    Args:
        start: Function without arguments that begins a new pass and returns its iterator.

    Example:
    >>> batches = Batches(lambda: iter([np.zeros((2, 3))]))
    >>> [[batch.shape for batch in batches] for _ in range(2)]
    [[(2, 3)], [(2, 3)]]
    """

    def __init__(self, start: Callable[[], Iterator[np.ndarray]]) -> None:
        self.start = start

    def __iter__(self) -> Iterator[np.ndarray]:
        return self.start()

    def map(self, function: Callable[[np.ndarray], TensorLike]) -> "Batches":
        """The same batches with `function` applied to each when it is read."""
        return Batches(lambda: (to_numpy(function(batch)) for batch in self))

    def example_shape(self) -> Shape:
        """Shape of one example, from the first batch.

        Raises:
            ValueError: if there is no batch.
        """
        first = next(iter(self), None)
        if first is None:
            raise ValueError("Expected at least one batch of data. Received: no batch.")
        return first.shape[1:]


def as_batches(data: TensorLike | Iterable[TensorLike], batch_size: int = 1024) -> Batches:
    """Turns an array or an iterable of arrays into `Batches`.

    Args:
        data: An array ``(n, *data_shape)``, or an object whose ``__iter__`` starts a new pass over
            such arrays each time it is called (a list, a dataset; not a generator).
        batch_size: Examples per batch when `data` is an array.

    Raises:
        TypeError: for an iterator, which can be read once only, a batch that is not an array, or
            anything else.
        ValueError: for arrays of anything but real numbers.

    Example:
    >>> import numpy as np
    >>> [len(batch) for batch in as_batches(np.zeros((5, 4)), batch_size=2)]
    [2, 2, 1]
    """
    if isinstance(data, Batches):
        return data
    if hasattr(data, "shape"):
        array = to_numpy(data)
        starts = range(0, len(array), batch_size)
        return Batches(lambda: (_checked(array[i : i + batch_size]) for i in starts))
    if not isinstance(data, Iterable):
        raise TypeError(
            "Expected `data` to be an array or an iterable of arrays (batches). "
            f"Received: data of type {type(data).__name__}."
        )
    # An iterator returns itself from iter(): a second pass over it would silently be empty.
    if isinstance(data, Iterator):
        raise TypeError(
            "Expected `data` to be an array or an iterable that can be read several times, such as "
            f"a list of batches or a dataset. Received: a one-shot {type(data).__name__}; "
            "wrap it in an object whose `__iter__` starts a new pass."
        )
    return Batches(lambda: (_checked(batch) for batch in data))


def join(batches: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """The same examples in order, in larger batches.

    Args:
        batches: Arrays ``(batch, *data_shape)``.
        size: Batches are joined until they hold at least this many values.

    Example:
    >>> [len(block) for block in join([np.zeros((2, 3))] * 5, size=10)]
    [4, 4, 2]
    """
    waiting: list[np.ndarray] = []
    values = 0
    for batch in batches:
        waiting.append(batch)
        values += batch.size
        if values >= size:
            yield waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
            waiting, values = [], 0
    if waiting:
        yield np.concatenate(waiting)


def _checked(batch: TensorLike) -> np.ndarray:
    """The batch as NumPy; no tuples or lists, which NumPy would stack to a wrong shape."""
    if not hasattr(batch, "shape"):
        raise TypeError(
            "Expected every batch to be an array (batch, *data_shape). "
            f"Received: batch of type {type(batch).__name__}."
        )
    batch = to_numpy(batch)
    if batch.dtype.kind in "OSUMmc":
        raise ValueError(
            f"Expected batches of real numbers. Received: batch of dtype {batch.dtype}."
        )
    # Dtypes that some backend does not have: 128-bit floats and integers other than uint8.
    unsupported = batch.dtype.char == "g" or (batch.dtype.kind in "iub" and batch.dtype != np.uint8)
    return batch.astype("float64") if unsupported else batch
