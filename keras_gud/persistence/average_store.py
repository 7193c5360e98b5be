"""Averages of weights on disk, taken at several steps of a run: files of plain arrays.

    directory/average-000000000120.npz      arrays `step`, `run`, `widths`, and `0_0`, `0_1`, ...:
                                            of each width each weight's average, float32

Each is there as a whole or not at all.
"""

import os
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_gud.core.types import Array
from keras_gud.persistence import atomic_write

_NAME, _PATTERN = "average-{:012d}.npz", "average-*.npz"
_HEADERS = 1024  # bytes that a file needs for one array beside its numbers


class Stored(NamedTuple):
    """What a file says about its averages.

    Attributes:
        step: The number of steps that they are of.
        run: The number of their run.
        widths: Their widths.
    """

    step: int
    run: int
    widths: tuple[float, ...]


class AverageStore:
    """The averages in a directory.

    Args:
        directory: Where they are; made when the first are written.

    Example:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     store = AverageStore(directory)
    ...     store.write(Stored(20, 7, (0.1,)), [[np.ones(3)]])
    ...     store.newest(), [(i, j, a.tolist()) for i, j, a in store.read(20)]
    (Stored(step=20, run=7, widths=(0.1,)), [(0, 0, [1.0, 1.0, 1.0])])
    """

    def __init__(self, directory: str | os.PathLike) -> None:
        self.directory = Path(directory)

    def steps(self) -> list[int]:
        """Of which steps there are averages, in order."""
        found = self.directory.glob(_PATTERN)
        return sorted(int(path.stem.rpartition("-")[2]) for path in found)

    def newest(self) -> Stored | None:
        """What the last file says; `None` if there is none."""
        steps = self.steps()
        return self.about(steps[-1]) if steps else None

    def about(self, step: int) -> Stored:
        """What the file of a step says.

        Raises:
            ValueError: if it is damaged.
        """
        found = dict(self._arrays(step, *Stored._fields))
        return Stored(int(found["step"]), int(found["run"]), tuple(found["widths"].tolist()))

    def read(self, step: int) -> Iterator[tuple[int, int, Array]]:
        """The averages of a step, one at a time: number of the width, of the weight, and average.

        Raises:
            ValueError: if the file is damaged.
        """
        for name, array in self._arrays(step):
            width, _, weight = name.partition("_")
            if weight:
                yield int(width), int(weight), array

    def _arrays(self, step: int, *names: str) -> Iterator[tuple[str, Array]]:
        """The arrays of some names, or all of a file."""
        path = self._path(step)
        try:
            with np.load(path, allow_pickle=False) as file:
                for name in names or file.files:
                    yield name, file[name]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"Expected averages in {path}, or no such file. Received: a damaged one "
                f"({type(error).__name__}: {error}). Remove it; the others can do without."
            ) from error

    def write(self, about: Stored, averages: Sequence[Sequence[Array]]) -> None:
        """Writes averages; a file of the same step is replaced.

        Args:
            about: What they are.
            averages: For each width the average of each weight.

        Raises:
            OSError: if they cannot be written; nothing of them is then there.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        named = {
            f"{i}_{j}": np.asarray(value, "float32")
            for i, each in enumerate(averages)
            for j, value in enumerate(each)
        }
        size = sum(value.nbytes + _HEADERS for value in named.values())
        with atomic_write.replacing(self._path(about.step), size) as unfinished:
            with open(unfinished, "wb") as file:  # a path would be given the ending .npz
                np.savez(file, **about._asdict(), **named)

    def remove(self, step: int) -> None:
        """Removes the averages of a step."""
        self._path(step).unlink(missing_ok=True)

    def _path(self, step: int) -> Path:
        return self.directory / _NAME.format(step)
