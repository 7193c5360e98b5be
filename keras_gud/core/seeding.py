"""The first values of variables that Keras makes within a block: functions of a seed."""

import contextlib
import random
from collections.abc import Iterator

import keras

from keras_gud.core.initial_values import BY_NAME


@contextlib.contextmanager
def seeded_defaults(seed: int) -> Iterator[None]:
    """Makes what Keras draws within the block a function of `seed`, the same on every backend.

    That is: the seeds of initializers and dropout without one, which it draws from Python's global
    generator, and the values of default initializers (`core.initial_values`). The generator goes
    on afterwards as if nothing had been drawn.

    Args:
        seed: An integer.

    Example:

    >>> import keras
    >>> drawn = []
    >>> for _ in range(2):
    ...     with seeded_defaults(3):
    ...         state = keras.random.SeedGenerator().state
    ...         drawn.append(keras.ops.convert_to_numpy(state).tolist())
    >>> drawn[0] == drawn[1]
    True
    """
    before = random.getstate()
    random.seed(seed)
    try:
        with numpy_values():
            yield
    finally:
        random.setstate(before)


@contextlib.contextmanager
def numpy_values() -> Iterator[None]:
    """Makes the initializers that are asked for by name within the block those of NumPy.

    Example:

    >>> with numpy_values():
    ...     type(keras.initializers.get("zeros")).__module__
    'keras_gud.core.initial_values'
    """
    with keras.saving.custom_object_scope(BY_NAME):
        yield
