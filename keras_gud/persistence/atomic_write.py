"""Atomic writes: a file is there as a whole or not at all, also where the disk is full."""

import contextlib
import errno
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import keras

_HEADER = 8192  # most bytes that HDF5 adds for one variable and its groups

# Names of files that are being written begin so.
_UNFINISHED = "unfinished-"


def estimated_bytes(model: keras.Model) -> int:
    """About how many bytes a file of a model's weights, optimizer and random states takes.

    Example:

    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> estimated_bytes(model) - 2 * 8192  # of 6 and 2 floats
    32
    """
    variables = [*model.variables, *(model.optimizer.variables if model.compiled else [])]
    return sum((8 if "64" in v.dtype else 4) * math.prod(v.shape) + _HEADER for v in variables)


def require_space(folder: str | os.PathLike, size: int) -> None:
    """Raises an `OSError` unless there is room for a file of a given size.

    HDF5, with which Keras writes weights, does not: on a full disk it crashes the process.

    Args:
        folder: An existing folder.
        size: Size of the file in bytes.
    """
    folder = Path(folder)
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if size and hasattr(os, "posix_fallocate"):  # quotas and limits count too
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, size)


def sync(path: Path) -> None:
    """Flushes a file, or the entries of a directory, to the disk (fsync)."""
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open directories
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_unfinished(folder: Path, pattern: str) -> None:
    """Removes what interrupted writes of files of these names have left behind, see `replacing`."""
    for path in folder.glob(f"{_UNFINISHED}*-{pattern}"):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing(path: str | os.PathLike, size: int) -> Iterator[Path]:
    """A context that yields another path to write to; at its end the file is renamed to `path`.

    Args:
        path: Of a file in a folder that exists; an earlier file stays as it is until it is
            replaced, and for good if an error is raised in the context.
        size: About how many bytes the file will have.

    Raises:
        OSError: if there is no room for so many bytes, before anything is written.

    Example:

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "a.txt", size=2) as unfinished:
    ...         _ = unfinished.write_text("ab")
    ...     [each.name for each in Path(folder).iterdir()]
    ['a.txt']
    """
    final = Path(os.path.realpath(path))  # of a link, replace what it points to
    unfinished = final.with_name(f"{_UNFINISHED}{os.getpid()}-{final.name}")
    require_space(final.parent, size)
    try:
        yield unfinished
        sync(unfinished)
        os.replace(unfinished, final)
        sync(final.parent)
    finally:
        unfinished.unlink(missing_ok=True)
