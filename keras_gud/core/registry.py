"""Parts by name: every family of parts (bases, priors, ...) has one `Registry`.

A part may be given as a name (``"haar"``), as a Keras config (a dict) or as an instance;
`Registry.get` turns each of them into an instance. A part registers itself where it is defined, and
`discover` imports all files of a folder, so that a new file is all that a new part needs.
"""

import difflib
import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import keras
import numpy as np

PACKAGE = "keras_gud"

Factory = TypeVar("Factory", bound=Callable[..., Any])


def discover(package: str):
    """Imports every module of a package, so that the parts that they define register themselves.

    Args:
        package: Its dotted name; called as ``discover(__name__)`` at the end of its `__init__.py`.
    """
    for module in pkgutil.iter_modules(sys.modules[package].__path__):
        importlib.import_module(f"{package}.{module.name}")


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
        self.factories: dict[str, Callable[..., Any]] = {}

    def add(self, name: str, factory: Factory) -> Factory:
        """Registers a part under a name.

        Args:
            name: A new name, in lower case.
            factory: A class, or a function that returns an instance; callable without arguments.

        Raises:
            ValueError: for a name with capitals, or one that another part has.
        """
        if name != name.lower():
            raise ValueError(f"Expected `name` in lower case. Received: name={name!r}.")
        known = self.factories.setdefault(name, factory)
        # A module or notebook cell that runs again may replace what it registered before.
        if _origin(known) != _origin(factory):
            raise ValueError(
                f"Expected a new `name`, other than {sorted(self.factories)}. "
                f"Received: name={name!r} for {factory!r}; it is the name of {known!r}."
            )
        self.factories[name] = factory
        return factory

    def register(self, name: str) -> Callable[[Factory], Factory]:
        """A decorator that registers a class (or a function that returns an instance).

        Args:
            name: See `add`.

        Example:

        >>> from keras_gud import bases
        >>> @bases.registry.register("same")
        ... class Same(bases.Pixel):
        ...     pass
        >>> type(bases.get("same")).__name__
        'Same'
        >>> del bases.registry.factories["same"]
        """
        return lambda factory: self.add(name, factory)

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


def _origin(factory) -> tuple[str | None, str | None]:
    """Where a class or function, also one with some arguments bound, is defined."""
    factory = getattr(factory, "func", factory)
    return getattr(factory, "__module__", None), getattr(factory, "__qualname__", None)


def choose(kind: str, table: dict, name: str):
    """Looks a function up by name, with an error that names the nearest one."""
    require_one_of(kind, name, table)
    return table[name]
