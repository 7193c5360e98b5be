"""Nothing trained is lost: on jax an interrupted step takes its weights with it; put them back."""

import contextlib

import keras

from keras_gud import backend


class Safekeeping(keras.callbacks.Callback):
    """Copies of variables, taken anew in every epoch, put back if any of them gets lost.

    On jax the training step donates the weights' buffers, and Keras detaches the weights from the
    model while it trains: an exception or Ctrl-C within a step leaves the model empty. The other
    backends keep their weights by themselves, and nothing is copied.

    Args:
        variables: Function without arguments that lists the variables to keep.
    """

    def __init__(self, variables):
        super().__init__()
        self.variables = variables
        self.needed = keras.backend.backend() == "jax"
        self.take()

    def take(self):
        """Copies the present values."""
        if self.needed:
            self.copies = [(v, keras.ops.convert_to_numpy(v.value)) for v in self.variables()]

    def on_test_begin(self, logs=None):
        """Moves on to the weights after an epoch's training, before its validation."""
        self.take()

    def on_epoch_end(self, epoch, logs=None):
        """Moves on to the weights after this epoch."""
        self.take()

    @contextlib.contextmanager
    def guard(self):
        """Puts the copies back if the block raises and any variable has lost its value."""
        try:
            yield
        except BaseException:
            if self.needed and any(backend.is_lost(v) for v, _ in self.copies):
                for variable, value in self.copies:
                    variable.assign(value)
            raise
