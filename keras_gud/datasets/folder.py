"""A folder of image files as a source of images."""

import warnings
from collections import Counter
from os import PathLike
from pathlib import Path

import numpy as np

from keras_gud.core import optional
from keras_gud.datasets.resizing import resize

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
# What Pillow calls images of so many channels.
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_CHANNELS = {"1": 1, "L": 1, "LA": 4, "RGBA": 4, "PA": 4}
_GREY_16 = ("I;16", "I;16B", "I;16L", "I")
_NAMED = 5  # files in a message


class ImageFolder:
    """An `ImageSource` of the image files below a folder, read when they are needed.

    Args:
        path: The folder. Where files lie in folders of their own, those are the classes.
        size: New height and width, `None` for images that have one size.
        channels: 1 (grey), 3 (colour) or 4 (with alpha); `None` for what all of them have.
        skip_unreadable: Whether files that cannot be read are left out with a warning.

    Attributes:
        files: The files, sorted.
        class_names: Names of the classes in the order of their labels; empty without.

    Raises:
        ValueError: for a folder without images, files that cannot be read, other sizes or numbers
            of channels.
        ImportError: without Pillow.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        size: tuple[int, int] | None = None,
        channels: int | None = None,
        skip_unreadable: bool = False,
    ) -> None:
        if channels not in (None, *_MODES):
            raise ValueError(f"Expected `channels` of 1, 3 or 4. Received: channels={channels!r}.")
        self.size, self.skip = size, skip_unreadable
        folder = Path(path)
        files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS)
        if not files:
            raise ValueError(
                f"Expected a folder with image files ({', '.join(ENDINGS)}). Received: "
                f"path={str(path)!r}, {'which has none' if folder.is_dir() else 'no folder'}."
            )
        found = [(file, _header(file, whole=skip_unreadable)) for file in files]
        self._refuse([file for file, header in found if header is None])
        self.files = [file for file, header in found if header is not None]
        known = [header for _, header in found if header is not None]
        modes = {mode for mode, _ in known}
        self.is_16_bit = bool(modes) and modes <= set(_GREY_16)
        self.channels = self._one([_CHANNELS.get(mode, 3) for mode in self._plain(known)], channels)
        if size is None:
            self.size = self._one_size([extent for _, extent in known])
        classes = [str(file.parent.relative_to(folder)) for file in self.files]
        self.class_names = sorted(set(classes)) if len(set(classes)) > 1 else []
        self.has_labels = bool(self.class_names)
        self.labels = np.searchsorted(self.class_names, classes) if self.has_labels else None

    def __len__(self) -> int:
        return len(self.files)

    def read(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Images ``(len(rows), height, width, channels)`` and int32 labels, or `None`.

        They are uint8, or uint16 where all files are grey of 16 bits.
        """
        images = np.stack([self._image(self.files[row]) for row in rows])
        return images, None if self.labels is None else self.labels[rows].astype("int32")

    def _image(self, file: Path) -> np.ndarray:
        from PIL import Image

        try:
            with Image.open(file) as opened:
                found = opened if self.is_16_bit else opened.convert(_MODES[self.channels])
                array = np.asarray(found)
        except (OSError, SyntaxError) as error:
            raise ValueError(
                f"Expected a whole image file. Received: {file}, which cannot be read ({error})."
            ) from error
        array = array.astype("uint16" if self.is_16_bit else "uint8")
        array = array.reshape(*array.shape[:2], self.channels)
        assert self.size is not None
        try:
            return resize(array, self.size)
        except ValueError as error:
            raise ValueError(f"{error} The file is {file}.") from error

    def _refuse(self, unreadable: list[Path]) -> None:
        if not unreadable:
            return
        what = f"{len(unreadable)} files that cannot be read: {_some(unreadable)}"
        if not self.skip:
            raise ValueError(
                f"Expected a folder of whole image files. Received: {what}. With "
                "skip_unreadable=True they are left out."
            )
        warnings.warn(f"Left out {what}.", stacklevel=4)

    def _plain(self, known: list[tuple[str, tuple[int, int]]]) -> list[str]:
        """The modes, grey of 16 bits as grey."""
        return ["L" if mode in _GREY_16 else mode for mode, _ in known]

    def _one(self, found: list[int], asked: int | None) -> int:
        counts = Counter(found)
        if self.is_16_bit and asked not in (None, 1):
            raise ValueError(f"Expected channels=1 of 16-bit files. Received: channels={asked}.")
        if asked is not None or len(counts) == 1:
            return asked or found[0]
        first = {n: self.files[found.index(n)] for n in counts}
        raise ValueError(
            "Expected images of one number of channels, or `channels`, to which they are "
            f"converted. Received: {dict(counts)} files by channels, such as "
            + ", ".join(f"{file} ({n})" for n, file in first.items())
            + "."
        )

    def _one_size(self, found: list[tuple[int, int]]) -> tuple[int, int]:
        counts = Counter(found)
        if len(counts) == 1:
            return found[0]
        smallest = tuple(np.min(found, axis=0).tolist())
        raise ValueError(
            "Expected images of one size, or `size`, to which they are cropped and scaled down. "
            f"Received: {len(counts)} sizes, from {min(found)} to {max(found)}; "
            f"size={smallest} is the largest that fits all."
        )


def _header(file: Path, whole: bool) -> tuple[str, tuple[int, int]] | None:
    """Mode, height and width of a file; `None` if it is no image or, if `whole`, a truncated one.

    The header of a truncated file is there; to know takes the time of decoding it.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise optional.missing("pillow", "reading image files", "data") from error
    try:
        with Image.open(file) as image:
            size, mode = image.size[::-1], image.mode
            if whole:
                image.load()
    except (OSError, SyntaxError, ValueError):
        return None
    return mode, size


def _some(files: list[Path]) -> str:
    named = ", ".join(str(file) for file in files[:_NAMED])
    return named + (", ..." if len(files) > _NAMED else "")
