"""Image sets of tensorflow-datasets, read in any order, on every backend.

`prepare` writes them once, which takes TensorFlow, as files with random access, which are read
without it.
"""

import os
from collections.abc import Iterable, Sequence
from multiprocessing.pool import ThreadPool
from typing import Any, TypeAlias

import numpy as np

from keras_gud.core import optional
from keras_gud.core.arguments import check_integer
from keras_gud.core.registry import near_match
from keras_gud.datasets import offline
from keras_gud.datasets.resizing import as_size, resize

PathLike: TypeAlias = str | os.PathLike[str]

# Image sets of the paper (app. B and E): names in tensorflow-datasets, height and width in pixels.
PAPER_SETS = {
    "cifar10": ("cifar10", 32),
    "pcam": ("patch_camelyon", 32),
    "celeb_a_hq": ("celeb_a_hq/256", 256),
}
_FORMAT = "array_record"


class Prepared:
    """The images and class labels of a split, decoded when they are read.

    Args:
        name: Name of a data set of the paper (`PAPER_SETS`) or of tensorflow-datasets.
        split: Of tensorflow-datasets, e.g. ``"train[:90%]"``, or `None` for all.
        size: Height and width in pixels that images are scaled down to, as one integer or two;
            `None` for those of the paper, or for no change.
        data_dir: Where the data have been prepared; `None` for ``~/tensorflow_datasets``.
        workers: Threads that read and decode, >= 1.

    Raises:
        FileNotFoundError: for data that have not been prepared, or of which files are missing.
        ImportError: without tensorflow-datasets.
        ValueError: for an unknown name or split, data without images, or in another file format.
    """

    def __init__(
        self,
        name: str,
        split: str | None,
        size: int | Sequence[int] | None,
        data_dir: PathLike | None = None,
        workers: int = 4,
    ) -> None:
        self.name, (_, default) = name, PAPER_SETS.get(name, (name, None))
        self.size = as_size(default if size is None else size)
        self._threads = ThreadPool(check_integer("workers", workers, 1))
        builder = _builder(name, data_dir)
        self._remedy = f"Delete {builder.data_dir} and {_how_to_prepare(builder, name, data_dir)}"
        if "image" not in builder.info.features:
            raise ValueError(
                'Expected a data set whose examples have an "image". '
                f"Received: name={name!r}, with {sorted(builder.info.features)}."
            )
        self.has_labels = "label" in builder.info.features
        split = "all" if split is None else split
        try:
            self._source = builder.as_data_source(split=split)
        except (NotImplementedError, ValueError) as error:
            raise _split_error(builder, name, split, data_dir) from error
        # The mock data of tensorflow-datasets have no files.
        self._files = builder.info.splits[split].filepaths if builder.info.splits else []
        self._require_files()

    def __len__(self) -> int:
        return len(self._source)

    def read(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The images of the given rows and their class labels.

        Args:
            rows: int ``(n,)``, in any order.

        Returns:
            uint8 ``(n, height, width, channels)``, and int32 ``(n,)``, or `None` without labels.

        Raises:
            OSError: for files that are missing or damaged.
            ValueError: for images of different sizes where `size` was not given.
        """
        images, labels = zip(*self._threads.map(self._example, rows), strict=True)
        if any(image.shape != images[0].shape for image in images):
            raise ValueError(
                f"Expected `size`, since the images of {self.name!r} differ in theirs. "
                "Received: size=None."
            )
        return np.stack(images), np.array(labels, "int32") if self.has_labels else None

    def _example(self, row: int) -> tuple[np.ndarray, Any]:
        try:
            example = self._source[int(row)]
        except Exception as error:
            self._require_files()
            raise OSError(
                f"Expected image {row} of {self.name!r} in files that can be read, as they were "
                f"prepared. Received: {type(error).__name__}: {error}. {self._remedy}"
            ) from error
        image = example["image"]
        return image if self.size is None else resize(image, self.size), example.get("label")

    def _require_files(self) -> None:
        """Raises an error that names the missing files, if there are any."""
        missing = [str(path) for path in self._files if not path.exists()]
        if missing:
            raise FileNotFoundError(
                f"Expected the {len(self._files)} files of {self.name!r} as they were prepared. "
                f"Received: {len(missing)} missing, the first is {missing[0]}. {self._remedy}"
            )


def prepare(
    name: str, data_dir: PathLike | None = None, manual_dir: PathLike | None = None
) -> None:
    """Downloads an image set and writes it as files that `load` reads.

    For example, ``datasets.prepare("cifar10")``, once.

    Args:
        name: ``"cifar10"``, ``"pcam"``, ``"celeb_a_hq"``, or any image set of tensorflow-datasets.
        data_dir: Folder to write to; `None` for ``~/tensorflow_datasets``.
        manual_dir: Folder with what has to be downloaded by hand: for CelebA-HQ its
            ``data256x256.tar``.

    Raises:
        ValueError: for an unknown name.
        ImportError: without tensorflow-datasets, or TensorFlow, which writing takes.
    """
    tfds = _tfds()
    builder = _builder(name, data_dir, file_format=_FORMAT)
    config = tfds.download.DownloadConfig(manual_dir=manual_dir)
    try:
        builder.download_and_prepare(download_config=config)
    except ModuleNotFoundError as error:
        if error.name != "tensorflow":
            raise
        raise optional.missing("tensorflow", "preparing a data set", "tensorflow") from error


def _tfds() -> Any:
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise optional.missing("tensorflow-datasets", "this data set", "data") from error
    return tensorflow_datasets


def _builder(name: str, data_dir: PathLike | None, **kwargs: Any) -> Any:
    tfds = _tfds()
    original_name, _ = PAPER_SETS.get(name, (name, None))
    try:
        return tfds.builder(original_name, data_dir=data_dir, **kwargs)
    except tfds.core.registered.DatasetNotFoundError as error:
        raise unknown_name(name, [*tfds.list_builders(), *PAPER_SETS, *offline.NAMES]) from error


def unknown_name(name: str, known: Iterable[str]) -> ValueError:
    """The error for a name that no data set has, with the nearest known one.

    >>> str(unknown_name("cifar1", ["cifar10", "digits"]))
    "Expected `name` to be that of a data set. Received: name='cifar1'. Did you mean 'cifar10'?"
    """
    return ValueError(
        "Expected `name` to be that of a data set. "
        f"Received: name={name!r}.{near_match(name, known)}"
    )


def _split_error(builder: Any, name: str, split: str, data_dir: PathLike | None) -> Exception:
    """The error for a split that cannot be opened: why, and how to change it."""
    if not builder.info.splits:
        return FileNotFoundError(
            f"Expected {name!r} to have been prepared in {builder.data_dir}; to do so, "
            + _how_to_prepare(builder, name, data_dir)
        )
    if builder.info.file_format.value != _FORMAT:
        return ValueError(
            f"Expected {name!r} to be prepared as {_FORMAT}, which can be read in any order. "
            f"Received: {builder.info.file_format.value} in {builder.data_dir}. Prepare it in "
            f'another folder:\n  python -c "from keras_gud import datasets; '
            f"datasets.prepare('{name}', data_dir='...')\""
        )
    return ValueError(
        f"Expected `split` to be one of {sorted(builder.info.splits)}, a part of one, such as "
        f'"train[:90%]", or None. Received: split={split!r}.'
    )


def _how_to_prepare(builder: Any, name: str, data_dir: PathLike | None) -> str:
    """The end of a sentence: the command that prepares a set, and its instructions."""
    given = "" if data_dir is None else f", data_dir={str(data_dir)!r}"
    instructions = builder.MANUAL_DOWNLOAD_INSTRUCTIONS
    if instructions:
        given += ", manual_dir='...'"
    return (
        "prepare it with\n"
        f"  python -c \"from keras_gud import datasets; datasets.prepare('{name}'{given})\""
        + (f"\n{instructions.strip()}" if instructions else "")
    )
