"""Images by name: real ones that need no download, and those of tensorflow-datasets."""

import importlib.util

import keras
import numpy as np

from keras_gud.core.arguments import check_integer
from keras_gud.datasets import offline, prepared
from keras_gud.datasets.offline import choose
from keras_gud.datasets.prepared import prepare
from keras_gud.datasets.stream import InMemory, Stream

__all__ = ["Stream", "load", "prepare"]

_CHUNK = 1000  # images read between two steps of the progress bar


def load(
    name: str,
    split: str | None = None,
    size=None,
    n: int | None = None,
    seed: int = 0,
    *,
    labels: bool = False,
    batch_size: int | None = None,
    shuffle: bool = True,
    augment=None,
    data_dir=None,
    workers: int = 4,
    verbose: int = 1,
):
    """Images by name, as an array or as batches.

    | name | what | shape | test split |
    |---|---|---|---|
    | ``"digits"`` | all 1797 handwritten digits of scikit-learn | `(8, 8, 1)` | 20% of them |
    | ``"patches"`` | crops of four photographs at two scales | `(size, size, 3)` | see below |
    | ``"histology"`` | crops of one stained tissue section | `(size, size, 3)` | see below |
    | ``"textures"`` | crops of grass, gravel and brick | `(size, size, 1)` | see below |
    | ``"cifar10"`` | small photographs of 10 classes | `(32, 32, 3)` | its own |
    | ``"pcam"`` | lymph node sections, a third of their size | `(32, 32, 3)` | its own |
    | ``"celeb_a_hq"`` | faces | `(256, 256, 3)` | none |

    The first four ship with scikit-learn and scikit-image (extra ``demo``): test crops come from
    the right quarter of every photograph, training crops from the rest. The others, and any other
    set with an ``"image"``, are those of tensorflow-datasets (extra ``data``), prepared once with
    `prepare`; reading them takes no TensorFlow.

    Args:
        name: One of the names above, or one of tensorflow-datasets, e.g. ``"mnist"``.
        split: ``"train"``, ``"test"``, or `None` for all; of tensorflow-datasets also a part,
            ``"train[:90%]"``.
        size: Edge in pixels, of prepared sets also ``(height, width)``: of crops 16 for patches
            and 32 otherwise, and what prepared images are scaled down to, after cutting them to
            this aspect ratio. Digits are always 8.
        n: How many different images: all, or 4096 crops, unless given.
        seed: Which crops or images, and the order of all. It does not change the split.
        labels: Whether to return labels as well.
        batch_size: `None` for an array, or the images per batch of a `Stream`, which is read from
            disk while it is used, and which `fit` takes as it is.
        shuffle: Whether a stream is shuffled, anew in every epoch.
        augment: For a stream: a random layer of Keras, e.g. ``keras.layers.RandomRotation(0.05)``,
            the name of one that needs no arguments, e.g. ``"RandomFlip"``, a function ``(images,
            rng) -> images``, or a list of these; see `augmentation.Augmentation`.
        data_dir: Where sets were prepared, if not in ``~/tensorflow_datasets``.
        workers: Threads that read and decode prepared images.
        verbose: 0 for no progress bar where an array is read from disk.

    Returns:
        uint8 array `(n, height, width, channels)` with values 0 to 255; with labels, a pair of it
        and int32 labels `(n,)`; or a `Stream` of such batches.

    Raises:
        ValueError: for an unknown name or split, or a size or number that the data cannot serve,
            or labels where there are none.
        ImportError: where a package is missing; it names the extra.
        FileNotFoundError: for a set that has not been prepared, or of which files are missing; it
            names them and the command.
        OSError: for files that cannot be read any more; likewise while a stream is read.

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
    if batch_size is not None:
        return Stream(images, rows, batch_size, shuffle, seed, labels, augment)
    x, y = _read(images, rows, verbose)
    return (x, y) if labels else x


def _require_known(name):
    """Without tensorflow-datasets these are all names that there are."""
    if importlib.util.find_spec("tensorflow_datasets") is None and name not in prepared.PAPER:
        raise prepared.unknown(name, [*offline.NAMES, *prepared.PAPER])


def _read(images, rows, verbose: int):
    """All images at once; those on disk chunk by chunk."""
    if isinstance(images, InMemory):
        return images.read(rows)
    bar = keras.utils.Progbar(len(rows), unit_name="image", verbose=verbose)
    x, y = (None if part is None else _like(part, len(rows)) for part in images.read(rows[:1]))
    for start in range(0, len(rows), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        x[chunk], label = images.read(rows[chunk])
        if y is not None:
            y[chunk] = label
        bar.update(min(chunk.stop, len(rows)))
    return x, y


def _like(part, n: int):
    return np.empty((n, *part.shape[1:]), part.dtype)
