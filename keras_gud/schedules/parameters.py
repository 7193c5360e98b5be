"""The parameters of a family of schedules: legal values, ranges, values that are left open.

A parameter is a number or a range (low, high). Training draws it from its range for every sample;
elsewhere a value is chosen, or the middle of the range is taken.
"""

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_gud.core.arguments import check_values
from keras_gud.core.registry import near_match
from keras_gud.core.types import Tensor

Range = tuple[float, float]
# Chosen values may leave their range by this much, as rounding does.
_TOLERANCE = 1e-6


def check_range(name: str, value: Any, bounds: Range) -> Range:
    """A number or a pair of numbers within bounds, as (low, high).

    Args:
        name: Name of the parameter.
        value: A number, equal ends, or a pair (low, high).
        bounds: The half-open interval [low, high) of legal values.

    Raises:
        ValueError: for something else, a value out of bounds, or a pair upside down.

    >>> check_range("b", 0.5, (0.0, 1.0)), check_range("b", (0.2, 0.6), (0.0, 1.0))
    ((0.5, 0.5), (0.2, 0.6))
    """
    low, high = bounds
    try:
        pair = tuple(map(float, value if isinstance(value, (tuple, list)) else (value,)))
    except (TypeError, ValueError):  # not numbers
        pair = ()
    # As float32, in which paths compute: 1 - 1e-9 would otherwise pass and divide by zero.
    with np.errstate(over="ignore"):
        legal = all(low <= float(np.float32(v)) < high for v in pair)
    if len(pair) not in (1, 2) or not legal or pair[0] > pair[-1]:
        limit = high == 1.0 and 1.0 in pair
        raise ValueError(
            f"Expected `{name}` to be a number in [{low:g}, {high:g}), or a pair (low, high) "
            f"of such numbers. Received: {name}={value!r}."
            + (" At 1 a group would have no time at all; take 0.95, say." if limit else "")
        )
    return pair[0], pair[-1]


def middle(ranges: dict[str, Range]) -> dict[str, float]:
    """The middle of every range.

    >>> middle({"b": (0.25, 0.75)})
    {'b': 0.5}
    """
    return {name: 0.5 * (low + high) for name, (low, high) in ranges.items()}


def draw(ranges: dict[str, Range], uniforms: Tensor) -> dict[str, Tensor]:
    """A value from each range for each sample.

    Args:
        ranges: Dict from name to (low, high).
        uniforms: float32 ``(batch, >= len(ranges))`` in (0, 1).

    Returns:
        Dict from name to float32 ``(batch,)``.
    """
    return {
        name: low + (high - low) * uniforms[:, i]
        for i, (name, (low, high)) in enumerate(ranges.items())
    }


def check_chosen(
    chosen: dict[str, Any],
    ranges: dict[str, Range],
    bounds: dict[str, Range],
    others: Iterable[str],
    stacklevel: int,
) -> bool:
    """Checks chosen values, and says whether one of them is outside its range.

    Args:
        chosen: Values by name, numbers or arrays.
        ranges: Dict from the name of every parameter to its (low, high).
        bounds: Dict from name to the half-open interval of legal values.
        others: Names that the caller takes beside parameters, for which a misspelt name may stand.
        stacklevel: Of the warning, counted from here.

    Raises:
        ValueError: for an unknown name, with the nearest one, or a value out of bounds.

    Warns:
        UserWarning: for a value outside its range.
    """
    also = f", or an argument, one of {sorted(others)}" if others else ""
    outside = False
    for name, value in chosen.items():
        if name not in ranges:
            raise ValueError(
                f"Expected a parameter of the schedule, one of {sorted(ranges)}{also}. "
                f"Received: {name}={value!r}.{near_match(name, [*ranges, *others])}"
            )
        numbers = check_values(name, value)
        for number in numbers:
            check_range(name, number, bounds[name])
        low, high = ranges[name]
        if numbers.min() < low - _TOLERANCE or numbers.max() > high + _TOLERANCE:
            warnings.warn(
                f"{name}={value} is outside the range [{low:g}, {high:g}] of this schedule: "
                "a network trained on the range has not met these noising states.",
                stacklevel=stacklevel,
            )
            outside = True
    return outside
