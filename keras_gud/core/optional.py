"""Packages that only some functions need: a missing one is an error that names the extra."""


def missing(package: str, what: str, extra: str = "demo") -> ImportError:
    """The error to raise where an optional package cannot be imported.

    >>> str(missing("matplotlib", "plots"))
    'Expected matplotlib to be installed for plots: pip install "keras-gud[demo]"'
    """
    return ImportError(
        f'Expected {package} to be installed for {what}: pip install "keras-gud[{extra}]"'
    )
