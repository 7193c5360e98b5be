"""Packages that only some functions need; the error for a missing one names the extra."""


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
