"""Parts by name: every family of parts (bases, priors, ...) has one `Registry`.

A part may be given as a name (``"haar"``), as a Keras config (a dict) or as an instance;
`Registry.get` turns each of them into an instance. A part registers itself where it is defined, and
`discover` imports all files of a folder, so that a new file is all that a new part needs.
"""

import difflib
import importlib
import pkgutil
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Generic, TypeVar

import keras
import numpy as np

from keras_gud.core.synonyms import meaning
from keras_gud.core.types import Coordinates, Identifier

PACKAGE = "keras_gud"

Factory = TypeVar("Factory", bound=Callable[..., Any])
Part = TypeVar("Part")
Value = TypeVar("Value")


def discover(package: str) -> None:
    """Imports every module of a package, so that the parts that they define register themselves.

    Args:
        package: Its dotted name; called as ``discover(__name__)`` at the end of its `__init__.py`.
    """
    for module in pkgutil.iter_modules(sys.modules[package].__path__):
        importlib.import_module(f"{package}.{module.name}")


def near_match(name: str, known: Iterable[str]) -> str:
    """A sentence that names the nearest known name, by meaning or letters, or an empty string."""
    known = list(known)
    close = difflib.get_close_matches(str(name).lower(), known, n=1, cutoff=0.6)
    same = meaning(str(name), known)
    found = same or (close[0] if close else None)
    return f" Did you mean {found!r}?" if found else ""


def require_one_of(argument: str, value: Any, known: Collection[str]) -> None:
    """Raises a `ValueError` unless the value of an argument is one of the known names."""
    if not isinstance(value, str) or value not in known:
        raise ValueError(
            f"Expected `{argument}` to be one of {sorted(known)}. "
            f"Received: {argument}={value!r}.{near_match(value, known)}"
        )


def require_coordinate(coordinates: Coordinates, name: str, argument: str) -> np.ndarray:
    """The coordinate `name` of a basis.

    Args:
        coordinates: The coordinates of the basis.
        name: The one that is needed.
        argument: The argument that asks for it, for the message.

    Raises:
        ValueError: for a coordinate that the basis does not have; lists those that it has.

    Example:

    >>> require_coordinate({"row": np.arange(3)}, "row", "over").tolist()
    [0, 1, 2]
    """
    if not isinstance(name, str) or name not in coordinates:
        raise ValueError(
            f"Expected `{argument}` to be a coordinate of the basis, one of {sorted(coordinates)}. "
            f"Received: {argument}={name!r}.{near_match(name, coordinates)}"
        )
    return np.asarray(coordinates[name])


class Registry(Generic[Part]):
    """The named parts of one family.

    Args:
        kind: What the family is called in error messages and arguments, e.g. ``"basis"``.
        base: The base class of the family; instances of it pass through `get`.

    Example:

    >>> from keras_gud import bases
    >>> bases.get("pixel").name
    'pixel'
    """

    def __init__(self, kind: str, base: type[Part]) -> None:
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

    def get(self, identifier: Identifier, **kwargs: Any) -> Part:
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
            f"`{self.base.__name__}`. Received: {self.kind}={identifier!r:.80} "
            f"of type {type(identifier).__name__}."
        )


def _origin(factory: Callable[..., Any]) -> tuple[str | None, str | None]:
    """Where a class or function, also one with some arguments bound, is defined."""
    factory = getattr(factory, "func", factory)
    return getattr(factory, "__module__", None), getattr(factory, "__qualname__", None)


def look_up(argument: str, table: Mapping[str, Value], name: str) -> Value:
    """The entry of a table that an argument names.

    Raises:
        ValueError: for an unknown name; the nearest known one is suggested.

    Example:

    >>> look_up("norm", {"l1": 1, "l2": 2}, "l2")
    2
    """
    require_one_of(argument, name, table)
    return table[name]
