"""Training for a time, not for a number of epochs: ``fit(x, minutes=10)``."""

import sys
import time
from typing import Any

import keras
import numpy as np

from keras_gud import backend
from keras_gud.core.arguments import check_integer, check_numbers

# Epochs of a run that only its time limits.
UNLIMITED = sys.maxsize


class StopAfter(keras.callbacks.Callback):
    """Ends training after some minutes from now on, at the step that passes them.

    Several processes look at their clocks at the end of an epoch only, since all have to stop at
    the same step.

    Args:
        minutes: A number > 0.
    """

    def __init__(self, minutes: float) -> None:
        super().__init__()
        self.end = time.monotonic() + 60.0 * minutes

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Looks at the clock, if there is one process."""
        if backend.process_count() == 1 and time.monotonic() >= self.end:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Asks the clocks of all processes."""
        if backend.process_count() > 1:
            passed = np.int64(time.monotonic() >= self.end)
            self.model.stop_training |= bool(backend.process_allgather(passed).any())


def epochs_and_limit(
    epochs: int | None, minutes: float | None
) -> tuple[int, list[keras.callbacks.Callback]]:
    """The number of epochs of a run, and what ends it before, whose clock runs from now on.

    Args:
        epochs: An integer >= 0; `None`: as many as there is time for, without `minutes` one.
        minutes: A number > 0, or `None` for no limit.

    Raises:
        ValueError: for other values.

    >>> epochs_and_limit(None, None), epochs_and_limit(3, None)
    ((1, []), (3, []))
    """
    if epochs is not None:
        epochs = check_integer("epochs", epochs, 0)
    if minutes is None:
        return (1 if epochs is None else epochs), []
    check_numbers(minutes=minutes)
    if not 0.0 < minutes < float("inf"):
        raise ValueError(f"Expected `minutes` > 0, to train for. Received: minutes={minutes!r}.")
    return (UNLIMITED if epochs is None else epochs), [StopAfter(minutes)]
