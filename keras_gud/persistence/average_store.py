"""Averages of weights on disk, taken at several steps of a run: files of plain arrays.

    directory/average-000000000120.npz      arrays `step`, `run`, `widths`, `shapes`, `averages`

Each is there as a whole or not at all.
"""

import os
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_gud.core.types import Array
from keras_gud.persistence import atomic_write

_NAME, _PATTERN = "average-{:012d}.npz", "average-*.npz"
_HEADERS = 8192  # bytes of a file beside the averages


class Stored(NamedTuple):
    """What a file says about its averages.

    Attributes:
        step: The number of steps that they are of.
        run: The number of their run.
        widths: Their widths.
        shapes: The shapes of the weights, as text.
    """

    step: int
    run: int
    widths: tuple[float, ...]
    shapes: str


class AverageStore:
    """The averages in a directory.

    Args:
        directory: Where they are; made when the first are written.

    Example:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     store = AverageStore(directory)
    ...     store.write(Stored(20, 7, (0.1,), "[(3,)]"), np.ones((1, 3)))
    ...     store.steps(), store.about(20).run, store.read(20).tolist()
    ([20], 7, [[1.0, 1.0, 1.0]])
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
        step_, run, widths, shapes = self._arrays(step, Stored._fields)
        return Stored(int(step_), int(run), tuple(widths.tolist()), str(shapes))

    def read(self, step: int) -> Array:
        """The averages of a step, float32 ``(len(widths), n)``.

        Raises:
            ValueError: if the file is damaged.
        """
        (averages,) = self._arrays(step, ("averages",))
        return averages

    def _arrays(self, step: int, names: tuple[str, ...]) -> list[Array]:
        path = self._path(step)
        try:
            with np.load(path, allow_pickle=False) as file:
                return [file[name] for name in names]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"Expected averages in {path}, or no such file. Received: a damaged one "
                f"({type(error).__name__}: {error}). Remove it; the others can do without."
            ) from error

    def write(self, about: Stored, averages: Array) -> None:
        """Writes averages; a file of the same step is replaced.

        Args:
            about: What they are.
            averages: ``(len(widths), n)``.

        Raises:
            OSError: if they cannot be written; nothing of them is then there.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        averages = np.asarray(averages, "float32")
        size = averages.nbytes + 4 * len(about.shapes) + _HEADERS
        with atomic_write.replacing(self._path(about.step), size) as unfinished:
            with open(unfinished, "wb") as file:  # a path would be given the ending .npz
                np.savez(file, **about._asdict(), averages=averages)

    def remove(self, step: int) -> None:
        """Removes the averages of a step."""
        self._path(step).unlink(missing_ok=True)

    def remove_unfinished(self) -> None:
        """Removes what interrupted writes have left behind."""
        atomic_write.remove_unfinished(self.directory, _PATTERN)

    def _path(self, step: int) -> Path:
        return self.directory / _NAME.format(step)
