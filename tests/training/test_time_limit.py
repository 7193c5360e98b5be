"""`fit(..., minutes=...)`, and memory that is exhausted."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from helpers.tiny_model import as_numpy, make, vectors

from keras_gud import backend
from keras_gud.training import time_limit


def test_training_ends_at_the_step_that_passes_the_time(monkeypatch):
    clock = iter(range(0, 10_000, 10))  # seconds, ten at each look
    fake = SimpleNamespace(monotonic=lambda: float(next(clock)))
    monkeypatch.setattr(time_limit, "time", fake)
    model = make()
    history = model.fit(vectors(64), batch_size=16, minutes=1.0, verbose=0)
    assert int(model.ema.count) == 6
    assert len(history.epoch) == 2


def test_epochs_end_it_before():
    model = make()
    model.fit(vectors(32), batch_size=16, epochs=2, minutes=60.0, verbose=0)
    assert int(model.ema.count) == 4
    model.fit(vectors(32), batch_size=16, verbose=0)
    assert int(model.ema.count) == 6


@pytest.mark.parametrize("minutes", [0, -1.0, float("nan"), float("inf"), "10", True])
def test_other_times_are_refused(minutes):
    with pytest.raises(ValueError, match=r"Expected `minutes`.*Received: minutes="):
        make().fit(vectors(8), minutes=minutes)


class Exhausted(keras.callbacks.Callback):
    """Raises what a backend does, in the second step."""

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 1:
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 99 bytes.\nStack:")


def test_exhausted_memory_names_what_to_lower_and_keeps_the_weights():
    x, model = vectors(64), make()
    message = r"Received: RESOURCE_EXHAUSTED: Out of memory allocating 99 bytes. Lower `batch_size`"
    with pytest.raises(MemoryError, match=message + r" \(it is 16\).*remat=True"):
        model.fit(x, batch_size=16, callbacks=[Exhausted()], verbose=0)
    assert all(np.isfinite(value).all() for value in as_numpy(model.network.weights))
    model.fit(x, batch_size=16, verbose=0)


@pytest.mark.once
def test_other_errors_are_not_about_memory():
    assert backend.is_out_of_memory(MemoryError())
    assert backend.is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    assert not backend.is_out_of_memory(ValueError("Expected batches of 4."))
