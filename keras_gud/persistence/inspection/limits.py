"""How much a file may claim to hold, and the error for one that must not be loaded."""

from keras_gud.core.arguments import check_integer

# Weights hardly compress. Small files get a fixed allowance, since a fresh model is mostly zeros.
_EXPANSION, _FLOOR = 32, 256 * 2**20


def refuse(path, expected: str, received: str) -> ValueError:
    """The error for a file that is not what it should be."""
    return ValueError(f"Expected {expected}. Received: {received} in {str(path)!r}.")


def most_bytes(size: int, max_bytes: int | None) -> int:
    """The most that a file of `size` bytes may unpack to.

    >>> most_bytes(10**6, None) == 256 * 2**20, most_bytes(10**9, None), most_bytes(1, 5)
    (True, 32000000000, 5)
    """
    if max_bytes is not None:
        return check_integer("max_bytes", max_bytes, 1)
    return max(_FLOOR, _EXPANSION * size)
