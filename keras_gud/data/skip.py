"""Data from some batch on: what is left of them when training goes on where it was interrupted."""

import itertools
from collections.abc import Iterator

import keras


def length(source) -> int | None:
    """Batches of an epoch, as Keras counts them; `None` where it has to find out."""
    return getattr(source.keras_data, "num_batches", source.n_batches)


def tail(source, epoch: int, batch: int):
    """The batches of an epoch from one on, for Keras, and how many Keras has to be told they are.

    Args:
        source: `data.Source` that can be read again and again.
        epoch: The epoch.
        batch: The first batch.

    Returns:
        Data for `keras.Model.fit`, and its `steps_per_epoch` or `None`.
    """
    if source.ordered is not None:
        source.ordered.epoch = epoch
    if hasattr(source.keras_data, "element_spec"):
        return source.keras_data.skip(batch), None
    return _from(source.keras_data, batch), length(source) - batch


def rest(source, step: int) -> Iterator:
    """All that follows in data that are read only once, in an endless stream or by a generator.

    Args:
        source: The `data.Source`.
        step: How many batches have been trained on.
    """
    return _from(source.keras_data, step)


def is_read_once(source, steps_per_epoch: int | None) -> bool:
    """Whether Keras goes on reading in the next epoch where it stopped in the last."""
    return isinstance(source.keras_data, Iterator) or (
        steps_per_epoch is not None and length(source) is None
    )


def begin_passes(source, before: int, epochs: int):
    """Begins as many passes over a `tf.data` pipeline as an interrupted run had.

    Such a pipeline, where it shuffles anew for every pass, has an order that depends on their
    number. To begin one costs next to nothing: nothing is read.

    Args:
        source: The `data.Source`.
        before: Passes before the run's first epoch, those of adapting included.
        epochs: Epochs since.
    """
    if not hasattr(source.keras_data, "element_spec"):
        return
    # On tensorflow Keras begins a pass at the end of an epoch too, if it knows where that is.
    each = 2 if keras.backend.backend() == "tensorflow" and source.n_batches is not None else 1
    for _ in range(before + epochs * each - source.passes):
        iter(source.keras_data)


def head(batches: Iterator, count: int) -> Iterator:
    """The first of them, and not one more is read."""
    yield from itertools.islice(batches, count)  # Keras knows no iterators but generators


def _from(batches, start: int) -> Iterator:
    """Batches from one on; those before are read only where there is no other way to it."""
    if isinstance(batches, keras.utils.PyDataset) and not batches.in_order:
        count = batches.num_batches
        for index in itertools.count(start) if count is None else range(start, count):
            yield batches[index]
    else:
        yield from itertools.islice(iter(batches), start, None)
