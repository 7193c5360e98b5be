"""How much a file may claim to hold, and the error for one that must not be loaded."""

import os
from typing import BinaryIO, TypeAlias

from keras_gud.core.arguments import check_integer

# What names a file in messages: its path, or the open file itself.
FileName: TypeAlias = str | os.PathLike | BinaryIO
# Weights hardly compress, except in a fresh model, which is mostly zeros: hence the second number.
_MAX_RATIO, _ALWAYS_ALLOWED = 32, 256 * 2**20


def file_error(path: FileName, expected: str, received: str) -> ValueError:
    """The error to raise for a file that must not be loaded.

    Example:

    >>> str(file_error("a.h5", "finite weights", "NaN"))
    "Expected finite weights. Received: NaN in 'a.h5'."
    """
    return ValueError(f"Expected {expected}. Received: {received} in {str(path)!r}.")


def allowed_bytes(size: int, max_bytes: int | None) -> int:
    """The most bytes that a file may unpack to.

    Args:
        size: Bytes of the file.
        max_bytes: The user's limit; default: 32 times `size`, at least 256 MiB.

    Raises:
        ValueError: for a limit that is not a positive integer.

    Example:

    >>> allowed_bytes(10**6, None) == 256 * 2**20, allowed_bytes(10**9, None), allowed_bytes(1, 5)
    (True, 32000000000, 5)
    """
    if max_bytes is not None:
        return check_integer("max_bytes", max_bytes, 1)
    return max(_ALWAYS_ALLOWED, _MAX_RATIO * size)
