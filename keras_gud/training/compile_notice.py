"""A line that says what one is waiting for while the first training step is compiled."""

import time
from typing import Any

import keras


class CompileNotice(keras.callbacks.Callback):
    """Says that the first step is being compiled, and how long it took.

    Only where there is something to compile: a training function that does not exist yet, of a
    backend that makes a program of it.
    """

    def on_train_begin(self, logs: Any = None) -> None:
        """Keras has not made the program, only its function."""
        self.start: float | None = time.monotonic()
        print("Compiling the training step ...", flush=True)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """After the first step: how long that was."""
        if self.start is not None:
            print(f"... compiled in {time.monotonic() - self.start:.1f} s.", flush=True)
            self.start = None


def compiles(model: keras.Model) -> bool:
    """Whether the next `fit` of a model compiles its step."""
    return keras.backend.backend() != "torch" and model.train_function is None
