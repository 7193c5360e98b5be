"""Batches of images for `fit`, read when they are needed."""

from collections.abc import Sequence
from typing import Protocol

import keras
import numpy as np

from keras_gud.core.arguments import check_integer
from keras_gud.data.epoch_order import EpochOrder
from keras_gud.datasets.augmentation import Augmentation, Step


class ImageSource(Protocol):
    """Images that can be read in any order: `InMemory` or `prepared.Prepared`.

    Attributes:
        has_labels: Whether the images have class labels.
    """

    has_labels: bool

    def __len__(self) -> int: ...

    def read(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Images uint8 ``(len(rows), height, width, channels)`` and int32 labels, or `None`."""


class InMemory:
    """An `ImageSource` of arrays.

    Args:
        images: uint8 ``(n, height, width, channels)``.
        labels: int32 ``(n,)``, or `None`.

    Example:

    >>> images, labels = InMemory(np.zeros((9, 8, 8, 1), "uint8"), None).read(np.array([3, 5]))
    >>> images.shape, labels
    ((2, 8, 8, 1), None)
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray | None) -> None:
        self.images, self.labels = images, labels
        self.has_labels = labels is not None

    def __len__(self) -> int:
        return len(self.images)

    def read(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The images of the given rows and their labels, `None` where there are none."""
        return self.images[rows], None if self.labels is None else self.labels[rows]


class Stream(keras.utils.PyDataset):
    """Batches of images, shuffled anew in every epoch; `load` makes it.

    A batch is a function of the seed, the epoch and its index alone, so that interrupted training
    resumes with the same data. `GUD.fit` sets the attributes `epoch` and `part` (which part of
    every batch this process reads); code that reads batches itself may set them too.

    Args:
        images: The images.
        rows: The indices of those to use, int ``(n,)``.
        batch_size: Images per batch, >= 1; the last batch may be smaller (`fit` fills it up).
        shuffle: Whether to shuffle, anew in every epoch.
        seed: Seed of the order and of the augmentation, >= 0.
        labels: Whether batches are pairs of images and class labels.
        augment: See `augmentation.Augmentation`, or `None`.

    Example:

    >>> images = InMemory(np.zeros((9, 8, 8, 1), "uint8"), None)
    >>> stream = Stream(images, np.arange(9), 4, shuffle=True, seed=0, labels=False, augment=None)
    >>> [batch.shape[0] for batch in stream]
    [4, 4, 1]
    """

    def __init__(
        self,
        images: ImageSource,
        rows: np.ndarray,
        batch_size: int,
        shuffle: bool,
        seed: int,
        labels: bool,
        augment: Step | Sequence[Step] | None,
    ) -> None:
        # No workers of Keras: batches that they read ahead at the end of an epoch would be served
        # in the next one.
        super().__init__(workers=1, use_multiprocessing=False)
        batch_size = check_integer("batch_size", batch_size, 1)
        self.images, self.rows, self.labels, self.seed = images, rows, labels, seed
        self.order, self.epoch = EpochOrder(len(rows), batch_size, shuffle, seed), 0
        self.augment = None if augment is None else Augmentation(augment)

    @property
    def part(self) -> tuple[int, int]:
        """Which part of every batch is read, and of how many: ``(0, 2)`` is the first half."""
        return self.order.part

    @part.setter
    def part(self, part: tuple[int, int]) -> None:
        self.order.part = part

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        if not 0 <= index < len(self.order):
            raise IndexError(f"Expected 0 <= index < {len(self.order)}. Received: index={index}.")
        x, y = self.images.read(self.rows[self.order.rows(index, self.epoch)])
        if self.augment is not None:
            x = self.augment(x, [self.seed, self.epoch, index])
        return x if y is None or not self.labels else (x, y)
