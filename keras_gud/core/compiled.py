"""Compiled functions that read Keras variables."""

from collections.abc import Callable
from typing import Any

import keras

from keras_gud import backend


class CompiledWithVariables:
    """Base class of compiled functions that read the Keras variables of some parts.

    A compiled function keeps for ever what it reads other than through its arguments. So the values
    of the variables are arguments, filled in at every call: new values take effect, and need no
    new compilation.

    Args:
        *parts: Objects; those that read variables have an attribute `variables`.

    Attributes:
        variables: The variables of all parts.

    Example:

    >>> import keras
    >>> layer = keras.layers.Dense(1, kernel_initializer="ones"); layer.build((None, 2))
    >>> apply = CompiledWithVariables(layer).compile(layer)
    >>> x = keras.ops.ones((1, 2))
    >>> float(apply(x)[0, 0])
    2.0
    >>> _ = layer.kernel.assign(3.0 * layer.kernel)
    >>> float(apply(x)[0, 0])
    6.0
    """

    def __init__(self, *parts: Any) -> None:
        self.variables = [v for part in parts for v in getattr(part, "variables", ())]

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A pure function of nested tensors, compiled, which reads the variables' present values.

        Args:
            function: Pure but for the variables that it reads.

        Returns:
            A function with the same signature (positional arguments only).
        """

        def with_values(values, *arguments):
            mapping = list(zip(self.variables, values, strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                return function(*arguments)

        # What profiles and compiled programs are called by.
        with_values.__name__ = getattr(function, "__name__", type(function).__name__)
        compiled = backend.compile(with_values)
        return lambda *arguments: compiled([v.value for v in self.variables], *arguments)
