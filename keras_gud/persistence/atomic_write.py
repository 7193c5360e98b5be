"""Files that are there as a whole or not at all, on disks that may be full."""

import contextlib
import errno
import math
import os
import shutil
import tempfile
from pathlib import Path

_HEADER = 8192  # bytes that HDF5 takes for one variable and its groups, at most


def size_of(model) -> int:
    """About how many bytes a file of a model's weights, optimizer and random states takes."""
    variables = [*model.variables, *(model.optimizer.variables if model.compiled else [])]
    return sum((8 if "64" in v.dtype else 4) * math.prod(v.shape) + _HEADER for v in variables)


def require_space(folder, size: int):
    """Raises an `OSError` unless a file of so many bytes can be written to a folder.

    HDF5, with which Keras writes weights, does not: a full disk takes the process down.
    """
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if size and hasattr(os, "posix_fallocate"):  # there may be quotas and limits too
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, size)


def sync(path: Path):
    """Forces a file, or the names in a directory, to the disk."""
    if os.name == "nt" and path.is_dir():
        return  # there, directories cannot be opened
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def complete(path, size: int):
    """The path to write to in the block; the file gets its name only when it is complete.

    Args:
        path: Of a file in a folder that exists; an earlier file stays until it is replaced.
        size: About how many bytes it will have.

    Raises:
        OSError: before the block where there is no room for them; what is raised in it.

    Example:

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with complete(Path(folder) / "a.txt", size=2) as unfinished:
    ...         _ = unfinished.write_text("ab")
    ...     [each.name for each in Path(folder).iterdir()]
    ['a.txt']
    """
    final = Path(os.path.realpath(path))  # not a link to it
    unfinished = final.with_name(f"unfinished-{os.getpid()}-{final.name}")
    require_space(final.parent, size)
    try:
        yield unfinished
        sync(unfinished)
        os.replace(unfinished, final)
        sync(final.parent)
    finally:
        unfinished.unlink(missing_ok=True)
