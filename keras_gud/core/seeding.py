"""The seeds that Keras draws, from Python's generator, for initializers and dropout without one."""

import contextlib
import random
from collections.abc import Iterator


@contextlib.contextmanager
def seeded_defaults(seed: int) -> Iterator[None]:
    """Makes the seeds that Keras draws within the block a function of `seed`.

    Python's global generator goes on afterwards as if nothing had been drawn.

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
        yield
    finally:
        random.setstate(before)
