"""Batches of images for `fit`, read when they are needed."""

import keras
import numpy as np

from keras_gud.core.arguments import check_integer
from keras_gud.data.epoch_order import EpochOrder
from keras_gud.datasets.augmentation import Augmentation


class InMemory:
    """Images and labels that are there already, in the form of `prepared.Prepared`."""

    def __init__(self, images: np.ndarray, labels: np.ndarray | None):
        self.images, self.labels = images, labels
        self.has_labels = labels is not None

    def __len__(self):
        return len(self.images)

    def read(self, rows):
        """Images and labels, or `None` for these."""
        return self.images[rows], self.labels[rows] if self.has_labels else None


class Stream(keras.utils.PyDataset):
    """Shuffled batches; `load` makes it.

    What is in a batch is a function of the seed, the epoch and the batch's index alone: training
    that was interrupted goes on with the same data. `GUD.fit` sets `epoch`; whoever reads batches
    by hand may set it too. Likewise `part`, which part of every batch this process reads.

    Args:
        images: Object with a length and a method ``read(rows)``.
        rows: Which of them, int ``(n,)``.
        batch_size: Images per batch; the last batch may be smaller.
        shuffle: Whether to shuffle, anew in every epoch.
        seed: Seed of the order and of the augmentation.
        labels: Whether batches are pairs of images and labels.
        augment: See `augmentation.Augmentation`, or `None`.
    """

    def __init__(self, images, rows, batch_size, shuffle, seed, labels, augment):
        # Not Keras' workers: what they have read ahead when an epoch ends becomes part of the next.
        super().__init__(workers=1, use_multiprocessing=False)
        batch_size = check_integer("batch_size", batch_size, 1)
        self.images, self.rows, self.labels, self.seed = images, rows, labels, seed
        self.order, self.epoch = EpochOrder(len(rows), batch_size, shuffle, seed), 0
        self.augment = None if augment is None else Augmentation(augment)

    @property
    def part(self) -> tuple[int, int]:
        """Which part of every batch is read, and of how many; see `EpochOrder`."""
        return self.order.part

    @part.setter
    def part(self, part):
        self.order.part = part

    def __len__(self):
        return len(self.order)

    def __getitem__(self, index):
        if not 0 <= index < len(self.order):
            raise IndexError(f"Expected 0 <= index < {len(self.order)}. Received: index={index}.")
        x, y = self.images.read(self.rows[self.order.rows(index, self.epoch)])
        if self.augment is not None:
            x = self.augment(x, [self.seed, self.epoch, index])
        return (x, y) if self.labels else x
