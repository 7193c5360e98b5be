"""Data sets of grain, in forms that Keras reads; grain itself is imported only for these.

The indices of a `grain.MapDataset` go on through all epochs, so it becomes a PyDataset with an
attribute `epoch`. A `grain.IterDataset` or `grain.DataLoader` is read from its beginning in each.
"""

import sys
from collections.abc import Callable
from typing import Any

import keras

from keras_gud.core import optional
from keras_gud.data.batch import Batch, KerasBatch

_KINDS = ("MapDataset", "IterDataset", "DataLoader")


def kind_of(x: Any) -> str | None:
    """``"MapDataset"``, ``"IterDataset"``, ``"DataLoader"`` of grain, or `None` for anything else.

    Example:

    >>> kind_of([1, 2]) is None
    True
    """
    return optional.class_of(x, "grain", _KINDS)


class MapBatches(keras.utils.PyDataset):
    """The batches of a `grain.MapDataset`, in the order that grain gives them in each epoch.

    Args:
        dataset: The `grain.MapDataset`, batched.

    Attributes:
        epoch: The epoch whose batches are read; `fit` sets it.

    Raises:
        ValueError: when read, for a batch that was filtered out.
    """

    def __init__(self, dataset: Any) -> None:
        # No workers of Keras: batches that they read ahead at the end of an epoch would be served
        # in the next one.
        super().__init__(workers=1, use_multiprocessing=False)
        self.dataset, self.epoch = dataset, 0

    @property
    def num_batches(self) -> int | None:
        """Number of batches of an epoch, or `None` if it never ends."""
        return None if len(self.dataset) == sys.maxsize else len(self.dataset)

    def __getitem__(self, index: int) -> Batch:
        start = 0 if self.num_batches is None else self.epoch * self.num_batches
        batch = self.dataset[start + index]
        if batch is None:
            raise ValueError(
                "Expected a batch at every index of a grain.MapDataset. Received: one that was "
                "filtered out. Filter, then convert, then batch: "
                "dataset.filter(...).to_iter_dataset().batch(...)."
            )
        return batch


def is_endless(x: Any) -> bool:
    """Whether a data set of grain is known to repeat for ever."""
    if kind_of(x) == "DataLoader":
        return getattr(x._sampler, "_num_epochs", 1) is None
    if kind_of(x) == "MapDataset":
        return len(x) == sys.maxsize
    repeated = type(x).__name__ == "RepeatIterDataset" and x._num_epochs is None
    return repeated or any(is_endless(parent) for parent in x.parents)


def map_batches(x: Any, function: Callable[[Batch], KerasBatch]) -> Any:
    """A `grain.IterDataset` or `grain.DataLoader` with a function applied to its batches.

    Args:
        x: The data set or loader, which stays as it is.
        function: Function of a batch; with workers, one that can be pickled.

    Returns:
        A new one of the same kind.
    """
    if kind_of(x) == "IterDataset":
        return x.map(function)
    import grain

    class MapBatch(grain.transforms.Map):
        def map(self, element: Batch) -> KerasBatch:
            return function(element)

    # A loader has no method that adds an operation, so a new one is made from its parts.
    workers = x.multiprocessing_options
    return grain.DataLoader(
        data_source=x._data_source,
        sampler=x._sampler,
        operations=[*x._operations, MapBatch()],
        worker_count=workers.num_workers,
        worker_buffer_size=workers.per_worker_buffer_size,
        enable_profiling=workers.enable_profiling,
        shard_options=x._shard_options,
        read_options=x._read_options,
    )
