"""Packages that only some functions need; the error for a missing one names the extra."""

from collections.abc import Collection
from typing import Any


def class_of(x: Any, package: str, names: Collection[str]) -> str | None:
    """Which of some classes of a package x is of, itself or by a parent; `None`: of none.

    The package need not be installed, and is not imported.

    >>> class_of([1, 2], "grain", ("MapDataset", "DataLoader")) is None
    True
    """
    for parent in type(x).__mro__:
        if parent.__name__ in names and parent.__module__.split(".")[0] == package:
            return parent.__name__
    return None


def missing(package: str, purpose: str, extra: str = "demo") -> ImportError:
    """The error to raise where an optional package cannot be imported.

    Args:
        package: Name of the package.
        purpose: What it is needed for.
        extra: The extra of this package that installs it.

    >>> str(missing("matplotlib", "plots"))
    'Expected matplotlib to be installed for plots: pip install ".[demo]"'
    """
    return ImportError(
        f'Expected {package} to be installed for {purpose}: pip install ".[{extra}]"'
    )
