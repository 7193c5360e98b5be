"""Checks of arguments, with errors that name the argument and what it was given."""

import functools
import inspect
from collections.abc import Callable, Iterable
from numbers import Real
from typing import Any, ParamSpec, TypeVar

import numpy as np

from keras_gud.core.registry import near_match
from keras_gud.core.synonyms import meaning, place

Given = ParamSpec("Given")
Result = TypeVar("Result")


def check_integer(name: str, value: Any, least: int | None = None) -> int:
    """Checks an argument that must be an integer.

    Args:
        name: Name of the argument.
        value: Its value; a float passes if it is a whole number.
        least: The smallest allowed value, if there is one.

    Returns:
        The value as an `int`.

    Raises:
        ValueError: for anything else.

    Example:

    >>> check_integer("steps", 50.0, least=1)
    50
    """
    whole = isinstance(value, Real) and not isinstance(value, bool) and value % 1 == 0
    if not whole or (least is not None and value < least):
        bound = "" if least is None else f" >= {least}"
        raise ValueError(f"Expected `{name}` to be an integer{bound}. Received: {name}={value!r}.")
    return int(value)


def check_flag(name: str, value: Any) -> bool:
    """The value of an argument as a `bool`; a `ValueError` unless it is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"Expected `{name}` to be True or False. Received: {name}={value!r}.")
    return bool(value)


def check_positive(name: str, value: Any) -> float:
    """The value of an argument as a `float`; a `ValueError` unless it is finite and > 0."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not (number and 0.0 < value < float("inf")):
        raise ValueError(f"Expected `{name}` to be a number > 0. Received: {name}={value!r}.")
    return float(value)


def check_numbers(**values: Any) -> None:
    """Raises a `ValueError` unless every value is a number; names the first that is not."""
    for name, value in values.items():
        if not isinstance(value, Real) or isinstance(value, bool):
            raise ValueError(f"Expected `{name}` to be a number. Received: {name}={value!r}.")


def check_values(name: str, value: Any) -> np.ndarray:
    """The values of an argument that is one number for all samples, or one for each, ``(n,)``.

    Raises:
        ValueError: for no numbers, or anything else than numbers.
    """
    numbers = np.ravel(value)
    if numbers.dtype.kind not in "iufb" or numbers.size == 0:
        raise ValueError(
            f"Expected `{name}` to be a number, or an array with one for each sample. "
            f"Received: {name}={value!r}."
        )
    return numbers


def check_keywords(function: str, given: dict[str, Any], known: Iterable[str]) -> None:
    """Raises a `ValueError` for a keyword that `function` does not take.

    It names the argument that is meant, the call that takes such a one, or the nearest name.
    """
    known = sorted(known)
    for name, value in given.items():
        if name not in known:
            call = None if meaning(name, known) else place(name)
            hint = f" That is for `{call}`." if call else near_match(name, known)
            raise ValueError(
                f"Expected an argument of `{function}`, one of {known}. "
                f"Received: {name}={value!r}.{hint}"
            )


def constructor_arguments(kind: type, base: type) -> set[str]:
    """Names of the arguments of a class's constructor, and of those that it passes its own on to.

    Args:
        kind: The class.
        base: The last of its bases that counts.

    Example:

    >>> class Base:
    ...     def __init__(self, size): ...
    >>> class Kind(Base):
    ...     def __init__(self, rate, **kwargs): ...
    >>> sorted(constructor_arguments(Kind, Base))
    ['rate', 'size']
    """
    kinds = [each for each in kind.__mro__ if issubclass(each, base)]
    names = {name for each in kinds for name in inspect.signature(each.__init__).parameters}
    return names - {"self", "args", "kwargs"}


def check_keywords_of(
    method: Callable[..., Any], given: dict[str, Any], *also: Callable[..., Any]
) -> None:
    """`check_keywords` of a method with ``**kwargs``, which go to other ones.

    Args:
        method: A function of a model that stands first.
        given: The ``**kwargs``.
        *also: The others.
    """
    known = {name for each in (method, *also) for name in inspect.signature(each).parameters}
    check_keywords(method.__name__, given, known - {"self", "model", "args", "kwargs"})


def names_near_keywords(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """A decorator: the error for a keyword that a function does not take names the nearest one.

    Example:

    >>> @names_near_keywords
    ... def draw(n, size=None):
    ...     return n
    >>> draw(n=3)
    3
    >>> draw(num_samples=3)
    Traceback (most recent call last):
    ValueError: Expected an argument of `draw`, one of ['n', 'size']. Received: num_samples=3. \
Did you mean 'n'?
    """
    known = inspect.signature(function).parameters

    @functools.wraps(function)
    def checked(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        check_keywords(function.__name__, kwargs, known)
        return function(*args, **kwargs)

    return checked


def as_floats(value: Any) -> np.ndarray:
    """The value as a float32 array, or a single NaN if it is not an array of numbers.

    So that one check of the result, which refuses NaN, covers both.
    """
    try:
        return np.asarray(value, "float32")
    except (TypeError, ValueError):
        return np.asarray(np.nan, "float32")


def require_built(model: Any, purpose: str) -> None:
    """Raises a `ValueError` unless a model has been fitted, adapted or loaded.

    Args:
        model: A Keras model.
        purpose: What it has to be built for, e.g. ``"it samples"``.
    """
    if not model.built:
        raise ValueError(
            f"Expected the model to know its data before {purpose}. "
            "Call `model.fit(x)` or `model.adapt(x)` first, or load a saved model."
        )
    if not getattr(model, "has_statistics", True):
        raise ValueError(
            f"Expected the model's statistics of its data before {purpose}. Received: a model that "
            "has been built from a config alone. Call `model.load_weights(path)`, or "
            "`model.adapt(x)`."
        )
