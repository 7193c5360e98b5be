"""Data sets with a function applied to their batches as they are read."""

from collections.abc import Callable
from typing import Any

import keras

from keras_gud.data.batch import Batch
from keras_gud.data.epoch_order import EpochOrder


class MappedBatches(keras.utils.PyDataset):
    """Another PyDataset with a function applied to its batches.

    Args:
        dataset: The other PyDataset; its workers are kept.
        function: Function of a batch.
        seed: With a seed, the batches are shuffled anew in every epoch; `fit` sets `epoch`.

    Attributes:
        shuffler: What of `dataset` shuffles by itself and needs its `epoch` set, or `None`.
        in_order: Whether the batches have to be read in order.

    Example:

    >>> import numpy as np
    >>> from keras_gud.data.arrays import ArrayBatches
    >>> batches = MappedBatches(ArrayBatches(np.arange(4), batch_size=2), lambda batch: -batch[0])
    >>> batches[1].tolist()
    [-2, -3]
    """

    def __init__(
        self,
        dataset: keras.utils.PyDataset,
        function: Callable[[Batch], Batch],
        seed: int | None = None,
    ) -> None:
        super().__init__(dataset.workers, dataset.use_multiprocessing, dataset.max_queue_size)
        self.dataset, self.function = dataset, function
        has_epoch = hasattr(dataset, "epoch")
        self.shuffler: Any = getattr(dataset, "shuffler", dataset if has_epoch else None)
        self.in_order: bool = getattr(dataset, "in_order", False)
        self.batch_order = None if seed is None else EpochOrder(dataset.num_batches, 1, True, seed)
        self.epoch = 0

    @property
    def num_batches(self) -> int | None:
        """Number of batches of `dataset`, `None` if it never ends."""
        return self.dataset.num_batches

    def __getitem__(self, index: int) -> Batch:
        if self.batch_order is not None:
            (index,) = self.batch_order.rows(index, self.epoch)
        return self.function(self.dataset[int(index)])

    def on_epoch_begin(self) -> None:
        """Calls that of `dataset`."""
        self.dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Calls that of `dataset`."""
        self.dataset.on_epoch_end()


class MappedCollate:
    """The collate function of a torch DataLoader, followed by another function; can be pickled.

    Args:
        collate: Function of a list of examples that returns a batch.
        function: Function of a batch.

    Example:

    >>> MappedCollate(sum, lambda batch: 10 * batch)([1, 2])
    30
    """

    def __init__(self, collate: Callable[[Any], Batch], function: Callable[[Batch], Batch]) -> None:
        self.collate, self.function = collate, function

    def __call__(self, examples: Any) -> Batch:
        """The batch of these examples, with the function applied."""
        return self.function(self.collate(examples))
