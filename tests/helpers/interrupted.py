"""A run that is interrupted and started again, for the tests of `Checkpoint`."""

import keras
import numpy as np

import keras_gud
from helpers.tiny_model import everything, make, vectors


class KilledError(Exception):
    """What `Kill` raises."""


class Kill(keras.callbacks.Callback):
    """Raises after one batch of one epoch; notes all batches that it sees."""

    def __init__(self, at=None):
        super().__init__()
        self.at, self.epoch, self.seen = at, None, []

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append((self.epoch, batch))
        if (self.epoch, batch) == self.at:
            raise KilledError


def train(data, callbacks=(), epochs=3, model=None, **kwargs):
    """The model and the history of a small run; `data` makes the data."""
    if model is None:
        model = make(dropout=0.3, schedule="linear")
        # A compilation for every model would take most of the time.
        model.compile(keras.optimizers.Adam(1e-2), run_eagerly=True)
    kwargs = {"batch_size": 16} | kwargs
    history = model.fit(data(), epochs=epochs, callbacks=list(callbacks), verbose=0, **kwargs)
    return model, history


def interrupted(data, folder, at, every=1, **kwargs):
    """The same, interrupted at (epoch, batch) and started again."""
    for kill in (at, None):
        checkpoint = keras_gud.callbacks.Checkpoint(folder, every=every)
        try:
            return train(data, [checkpoint, Kill(kill)], **kwargs)
        except KilledError:
            assert kill == at
    raise AssertionError("never here")


def assert_same_run(a, b):
    """Bit by bit the same state and history."""
    (model, history), (other, expected) = a, b
    ours, theirs = everything(model), everything(other)
    assert len(ours) == len(theirs)
    for (name, x), y in zip(ours.items(), theirs.values(), strict=True):
        np.testing.assert_array_equal(x, y, err_msg=name)
    assert history.epoch == expected.epoch
    assert history.history == expected.history


def arrays():
    return vectors(50)
