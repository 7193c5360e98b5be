"""Batches of other kinds of data sets, brought to one form as they are read."""

import keras

from keras_gud.data.epoch_order import EpochOrder


class PickedBatches(keras.utils.PyDataset):
    """Another PyDataset with `prepare` applied to its batches; with a seed, these are shuffled."""

    def __init__(self, inner, prepare, seed: int | None = None):
        super().__init__(inner.workers, inner.use_multiprocessing, inner.max_queue_size)
        self.inner, self.prepare = inner, prepare
        self.ordered = getattr(inner, "ordered", inner if hasattr(inner, "epoch") else None)
        self.in_order = getattr(inner, "in_order", False)
        self.places = None if seed is None else EpochOrder(inner.num_batches, 1, True, seed)
        self.epoch = 0

    @property
    def num_batches(self):
        """That of the other."""
        return self.inner.num_batches

    def __getitem__(self, index):
        if self.places is not None:
            (index,) = self.places.rows(index, self.epoch)
        return self.prepare(self.inner[int(index)])

    def on_epoch_begin(self):
        """Tells the other."""
        self.inner.on_epoch_begin()

    def on_epoch_end(self):
        """Tells the other."""
        self.inner.on_epoch_end()


class Collate:
    """A torch DataLoader's collate function followed by `prepare`; can be pickled."""

    def __init__(self, inner, prepare):
        self.inner, self.prepare = inner, prepare

    def __call__(self, examples):
        """A prepared batch of examples."""
        return self.prepare(self.inner(examples))
