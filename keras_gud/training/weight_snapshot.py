"""Nothing trained is lost: copies of the variables, put back if training goes wrong."""

import contextlib

import keras
import numpy as np

from keras_gud import backend


class WeightSnapshot:
    """Copies of variables in the memory of the host.

    On jax the training step donates the weights' buffers, and Keras detaches the weights from the
    model while it trains: an exception or Ctrl-C within a step leaves the model empty.

    Args:
        variables: Function without arguments that lists the variables to keep.
        needed: Whether to keep copies; default: only on jax.
    """

    def __init__(self, variables, needed: bool | None = None):
        self.variables = variables
        self.needed = keras.backend.backend() == "jax" if needed is None else needed
        self.copies = []
        self.take()

    def take(self):
        """Copies the present values."""
        if self.needed:
            self.copies = [(v, _copy(v)) for v in self.variables()]

    def take_scalars(self):
        """Copies learning rate and counters anew, and keeps the rest."""
        self.copies = [(v, old if old.ndim else _copy(v)) for v, old in self.copies]

    def take_if_finite(self) -> list[str]:
        """Copies the present values, unless some that have been finite are not any more.

        Returns:
            The paths of those.
        """
        fresh = [(v, _copy(v)) for v in self.variables()]
        known = {id(v): value for v, value in self.copies}
        broken = [
            v.path
            for v, value in fresh
            if not is_finite(value) and is_finite(known.get(id(v), np.zeros(())))
        ]
        if not broken:
            self.copies = fresh
        return broken

    def put_back(self):
        """Gives the variables the values of the copies."""
        for variable, value in self.copies:
            variable.assign(value)

    @contextlib.contextmanager
    def guard(self, is_wrong=lambda: False):
        """Puts the copies back if the block raises and any variable has lost its value.

        Args:
            is_wrong: Function without arguments that says whether to put them back if none has.
        """
        try:
            yield
        except BaseException as error:
            if any(backend.is_deleted(v) for v, _ in self.copies) or is_wrong():
                self.put_back()
                error.add_note("The model has been put back to its last good state.")
            raise


def is_finite(value) -> bool:
    """Whether an array holds no NaN or inf; true for whatever has no floats."""
    floats = keras.backend.is_float_dtype(keras.backend.standardize_dtype(value.dtype))
    return not floats or bool(np.isfinite(value).all())


def _copy(variable):
    # A copy on torch too, where NumPy would see the optimizer change the values in place.
    return np.array(backend.value_of(variable))
