"""How Keras' layers get their first values while a model is built: by NumPy, the same everywhere.

On jax every shape of a random or constant array would be a program of its own to compile, which for
a small network took longer than to compile its training step.
"""

import contextlib
import math
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud import backend
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import Shape, Tensor

_SHAPES_ONLY = ContextVar("shapes_only", default=False)


@contextlib.contextmanager
def shapes_only() -> Iterator[None]:
    """Lets models of any size be made within the block, in a `keras.StatelessScope`.

    There layers ask for values only while a backend traces shapes. Those of Keras' own initializers
    are then traced as well; NumPy would allocate them.

    Example:

    >>> layer = keras.layers.Lambda(lambda x: Ones()((10**9, 10**9)))
    >>> with shapes_only():
    ...     output = layer(keras.KerasTensor((1,)))
    >>> output.shape
    (1000000000, 1000000000)
    """
    token = _SHAPES_ONLY.set(True)
    try:
        yield
    finally:
        _SHAPES_ONLY.reset(token)


@keras.saving.register_keras_serializable(package=PACKAGE)
class GlorotUniform(keras.initializers.GlorotUniform):
    """`keras.initializers.GlorotUniform` whose values are the same on every backend.

    Uniform between plus and minus ``sqrt(6 / (fan_in + fan_out))`` (Glorot and Bengio 2010).

    Args:
        seed: An integer; `None` draws one.

    Example:

    >>> kernel = GlorotUniform(seed=0)((3, 3, 4, 8))
    >>> bool(abs(ops.max(ops.abs(kernel)) - math.sqrt(6 / (9 * 12))) < 1e-2)
    True
    """

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        """Values of a kernel ``(*window, inputs, outputs)``, or of any other array."""
        if _SHAPES_ONLY.get():
            return super().__call__(shape, dtype)
        window = math.prod(shape[:-2])
        fans = shape[-2:] if len(shape) > 1 else (*shape, *shape) or (1, 1)
        limit = math.sqrt(6.0 / max(1.0, window * sum(fans)))
        values = np.random.default_rng(self.seed).uniform(-limit, limit, shape)
        return _tensor(values, dtype)


@keras.saving.register_keras_serializable(package=PACKAGE)
class RandomNormal(keras.initializers.RandomNormal):
    """`keras.initializers.RandomNormal` whose values are the same on every backend.

    Args:
        mean: Mean of the values.
        stddev: Their standard deviation.
        seed: An integer; `None` draws one.

    Example:

    >>> tuple(RandomNormal(stddev=0.5, seed=0)((4, 3)).shape)
    (4, 3)
    """

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        """Values of the shape."""
        if _SHAPES_ONLY.get():
            return super().__call__(shape, dtype)
        values = np.random.default_rng(self.seed).normal(self.mean, self.stddev, shape)
        return _tensor(values, dtype)


@keras.saving.register_keras_serializable(package=PACKAGE)
class Zeros(keras.initializers.Zeros):
    """`keras.initializers.Zeros`, made by NumPy."""

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        """Zeros of the shape."""
        if _SHAPES_ONLY.get():
            return super().__call__(shape, dtype)
        return _tensor(np.zeros(shape), dtype)


@keras.saving.register_keras_serializable(package=PACKAGE)
class Ones(keras.initializers.Ones):
    """`keras.initializers.Ones`, made by NumPy."""

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        """Ones of the shape."""
        if _SHAPES_ONLY.get():
            return super().__call__(shape, dtype)
        return _tensor(np.ones(shape), dtype)


# The names by which layers and optimizers ask for them.
BY_NAME = {
    "glorot_uniform": GlorotUniform,
    "random_normal": RandomNormal,
    "zeros": Zeros,
    "ones": Ones,
}


def _tensor(values: np.ndarray, dtype: Any) -> Tensor:
    values = backend.from_numpy(values.astype("float32"))
    return ops.cast(values, keras.backend.standardize_dtype(dtype))
