"""Data sets of grain, in forms that Keras reads; grain itself is imported only where there are any.

A `grain.MapDataset` numbers its elements through all epochs, so that it becomes batches that are
told the epoch. A `grain.IterDataset` or `grain.DataLoader` is read from its beginning in each.
"""

import sys

import keras

_KINDS = ("MapDataset", "IterDataset", "DataLoader")


def kind_of(x) -> str | None:
    """``"MapDataset"``, ``"IterDataset"``, ``"DataLoader"`` of grain, or `None` for anything else.

    Example:

    >>> kind_of([1, 2]) is None
    True
    """
    for parent in type(x).__mro__:
        if parent.__name__ in _KINDS and parent.__module__.split(".")[0] == "grain":
            return parent.__name__
    return None


class MapBatches(keras.utils.PyDataset):
    """The batches of a `grain.MapDataset`, in the order that grain gives them in each epoch.

    Args:
        inner: The `grain.MapDataset`, batched.
    """

    def __init__(self, inner):
        # Not Keras' workers: what they have read ahead when an epoch ends becomes part of the next.
        super().__init__(workers=1, use_multiprocessing=False)
        self.inner, self.epoch = inner, 0

    @property
    def num_batches(self):
        """Number of batches of an epoch, or `None` if it never ends."""
        return None if len(self.inner) == sys.maxsize else len(self.inner)

    def __getitem__(self, index):
        start = 0 if self.num_batches is None else self.epoch * self.num_batches
        batch = self.inner[start + index]
        if batch is None:
            raise ValueError(
                "Expected a batch at every index of a grain.MapDataset. Received: one that was "
                "filtered out. Filter, then convert, then batch: "
                "dataset.filter(...).to_iter_dataset().batch(...)."
            )
        return batch


def is_endless(x) -> bool:
    """Whether a `grain.IterDataset` or `grain.DataLoader` says that it repeats for ever."""
    if kind_of(x) == "DataLoader":
        return getattr(x._sampler, "_num_epochs", 1) is None
    if kind_of(x) == "MapDataset":
        return len(x) == sys.maxsize
    repeated = type(x).__name__ == "RepeatIterDataset" and x._num_epochs is None
    return repeated or any(is_endless(parent) for parent in x.parents)


def prepared(x, prepare):
    """A `grain.IterDataset` or `grain.DataLoader` with `prepare` applied to its batches."""
    if kind_of(x) == "IterDataset":
        return x.map(prepare)
    import grain

    class Prepared(grain.transforms.Map):
        def map(self, element):
            return prepare(element)

    # A loader cannot be extended; Keras itself makes a new one from these parts.
    workers = x.multiprocessing_options
    return grain.DataLoader(
        data_source=x._data_source,
        sampler=x._sampler,
        operations=[*x._operations, Prepared()],
        worker_count=workers.num_workers,
        worker_buffer_size=workers.per_worker_buffer_size,
        enable_profiling=workers.enable_profiling,
        shard_options=x._shard_options,
        read_options=x._read_options,
    )
