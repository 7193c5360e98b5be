"""Data sets whose batches pass through an encoder before Keras reads them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras

from keras_gud.backend import to_numpy
from keras_gud.core.types import Array
from keras_gud.data.batch import Batch, KerasBatch, conditions_of, pick
from keras_gud.data.mapped import MappedBatches
from keras_gud.data.source import Source


class _EncodeBatch:
    """Batches as Keras reads them to ``(encode(x), y[, sample_weight])``, all NumPy."""

    def __init__(self, encode: Callable[[Array], Array]) -> None:
        self.encode = encode

    def __call__(self, batch: KerasBatch) -> Batch:
        given = {name: to_numpy(value) for name, value in conditions_of(batch[0]).items()}
        return self.encode(to_numpy(pick(batch))), given or None, *map(to_numpy, batch[2:])


class _SequentialBatches(keras.utils.PyDataset):
    """Encoded batches of data that can only be read from their beginning on, as often as needed.

    This is neither a `tf.data` pipeline nor a `DataLoader`, since those would run the encoder
    in a graph or in another process.
    """

    in_order = True

    def __init__(
        self,
        batches: Iterable[KerasBatch],
        n_batches: int | None,
        encode_batch: _EncodeBatch,
        shuffler: Any = None,
    ) -> None:
        super().__init__()
        self.shuffler = shuffler  # see `Source`
        self.batches, self.encode_batch, self._n_batches = batches, encode_batch, n_batches
        self._pass: Iterator[KerasBatch] = iter(())

    @property
    def num_batches(self) -> int | None:
        """Number of batches of one pass; `None` if it never ends."""
        return self._n_batches

    def __getitem__(self, index: int) -> Batch:
        if index == 0:
            self._pass = iter(self.batches)
        return self.encode_batch(next(self._pass))


def encode_stream(
    source: Source, encode: Callable[[Array], Array]
) -> keras.utils.PyDataset | Iterator[Batch]:
    """A stream whose x are encoded batch by batch, in this process, as it is read.

    Conditions and sample weights are passed on. A stream of unknown length is read once to count
    its batches.

    Args:
        source: The opened data, not an array.
        encode: Function of one NumPy batch ``(batch, ...)`` that returns another.

    Returns:
        Data that `fit` takes, a PyDataset or an iterator.

    Example:

    >>> import numpy as np
    >>> batches = (np.full((2, 3), i, "float32") for i in range(2))
    >>> [x.sum() for x, conditions in encode_stream(Source(batches), lambda x: 10 * x)]
    [np.float32(0.0), np.float32(60.0)]
    """
    batches, encode_batch = source.keras_data, _EncodeBatch(encode)
    if isinstance(batches, keras.utils.PyDataset):
        mapped = MappedBatches(batches, encode_batch)
        mapped.use_multiprocessing = False  # threads still read ahead, where there are workers
        return mapped
    if isinstance(batches, Iterator):
        return map(encode_batch, batches)
    n_batches = source.n_batches
    if n_batches is None and not source.endless:
        n_batches = sum(1 for _ in batches)
    return _SequentialBatches(batches, n_batches, encode_batch, source.shuffler)
