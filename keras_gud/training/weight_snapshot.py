"""Copies of a model's variables, put back if training goes wrong."""

import contextlib
from collections.abc import Callable, Iterator

import keras
import numpy as np

from keras_gud import backend
from keras_gud.core.types import Array


class WeightSnapshot:
    """Copies of variables in the memory of the host.

    On jax the training step donates the weights' buffers, and Keras detaches the weights from the
    model while it trains: an exception or Ctrl-C within a step leaves the model empty.

    Args:
        variables: Function without arguments that lists the variables to keep.
        needed: Whether to keep copies; default: only on jax.

    Attributes:
        copies: Pairs of a variable and its value when it was copied.
    """

    def __init__(
        self, variables: Callable[[], list[keras.Variable]], needed: bool | None = None
    ) -> None:
        needed = keras.backend.backend() == "jax" if needed is None else needed
        self.variables = variables if needed else list
        self.take()

    def take(self) -> None:
        """Copies the present values."""
        self.copies: list[tuple[keras.Variable, Array]] = [(v, _copy(v)) for v in self.variables()]

    def take_scalars(self) -> None:
        """Copies learning rate and counters only."""
        self.copies = [(v, old if old.ndim else _copy(v)) for v, old in self.copies]

    def take_if_finite(self) -> list[str]:
        """Copies the present values, unless some are not finite whose copies are.

        Returns:
            The paths of those.
        """
        old = self.copies
        self.take()
        bad = {id(v) for v, value in self.copies if not is_finite(value)}
        bad -= {id(v) for v, value in old if id(v) in bad and not is_finite(value)}
        broken = [v.path for v, _ in self.copies if id(v) in bad]
        if broken:
            self.copies = old
        return broken

    @contextlib.contextmanager
    def guard(self, is_wrong: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Puts the copies back if the block raises and any variable has lost its value.

        Args:
            is_wrong: Function without arguments that says whether to put them back if none has.
        """
        try:
            yield
        except BaseException as error:
            if any(backend.is_deleted(v) for v, _ in self.copies) or is_wrong():
                for variable, value in self.copies:
                    variable.assign(value)
                error.add_note("The model has been put back to its last good state.")
            raise


def is_finite(value: Array) -> bool:
    """Whether an array holds no NaN or inf; true for whatever has no floats."""
    floats = keras.backend.is_float_dtype(keras.backend.standardize_dtype(value.dtype))
    return not floats or bool(np.isfinite(value).all())


def _copy(variable: keras.Variable) -> Array:
    # A copy on torch too, where NumPy would see the optimizer change the values in place.
    return np.array(backend.value_of(variable))
