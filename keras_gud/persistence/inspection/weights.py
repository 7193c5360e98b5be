"""A file of weights (HDF5): plain arrays of numbers, all within the file."""

import math
import os
from collections import namedtuple

import h5py

from keras_gud.persistence.inspection.limits import most_bytes, refuse

Contents = namedtuple("Contents", ["elements", "bytes"])
Contents.__doc__ = "How many numbers a file of weights holds, and how many bytes they take."

_DEPTH = 100
# Keras writes arrays as they are. An array that claims more than this many times what is stored
# would fill memory from a small file.
_EXPANSION, _FREE = 64, 2**20


def check_weights(file, max_bytes: int | None = None, name=None) -> Contents:
    """Raises an error unless a file holds plain arrays of numbers and nothing else.

    Links out of the file or within it, external storage, virtual and compressed-away arrays,
    types that are not numbers and arrays that claim to be larger than allowed are refused; no
    array is read.

    Args:
        file: Path of an HDF5 file, e.g. of `model.save_weights`, or a binary file object.
        max_bytes: The most bytes that all arrays together may take; default: 32 times the size of
            the file, at least 256 MiB.
        name: What to call the file in messages; default: its path.

    Returns:
        Its `Contents`.

    Raises:
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
            return _sum(path, datasets, most_bytes(size, max_bytes))
    except FileNotFoundError:
        raise
    # h5py's words for all sorts of damage
    except (OSError, RuntimeError, KeyError, UnicodeDecodeError) as error:
        expected = "a whole file of weights (HDF5)"
        raise refuse(path, expected, f"{type(error).__name__} ({error})") from error


def _datasets(path, root):
    """Every array of a file, each group once; links are looked at, never followed."""
    waiting, seen = [("", root, 0)], set()
    while waiting:
        place, group, depth = waiting.pop()
        address = h5py.h5o.get_info(group.id).addr
        if depth > _DEPTH or address in seen:
            raise refuse(path, "groups as Keras writes them", f"a group within itself, {place!r}")
        seen.add(address)
        for key in group:
            inner = f"{place}/{key}"
            link = group.get(key, getlink=True)
            if type(link) is not h5py.HardLink:
                kind = type(link).__name__
                raise refuse(path, "weights within the file", f"a {kind} at {inner!r}")
            item = group[key]
            if isinstance(item, h5py.Group):
                waiting.append((inner, item, depth + 1))
            elif isinstance(item, h5py.Dataset):
                yield inner, item
            else:
                raise refuse(path, "groups and arrays", f"{type(item).__name__} at {inner!r}")


def _dtype(path, place, array):
    try:
        return array.dtype
    except (TypeError, ValueError) as error:  # a float of a make of its own
        raise refuse(path, "arrays of numbers", f"an unknown type at {place!r}") from error


def _sum(path, datasets, most: int) -> Contents:
    elements = total = 0
    for place, array in datasets:
        if array.external or array.is_virtual:
            raise refuse(path, "weights within the file", f"an array elsewhere, at {place!r}")
        # bfloat16, which NumPy does not know, is stored as two plain bytes.
        dtype = _dtype(path, place, array)
        if dtype.kind not in "biuf" and dtype.str != "|V2":
            raise refuse(path, "arrays of numbers", f"dtype {dtype} at {place!r}")
        count = math.prod(array.shape)
        claimed, stored = count * dtype.itemsize, array.id.get_storage_size()
        elements, total = elements + count, total + claimed
        if claimed > _EXPANSION * stored + _FREE:
            received = f"{claimed} bytes at {place!r} of which {stored} are stored"
            raise refuse(path, "arrays that are as large as they claim", received)
        if total > most:
            hint = "If you trust it, load it with a larger `max_bytes`."
            raise refuse(path, f"at most {most} bytes of weights", f"more, at {place!r} ({hint})")
    return Contents(elements, total)
