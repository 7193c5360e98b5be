"""Checkpoints on disk: a folder each, which is there as a whole or not at all.

    directory/step-000000001200/model.weights.h5    what Keras saves
                                state.json          where training was, and checksums of everything

A checkpoint is written under another name, flushed to the disk, and renamed. So whatever happens to
the process or the machine, a folder of that name is complete. Its checksums detect files that were
damaged later.
"""

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_gud.persistence import atomic_write

FORMAT_VERSION = 1
STATE = "state.json"
_NAME = "step-{:012d}"
_WRITING, _REMOVING = ".writing-", ".removing-"


class DamagedError(Exception):
    """A checkpoint that is incomplete or differs from what was written; the message says how."""


class CheckpointStore:
    """The checkpoints in a directory.

    Args:
        directory: Where they are; made when the first is written.
        keep: How many of the newest to keep, >= 1.

    Example:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     checkpoints = CheckpointStore(directory, keep=1)
    ...     for step in (10, 20):
    ...         _ = checkpoints.write(step, {"epoch": step}, lambda folder: None)
    ...     path, state = checkpoints.newest()
    >>> path.name, state["epoch"]
    ('step-000000000020', 20)
    """

    def __init__(self, directory: str | os.PathLike, keep: int) -> None:
        self.directory, self.keep = Path(directory), keep

    def paths(self) -> list[Path]:
        """The folders of all checkpoints, the newest first."""
        return sorted(self.directory.glob("step-*"), reverse=True)

    def newest(self) -> tuple[Path, dict[str, Any]] | None:
        """The folder and the state of the newest checkpoint that is not damaged.

        Damaged ones are reported by a warning. `None` if there are no checkpoints at all.

        Raises:
            ValueError: for a checkpoint of a newer format, or if all are damaged.
        """
        damaged = []
        for path in self.paths():
            try:
                return path, read_state(path)
            except DamagedError as error:
                damaged.append(f"{path}: {error}")
                warnings.warn(f"A damaged checkpoint is left out: {damaged[-1]}", stacklevel=2)
        if damaged:
            raise ValueError(
                "Expected a checkpoint that can be read, or none. Received: only damaged ones: "
                f"{'; '.join(damaged)}. To begin anew, remove them or take another directory."
            )
        return None

    def remove_unfinished(self) -> None:
        """Removes what interrupted writes and removals have left behind."""
        for prefix in (_WRITING, _REMOVING):
            for path in self.directory.glob(prefix + "*"):
                shutil.rmtree(path, ignore_errors=True)

    def write(
        self, step: int, state: dict[str, Any], save: Callable[[Path], None], size: int = 0
    ) -> Path:
        """Writes a checkpoint, then removes those that are no longer kept.

        Args:
            step: The training step, counted from 0.
            state: What `newest` is to return, of the types that JSON has.
            save: Function of a folder that writes further files there.
            size: About how many bytes `save` writes.

        Returns:
            The folder of the checkpoint.

        Raises:
            OSError: if it cannot be written, e.g. on a full disk; the earlier ones are still there.
        """
        final = self.directory / _NAME.format(step)
        unfinished = self.directory / (_WRITING + final.name)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            atomic_write.require_space(self.directory, size)
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            save(unfinished)
            _seal(unfinished, state)
            if final.exists():  # a damaged one, which training could not resume
                self._remove(final)
            os.replace(unfinished, final)
            atomic_write.sync(self.directory)
        except BaseException as error:
            shutil.rmtree(unfinished, ignore_errors=True)
            if isinstance(error, OSError):
                raise self._write_error(error, size) from error
            raise
        self._prune(final)
        return final

    def _prune(self, latest: Path) -> None:
        """Removes old checkpoints, and damaged ones of later steps, which will be written again."""
        earlier = [path for path in self.paths() if path.name <= latest.name]
        for path in set(self.paths()) - set(earlier[: self.keep]):
            self._remove(path)

    def _remove(self, path: Path) -> None:
        """Removes a checkpoint; renames it first, so that half of one is not taken for a whole."""
        renamed = path.with_name(_REMOVING + path.name)
        shutil.rmtree(renamed, ignore_errors=True)
        os.replace(path, renamed)
        shutil.rmtree(renamed, ignore_errors=True)

    def _write_error(self, error: OSError, size: int) -> OSError:
        last = self.paths()[:1]
        return OSError(
            error.errno,
            f"Expected to be able to write a checkpoint of about {size / 2**20:.1f} MiB to "
            f"{self.directory} ({_free_space(self.directory)}). Received: {error}. The last "
            f"checkpoint is {last[0] if last else 'none'}; the model keeps its present weights.",
        )


def read_state(path: Path) -> dict[str, Any]:
    """The state of a checkpoint, after the checksums of all its files have been verified.

    Raises:
        DamagedError: for anything missing, truncated or changed.
        ValueError: for a newer format.
    """
    try:
        record = json.loads((path / STATE).read_bytes())
        version = int(record["format_version"])
        if version <= FORMAT_VERSION:
            state, digest = record["state"], record["sha256"]
            files = state["files"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"{STATE} cannot be read ({error!r})") from error
    if version > FORMAT_VERSION:
        raise ValueError(
            f"Expected checkpoints of format version {FORMAT_VERSION} or older. Received: {path} "
            f"of version {version}; a newer keras_gud wrote it."
        )
    if digest != _state_checksum(state):
        raise DamagedError(f"{STATE} is not as it was written (its checksum differs)")
    for name, written in files:
        file = path / name
        if not file.is_file():
            raise DamagedError(f"{name} is missing")
        if file.stat().st_size != written["bytes"]:
            sizes = f"{file.stat().st_size} instead of {written['bytes']} bytes"
            raise DamagedError(f"{name} is not as it was written ({sizes})")
        if _file_checksum(file) != written["sha256"]:
            raise DamagedError(f"{name} is not as it was written (its checksum differs)")
    return state


def _seal(folder: Path, state: dict[str, Any]) -> None:
    """Writes the state with checksums of all files, and flushes everything to the disk."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": _file_checksum(path)}
        for path in sorted(folder.iterdir())
    }
    state = json.loads(json.dumps(state | {"files": files}))
    record = {"format_version": FORMAT_VERSION, "sha256": _state_checksum(state), "state": state}
    (folder / STATE).write_text(json.dumps(record, indent=1))
    for path in [*folder.iterdir(), folder]:
        atomic_write.sync(path)


def _file_checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _state_checksum(state: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _free_space(directory: Path) -> str:
    try:
        return f"{shutil.disk_usage(directory).free / 2**20:.1f} MiB are free"
    except OSError:
        return "it does not exist"
