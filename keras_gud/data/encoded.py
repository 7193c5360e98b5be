"""Data that pass through a function of whole batches, such as an encoder, on their way to Keras."""

from collections.abc import Iterator

import keras

from keras_gud.backend import to_numpy
from keras_gud.data.batch import pick, pick_label
from keras_gud.data.mapped import PickedBatches
from keras_gud.data.source import Source


class _Transform:
    """Prepared batches to those of the transformed data, ``(x, label[, sample_weight])``."""

    def __init__(self, function):
        self.function = function

    def __call__(self, batch):
        label = pick_label(batch[0])
        beside = [None if label is None else to_numpy(label), *map(to_numpy, batch[2:])]
        return self.function(to_numpy(pick(batch))), *beside


class _InOrder(keras.utils.PyDataset):
    """Batches of something that can only be read from its beginning on, again and again.

    It is neither a `tf.data` pipeline nor a `DataLoader` any more, since those would run the
    function in a graph or in another process.
    """

    in_order = True

    def __init__(self, batches, n_batches: int | None, transform, ordered=None):
        super().__init__()
        self.ordered = ordered
        self.batches, self.transform, self._n_batches = batches, transform, n_batches
        self._pass = iter(())

    @property
    def num_batches(self):
        """Number of batches of one pass; `None` if it never ends."""
        return self._n_batches

    def __getitem__(self, index):
        if index == 0:
            self._pass = iter(self.batches)
        return self.transform(next(self._pass))


def stream(source: Source, function):
    """A stream with `function` applied to x batch by batch, in this process, when it is read.

    Labels and sample weights stay beside it. A stream of unknown length is read once to count its
    batches.

    Args:
        source: What has been opened; no array.
        function: Function of one NumPy batch ``(batch, ...)`` that returns another.

    Returns:
        A PyDataset or a generator, data that `fit` takes.

    Example:

    >>> import numpy as np
    >>> batches = (np.full((2, 3), i, "float32") for i in range(2))
    >>> [x.sum() for x, label in stream(data.Source(batches), lambda x: 10 * x)]
    [np.float32(0.0), np.float32(60.0)]
    """
    batches, transform = source.keras_data, _Transform(function)
    if isinstance(batches, keras.utils.PyDataset):
        result = PickedBatches(batches, transform)
        result.use_multiprocessing = False  # threads still read ahead, where there are workers
        return result
    if isinstance(batches, Iterator):
        return map(transform, batches)
    n_batches = source.n_batches
    if n_batches is None and not source.endless:
        n_batches = sum(1 for _ in batches)
    return _InOrder(batches, n_batches, transform, source.ordered)
