"""A run that was killed and started again ends where an uninterrupted one does, bit by bit."""

import keras
import numpy as np
import pytest
from helpers.tiny_model import assert_same, everything, make, vectors


class KilledError(Exception):
    pass


class Kill(keras.callbacks.Callback):
    """Raises at one batch of one epoch."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.at, self.epoch = (epoch, batch), None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise KilledError


def train(model, callbacks, epochs=4):
    x = vectors(50)
    return model.fit(
        x,
        batch_size=16,
        epochs=epochs,
        validation_data=vectors(20, seed=1),
        callbacks=callbacks,
        verbose=0,
    )


@pytest.fixture(scope="module")
def uninterrupted():
    model = make(dropout=0.3, schedule="linear")
    history = train(model, [])
    return everything(model), history.history


@pytest.mark.parametrize("at", [(2, 1), (0, 2)], ids=["later", "first"])
def test_killed_in_an_epoch_and_restored(tmp_path, uninterrupted, at):
    backup = str(tmp_path / "backup")
    with pytest.raises(KilledError):
        train(
            make(dropout=0.3, schedule="linear"),
            [keras.callbacks.BackupAndRestore(backup), Kill(*at)],
        )
    model = make(dropout=0.3, schedule="linear")
    history = train(model, [keras.callbacks.BackupAndRestore(backup)])
    weights, logs = uninterrupted
    assert_same(everything(model), weights)
    assert history.epoch == list(range(at[0], 4))
    for name, values in logs.items():
        np.testing.assert_array_equal(history.history[name], values[at[0] :], err_msg=name)


def test_the_random_states_are_among_what_is_compared(uninterrupted):
    names = "\n".join(uninterrupted[0])
    assert names.count("seed_generator_state") == 2
    assert "average_0" in names
    assert "iteration" in names


@pytest.mark.once
def test_initial_epoch_sees_the_batches_of_that_epoch(uninterrupted):
    """Training in two calls of `fit` is the same as in one."""
    model = make(dropout=0.3, schedule="linear")
    train(model, [], epochs=2)
    x, held = vectors(50), vectors(20, seed=1)
    model.fit(x, batch_size=16, epochs=4, initial_epoch=2, validation_data=held, verbose=0)
    assert_same(everything(model), uninterrupted[0])
