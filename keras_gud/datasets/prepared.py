"""Image sets of tensorflow-datasets, read in any order, on every backend.

They are prepared once (`prepare`, which takes TensorFlow) as files with random access; reading them
does not take it.
"""

from multiprocessing.pool import ThreadPool

import numpy as np

from keras_gud.core import optional
from keras_gud.core.arguments import check_integer
from keras_gud.core.registry import near_match
from keras_gud.datasets import offline
from keras_gud.datasets.resizing import as_size, resize

# The paper's names and sizes (app. B and E): what they are called there, and height and width.
PAPER = {
    "cifar10": ("cifar10", 32),
    "pcam": ("patch_camelyon", 32),
    "celeb_a_hq": ("celeb_a_hq/256", 256),
}
_FORMAT = "array_record"


class Prepared:
    """The images and labels of a split, decoded when they are asked for.

    Args:
        name: See `keras_gud.datasets.load`.
        split: Of tensorflow-datasets, e.g. ``"train[:90%]"``, or `None` for all.
        size: See there.
        data_dir: Where the data have been prepared.
        workers: Threads that read and decode.
    """

    def __init__(self, name: str, split: str | None, size, data_dir=None, workers: int = 4):
        self.name, (_, default) = name, PAPER.get(name, (name, None))
        self.size = as_size(default if size is None else size)
        self._threads = ThreadPool(check_integer("workers", workers, 1))
        builder = _builder(name, data_dir)
        self._again = f"Delete {builder.data_dir} and p{_command(builder, name, data_dir)[1:]}"
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
            raise _diagnosis(builder, name, split, data_dir) from error
        # Mock data have no files.
        self._files = builder.info.splits[split].filepaths if builder.info.splits else []
        self._require_files()

    def __len__(self):
        return len(self._source)

    def read(self, rows):
        """Images uint8 ``(len(rows), height, width, channels)``, and labels int32 or `None`."""
        images, labels = zip(*self._threads.map(self._example, rows), strict=True)
        if any(image.shape != images[0].shape for image in images):
            raise ValueError(
                f"Expected `size`, since the images of {self.name!r} differ in theirs. "
                "Received: size=None."
            )
        return np.stack(images), np.array(labels, "int32") if self.has_labels else None

    def _example(self, row):
        try:
            example = self._source[int(row)]
        except Exception as error:
            self._require_files()
            raise OSError(
                f"Expected image {row} of {self.name!r} in files that can be read, as they were "
                f"prepared. Received: {type(error).__name__}: {error}. {self._again}"
            ) from error
        image = example["image"]
        return image if self.size is None else resize(image, self.size), example.get("label")

    def _require_files(self):
        """Raises an error that names the files which are not there."""
        gone = [str(path) for path in self._files if not path.exists()]
        if gone:
            raise FileNotFoundError(
                f"Expected the {len(self._files)} files of {self.name!r} as they were prepared. "
                f"Received: {len(gone)} missing, the first is {gone[0]}. {self._again}"
            )


def prepare(name: str, data_dir=None, manual_dir=None) -> None:
    """Downloads an image set and writes it as files that `load` reads.

    Args:
        name: ``"cifar10"``, ``"pcam"``, ``"celeb_a_hq"``, or any image set of tensorflow-datasets.
        data_dir: Where to; default: that of tensorflow-datasets, ``~/tensorflow_datasets``.
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


def _tfds():
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise optional.missing("tensorflow-datasets", "this data set", "data") from error
    return tensorflow_datasets


def _builder(name: str, data_dir, **kwargs):
    tfds = _tfds()
    try:
        return tfds.builder(PAPER.get(name, (name,))[0], data_dir=data_dir, **kwargs)
    except tfds.core.registered.DatasetNotFoundError as error:
        raise unknown(name, [*tfds.list_builders(), *PAPER, *offline.NAMES]) from error


def unknown(name: str, known) -> ValueError:
    """The error for a name that no data set has."""
    return ValueError(
        "Expected `name` to be that of a data set. "
        f"Received: name={name!r}.{near_match(name, known)}"
    )


def _diagnosis(builder, name: str, split, data_dir) -> Exception:
    """Why a split cannot be opened, and what to do about it."""
    if not builder.info.splits:
        return FileNotFoundError(
            f"Expected {name!r} to have been prepared in {builder.data_dir}. "
            + _command(builder, name, data_dir)
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


def _command(builder, name: str, data_dir) -> str:
    """How to prepare a set, in words that begin with "Prepare"."""
    given = "" if data_dir is None else f", data_dir={str(data_dir)!r}"
    instructions = builder.MANUAL_DOWNLOAD_INSTRUCTIONS
    if instructions:
        given += ", manual_dir='...'"
    return (
        f"Prepare it with\n"
        f"  python -c \"from keras_gud import datasets; datasets.prepare('{name}'{given})\""
        + (f"\n{instructions.strip()}" if instructions else "")
    )
