"""A folder of image files as a source of images."""

import warnings
from collections import Counter
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from keras_gud.core import optional
from keras_gud.data import images
from keras_gud.datasets.resizing import resize

# Files of `heic` are read where pillow-heif is registered, and are otherwise named, not ignored.
ENDINGS = tuple(".png .jpg .jpeg .jfif .bmp .gif .webp .tif .tiff .avif .heic".split())
_CHANNELS = (1, 3, 4)
_NAMED = 5  # files in a message


@dataclass(frozen=True)
class _Header:
    """What is known of an image before its pixels are decoded."""

    file: Path
    size: tuple[int, int]
    channels: int
    is_16_bit: bool


class ImageFolder:
    """An `ImageSource` of the image files below a folder, read when they are needed.

    Args:
        path: The folder. Where files lie in folders of their own, those are the classes. What is
            hidden, by a name that begins with a dot, is not looked at.
        size: New height and width, `None` for images that have one size.
        channels: 1 (grey), 3 (colour) or 4 (with alpha); `None` for what all of them have.
        skip_unreadable: Whether files that cannot be read are left out with a warning.
        skip_small: Whether images that are smaller than `size` are left out with a warning.

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
        skip_small: bool = False,
    ) -> None:
        if channels not in (None, *_CHANNELS):
            raise ValueError(f"Expected `channels` of 1, 3 or 4. Received: channels={channels!r}.")
        folder = Path(path)
        headers = _readable(_image_files(folder), skip_unreadable)
        if size is not None:
            headers = _large_enough(headers, size, skip_small)
        if not headers:
            raise ValueError(f"Expected images in {folder}. Received: none but those left out.")
        self.files = [header.file for header in headers]
        self.is_16_bit = channels in (None, 1) and all(header.is_16_bit for header in headers)
        self.channels = channels or _one_number_of_channels(headers)
        self.size = size or _one_size(headers)
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
        read = np.stack([self._image(self.files[row]) for row in rows])
        return read, None if self.labels is None else self.labels[rows].astype("int32")

    def _image(self, file: Path) -> np.ndarray:
        from PIL import Image

        try:
            with Image.open(file) as opened:
                array = images.as_array(opened, None if self.is_16_bit else self.channels)
        except (OSError, SyntaxError) as error:
            raise ValueError(
                f"Expected a whole image file. Received: {file}, which cannot be read ({error}). "
                "With skip_unreadable=True such files are left out."
            ) from error
        except ValueError as error:
            raise ValueError(f"{error} The file is {file}.") from error
        return resize(array, self.size)


def _image_files(folder: Path) -> list[Path]:
    """The image files below a folder, sorted, without hidden ones.

    Raises:
        ValueError: if there are none; says what there is.
    """
    below = [path for path in folder.rglob("*") if path.is_file()]
    seen = [p for p in below if not any(q.startswith(".") for q in p.relative_to(folder).parts)]
    files = sorted(path for path in seen if path.suffix.lower() in ENDINGS)
    if not files:
        others = Counter(path.suffix for path in seen).most_common(_NAMED)
        but = ", ".join(f"{n} of {ending or 'no ending'}" for ending, n in others)
        found = "a file" if folder.is_file() else "no folder"
        if folder.is_dir():
            found = "a folder with none" + (f", but files: {but}" if but else "")
        raise ValueError(
            f"Expected a folder with image files ({', '.join(ENDINGS)}). "
            f"Received: path={str(folder)!r}, {found}."
        )
    return files


def _readable(files: list[Path], skip: bool) -> list[_Header]:
    """The headers of the files that are images.

    The header of a truncated file is there: only to skip such files, all is decoded here.
    """
    found = [_header(file, whole=skip) for file in files]
    headers = [header for header in found if header is not None]
    unreadable = [str(file) for file, header in zip(files, found, strict=True) if header is None]
    what = f"{_count(unreadable)} that cannot be read: {_some(unreadable)}"
    if unreadable and not skip:
        raise ValueError(
            f"Expected a folder of whole image files. Received: {what}. With skip_unreadable=True "
            "they are left out."
        )
    if unreadable:
        warnings.warn(f"Left out {what}.", stacklevel=5)
    return headers


def _large_enough(headers: list[_Header], size: tuple[int, int], skip: bool) -> list[_Header]:
    """The headers of the images that can be cropped or scaled down to a size."""
    fits = [h.size[0] >= size[0] and h.size[1] >= size[1] for h in headers]
    small = [h for h, fit in zip(headers, fits, strict=True) if not fit]
    named = [f"{h.file} ({h.size[0]}x{h.size[1]})" for h in small]
    what = f"{_count(named)} smaller than {size[0]}x{size[1]}: {_some(named)}"
    if named and not skip:
        raise ValueError(
            f"Expected images of at least `size`: they are scaled down, never up. Received: {what}."
            f" size={_smallest(headers)} is the largest that fits all; with skip_small=True the "
            "smaller ones are left out."
        )
    if named:
        warnings.warn(f"Left out {what}.", stacklevel=5)
    return [h for h, fit in zip(headers, fits, strict=True) if fit]


def _one_number_of_channels(headers: list[_Header]) -> int:
    counts = Counter(header.channels for header in headers)
    if len(counts) == 1:
        return headers[0].channels
    first = {header.channels: header.file for header in reversed(headers)}
    raise ValueError(
        "Expected images of one number of channels, or `channels`, to which they are "
        f"converted. Received: {dict(counts)} files by channels, such as "
        + ", ".join(f"{file} ({n})" for n, file in sorted(first.items()))
        + "."
    )


def _one_size(headers: list[_Header]) -> tuple[int, int]:
    sizes = {header.size for header in headers}
    if len(sizes) == 1:
        return headers[0].size
    raise ValueError(
        "Expected images of one size, or `size`, to which they are cropped and scaled down. "
        f"Received: {len(sizes)} sizes, from {min(sizes)} to {max(sizes)}; "
        f"size={_smallest(headers)} is the largest that fits all."
    )


def _smallest(headers: list[_Header]) -> tuple[int, int]:
    height, width = np.min([header.size for header in headers], axis=0).tolist()
    return height, width


def _header(file: Path, whole: bool) -> _Header | None:
    """The header of a file; `None` if it is no image or, if `whole`, of no use."""
    try:
        from PIL import Image
    except ImportError as error:
        raise optional.missing("pillow", "reading image files", "data") from error
    try:
        with Image.open(file) as image:
            size, channels = images.upright_size(image), images.channels_of(image)
            if whole:
                images.as_array(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    return _Header(file, size, channels, images.is_grey_16(image))


def _count(files: list[str]) -> str:
    return f"{len(files)} file" + "s" * (len(files) != 1)


def _some(files: list[str]) -> str:
    return ", ".join(files[:_NAMED]) + (", ..." if len(files) > _NAMED else "")
