"""Parts by name: every family of parts (bases, priors, ...) has one `Registry`.

A part may be given as a name (``"haar"``), as a Keras config (a dict) or as an instance;
`Registry.get` turns each of them into an instance.
"""

import difflib
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

PACKAGE = "keras_gud"


def near_match(name: str, known: Iterable[str]) -> str:
    """A sentence that names the nearest known name, or an empty string."""
    close = difflib.get_close_matches(str(name).lower(), list(known), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""


def require_one_of(argument: str, value, known: Iterable[str]):
    """Raises a `ValueError` unless the value of an argument is one of the known names."""
    if not isinstance(value, str) or value not in known:
        raise ValueError(
            f"Expected `{argument}` to be one of {sorted(known)}. "
            f"Received: {argument}={value!r}.{near_match(value, known)}"
        )


def require_coordinate(coordinates: dict[str, np.ndarray], name: str, argument: str) -> np.ndarray:
    """The coordinate `name` of a basis, or a `ValueError` that lists those that it has.

    Args:
        coordinates: The coordinates of the basis.
        name: The one that is needed.
        argument: The argument that needs it.
    """
    if not isinstance(name, str) or name not in coordinates:
        raise ValueError(
            f"Expected `{argument}` to be a coordinate of the basis, one of {sorted(coordinates)}. "
            f"Received: {argument}={name!r}.{near_match(name, coordinates)}"
        )
    return np.asarray(coordinates[name])


class Registry:
    """The named parts of one family.

    Args:
        kind: What the family is called in error messages and arguments, e.g. ``"basis"``.
        base: The base class of the family; instances of it pass through `get`.

    Example:

    >>> from keras_gud import bases
    >>> bases.get("pixel").name
    'pixel'
    """

    def __init__(self, kind: str, base: type):
        self.kind = kind
        self.base = base
        self.factories: dict[str, Any] = {}

    def add(self, name: str, factory):
        """Registers `factory` (a class or a function without arguments) under `name`."""
        self.factories[name] = factory
        return factory

    def get(self, identifier, **kwargs):
        """Returns an instance for a name, a config or an instance.

        Args:
            identifier: A registered name, a Keras config (dict) or an instance of the base class.
            **kwargs: Arguments of the constructor; only with a name.

        Raises:
            ValueError: for an unknown name; the nearest known one is suggested.
            TypeError: for anything else.
        """
        if isinstance(identifier, self.base):
            return identifier
        if isinstance(identifier, dict) and "class_name" in identifier:
            found = keras.saving.deserialize_keras_object(identifier)
            if isinstance(found, self.base):
                return found
        if isinstance(identifier, str):
            name = identifier.lower()
            if name not in self.factories:
                raise ValueError(
                    f"Expected `{self.kind}` to be one of {sorted(self.factories)}, a config or "
                    f"an instance. Received: {self.kind}={identifier!r}."
                    f"{near_match(identifier, self.factories)}"
                )
            return self.factories[name](**kwargs)
        raise TypeError(
            f"Expected `{self.kind}` to be a name, a config (dict) or an instance of "
            f"`{self.base.__name__}`. Received: {self.kind}={identifier!r} "
            f"of type {type(identifier).__name__}."
        )


def choose(kind: str, table: dict, name: str):
    """Looks a function up by name, with an error that names the nearest one."""
    require_one_of(kind, name, table)
    return table[name]
