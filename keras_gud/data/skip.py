"""Data from a given batch on: what is left of them when interrupted training is resumed."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import keras

from keras_gud.data.batch import KerasBatch
from keras_gud.data.source import Source


def batches_per_epoch(source: Source) -> int | None:
    """The number of batches in an epoch as Keras counts them, `None` where it is not known.

    Example:

    >>> import numpy as np
    >>> batches_per_epoch(Source(np.zeros((5, 3)), batch_size=2))
    3
    """
    return getattr(source.keras_data, "num_batches", source.n_batches)


def batches_from(source: Source, epoch: int, batch: int) -> tuple[Any, int | None]:
    """The rest of an epoch, from a given batch on, of data that each epoch reads from the start.

    Args:
        source: The opened data.
        epoch: The epoch, counted from 0.
        batch: The first batch, counted from 0.

    Returns:
        Data for `keras.Model.fit`, and its `steps_per_epoch` or `None`.

    Example:

    >>> import numpy as np
    >>> source = Source(np.arange(6).reshape(6, 1), batch_size=2)
    >>> batches, steps = batches_from(source, epoch=0, batch=1)
    >>> [x.ravel().tolist() for (x,) in batches], steps
    ([[2, 3], [4, 5]], 2)
    """
    if source.shuffler is not None:
        source.shuffler.epoch = epoch
    if hasattr(source.keras_data, "element_spec"):
        return source.keras_data.skip(batch), None
    length = batches_per_epoch(source)
    return _from(source.keras_data, batch), None if length is None else length - batch


def stream_from(source: Source, step: int) -> Iterator[KerasBatch]:
    """What follows the first `step` batches of data that go on from epoch to epoch.

    Args:
        source: The opened data, for which `continues_across_epochs` holds.
        step: How many batches the model has been trained on.
    """
    return _from(source.keras_data, step)


def first_batches(batches: Iterator[KerasBatch], count: int) -> Iterator[KerasBatch]:
    """The first batches of a stream; no others are read, as Keras would do ahead.

    Example:

    >>> stream = iter("abc")
    >>> list(first_batches(stream, 2)), next(stream)
    (['a', 'b'], 'c')
    """
    yield from itertools.islice(batches, count)  # of iterators, Keras accepts generators only


def continues_across_epochs(source: Source, steps_per_epoch: int | None) -> bool:
    """Whether Keras reads on in the next epoch where it stopped in the last one.

    It does so for generators, and for endless data with `steps_per_epoch`.
    """
    return isinstance(source.keras_data, Iterator) or (
        steps_per_epoch is not None and batches_per_epoch(source) is None
    )


def advance_shuffle(source: Source, before: int, epochs: int) -> None:
    """Begins as many passes over a `tf.data` pipeline as the interrupted run had begun.

    The order of a pipeline that shuffles anew in every pass depends on how many were begun. To
    begin one costs next to nothing, since nothing is read. Does nothing for other data.

    Args:
        source: The opened data.
        before: Passes before the run's first epoch, those in which statistics were fitted included.
        epochs: Epochs since.
    """
    if not hasattr(source.keras_data, "element_spec"):
        return
    # On tensorflow Keras begins a pass at the end of an epoch too, if it knows where that is.
    each = 2 if keras.backend.backend() == "tensorflow" and source.n_batches is not None else 1
    for _ in range(before + epochs * each - source.passes):
        iter(source.keras_data)


def _from(batches: Iterable[KerasBatch], start: int) -> Iterator[KerasBatch]:
    """Batches from `start` on; those before are read only where they cannot be skipped."""
    if isinstance(batches, keras.utils.PyDataset) and not batches.in_order:
        count = batches.num_batches
        for index in itertools.count(start) if count is None else range(start, count):
            yield batches[index]
    else:
        yield from itertools.islice(iter(batches), start, None)
