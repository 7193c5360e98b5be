"""Checks before any training starts: of the data's shape, type and values, and of arguments."""

from collections.abc import Iterable
from numbers import Real

import numpy as np

from keras_gud.core import data_shape  # noqa: F401
from keras_gud.core.registry import near_match


def check_integer(name: str, value, least: int | None = None) -> int:
    """The integer `value`, or a `ValueError` that names the argument.

    Args:
        name: Name of the argument.
        value: What was given; a float passes if it is a whole number.
        least: The smallest legal value, if there is one.
    """
    whole = isinstance(value, Real) and not isinstance(value, bool) and value % 1 == 0
    if not whole or (least is not None and value < least):
        bound = "" if least is None else f" >= {least}"
        raise ValueError(f"Expected `{name}` to be an integer{bound}. Received: {name}={value!r}.")
    return int(value)


def check_flag(name: str, value) -> bool:
    """True or False, or a `ValueError` that names the argument."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"Expected `{name}` to be True or False. Received: {name}={value!r}.")
    return bool(value)


def check_positive(name: str, value) -> float:
    """The finite number `value` > 0, or a `ValueError` that names the argument."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not (number and 0.0 < value < float("inf")):
        raise ValueError(f"Expected `{name}` to be a number > 0. Received: {name}={value!r}.")
    return float(value)


def check_numbers(**values):
    """Raises a `ValueError` unless every value is a number; names the first that is not."""
    for name, value in values.items():
        if not isinstance(value, Real) or isinstance(value, bool):
            raise ValueError(f"Expected `{name}` to be a number. Received: {name}={value!r}.")


def check_values(name: str, value) -> np.ndarray:
    """The numbers of an argument that has one for all samples or one for each, ``(n,)``."""
    numbers = np.ravel(value)
    if numbers.dtype.kind not in "iufb" or numbers.size == 0:
        raise ValueError(
            f"Expected `{name}` to be a number, or an array with one for each sample. "
            f"Received: {name}={value!r}."
        )
    return numbers


def check_keywords(function: str, given: dict, known: Iterable[str]):
    """Raises a `ValueError` for a keyword that `function` does not take; names the nearest."""
    known = sorted(known)
    for name, value in given.items():
        if name not in known:
            raise ValueError(
                f"Expected an argument of `{function}`, one of {known}. "
                f"Received: {name}={value!r}.{near_match(name, known)}"
            )


def as_floats(value) -> np.ndarray:
    """The value as float32; one NaN, which every check refuses, if it is no array of numbers."""
    try:
        return np.asarray(value, "float32")
    except (TypeError, ValueError):
        return np.asarray(np.nan, "float32")
