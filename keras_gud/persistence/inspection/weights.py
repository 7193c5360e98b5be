"""A file of weights (HDF5): whether it holds plain arrays of numbers, and nothing else."""

import math
import os
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

import h5py
import numpy as np

from keras_gud.persistence.inspection.limits import FileName, allowed_bytes, file_error

_MAX_DEPTH = 100
# Keras does not compress arrays. One of more than 64 times the bytes that are stored of it (and of
# more than 1 MiB) would fill memory from a small file.
_MAX_RATIO, _ALWAYS_ALLOWED = 64, 2**20


class Contents(NamedTuple):
    """What a file of weights holds.

    Attributes:
        elements: How many numbers.
        bytes: How many bytes they take in memory.
    """

    elements: int
    bytes: int


def check_weights(
    file: str | os.PathLike | BinaryIO,
    max_bytes: int | None = None,
    name: str | os.PathLike | None = None,
) -> Contents:
    """Raises an error unless a file holds plain arrays of numbers and nothing else.

    Links, external storage, virtual arrays, arrays that claim to be much larger than what is stored
    of them, types that are not numbers, and too many bytes in all are refused. No array is read.

    Args:
        file: Path of an HDF5 file, e.g. of `model.save_weights`, or a binary file object.
        max_bytes: The most bytes that all arrays together may take; default: 32 times the size of
            the file, at least 256 MiB.
        name: What to call the file in messages; default: its path.

    Returns:
        How many numbers it holds, and how many bytes they take.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a file that is refused; the message says why.

    Example:

    >>> import io, numpy as np
    >>> with h5py.File(file := io.BytesIO(), "w") as weights:
    ...     weights["layer/vars/0"] = np.zeros((2, 3), "float32")
    >>> check_weights(file)
    Contents(elements=6, bytes=24)
    """
    path = file if name is None else name
    try:
        with h5py.File(file, "r") as root:
            datasets = list(_datasets(path, root))
            size = file.seek(0, os.SEEK_END) if hasattr(file, "seek") else os.path.getsize(file)
            return _count(path, datasets, allowed_bytes(size, max_bytes))
    except FileNotFoundError:
        raise
    # What h5py raises for damaged files.
    except (OSError, RuntimeError, KeyError, UnicodeDecodeError) as error:
        expected = "a whole file of weights (HDF5)"
        raise file_error(path, expected, f"{type(error).__name__} ({error})") from error


def _datasets(path: FileName, root: h5py.Group) -> Iterator[tuple[str, h5py.Dataset]]:
    """Every array of a file and its place, each group once; links are refused, never followed."""
    waiting, seen = [("", root, 0)], set()
    while waiting:
        place, group, depth = waiting.pop()
        address = h5py.h5o.get_info(group.id).addr
        if depth > _MAX_DEPTH or address in seen:
            raise file_error(
                path, "groups as Keras writes them", f"a group within itself, {place!r}"
            )
        seen.add(address)
        for key in group:
            inner = f"{place}/{key}"
            link = group.get(key, getlink=True)
            if type(link) is not h5py.HardLink:
                kind = type(link).__name__
                raise file_error(path, "weights within the file", f"a {kind} at {inner!r}")
            item = group[key]
            if isinstance(item, h5py.Group):
                waiting.append((inner, item, depth + 1))
            elif isinstance(item, h5py.Dataset):
                yield inner, item
            else:
                raise file_error(path, "groups and arrays", f"{type(item).__name__} at {inner!r}")


def _dtype(path: FileName, place: str, array: h5py.Dataset) -> np.dtype:
    try:
        return array.dtype
    except (TypeError, ValueError) as error:  # e.g. a float of an unusual format
        raise file_error(path, "arrays of numbers", f"an unknown type at {place!r}") from error


def _count(path: FileName, datasets: Iterable[tuple[str, h5py.Dataset]], most: int) -> Contents:
    elements = total = 0
    for place, array in datasets:
        if array.external or array.is_virtual:
            raise file_error(path, "weights within the file", f"an array elsewhere, at {place!r}")
        # bfloat16, which NumPy does not know, is stored as two plain bytes.
        dtype = _dtype(path, place, array)
        if dtype.kind not in "biuf" and dtype.str != "|V2":
            raise file_error(path, "arrays of numbers", f"dtype {dtype} at {place!r}")
        count = math.prod(array.shape)
        claimed, stored = count * dtype.itemsize, array.id.get_storage_size()
        elements, total = elements + count, total + claimed
        if claimed > _MAX_RATIO * stored + _ALWAYS_ALLOWED:
            received = f"{claimed} bytes at {place!r} of which {stored} are stored"
            raise file_error(path, "arrays that are as large as they claim", received)
        if total > most:
            hint = "If you trust it, load it with a larger `max_bytes`."
            raise file_error(
                path, f"at most {most} bytes of weights", f"more, at {place!r} ({hint})"
            )
    return Contents(elements, total)
