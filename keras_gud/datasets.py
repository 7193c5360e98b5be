"""Real images that need no download: they ship inside scikit-learn and scikit-image.

Training and test data never share a pixel: digits are split by image, crops by image region.
Both splits are the same for every seed, so what one seed trains on no other seed tests on.
"""

from dataclasses import dataclass

import numpy as np

from keras_gud import extras
from keras_gud.registry import near_match

_SPLITS = ("train", "test", None)
_DEFAULT_CROPS = 4096


@dataclass(frozen=True)
class _Crops:
    """Square crops of photographs.

    Attributes:
        photographs: Names of functions of `skimage.data`; all of them are inside its wheel.
        size: Default edge of a crop, in pixels.
        shrink: Factors by which the photographs are also scaled down before they are cut.
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


def load(
    name: str,
    size: int | None = None,
    n: int | None = None,
    split: str | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Images by name.

    | name | what | shape | test split |
    |---|---|---|---|
    | ``"digits"`` | all 1797 handwritten digits of scikit-learn | `(8, 8, 1)` | 20% of them |
    | ``"patches"`` | crops of four photographs at two scales | `(size, size, 3)` | see below |
    | ``"histology"`` | crops of one stained tissue section | `(size, size, 3)` | see below |
    | ``"textures"`` | crops of grass, gravel and brick | `(size, size, 1)` | see below |

    Test crops come from the right quarter of every photograph, training crops from the rest.

    Args:
        name: One of the names above.
        size: Edge of the crops in pixels, 16 for patches and 32 otherwise. Digits are always 8.
        n: How many images: 4096 crops, or every digit of the split, unless given.
        split: ``"train"``, ``"test"``, or `None` for both together.
        seed: Which crops, and the order of the images. It does not change the split.

    Returns:
        uint8 array `(n, height, width, channels)` with values 0 to 255.

    Raises:
        ValueError: for an unknown name or split, or a size or number that the data cannot serve.
        ImportError: where scikit-learn or scikit-image is missing.

    Example:
    >>> load("digits", split="test").shape
    (359, 8, 8, 1)
    >>> load("patches", size=12, n=5, split="train").shape
    (5, 12, 12, 3)
    """
    names = ("digits", *_CROPS)
    if name not in names:
        raise ValueError(
            f"Expected `name` to be one of {sorted(names)}. Received: name={name!r}."
            f"{near_match(name, names)}"
        )
    if split not in _SPLITS:
        raise ValueError(f"Expected `split` to be one of {_SPLITS}. Received: split={split!r}.")
    if n is not None and n < 1:
        raise ValueError(f"Expected `n` to be at least 1, or None. Received: n={n}.")
    rng = np.random.default_rng(seed)
    if name == "digits":
        return _digits(size, n, split, rng)
    crops = _CROPS[name]
    size = crops.size if size is None else size
    return _draw_crops(_regions(crops, split), size, _DEFAULT_CROPS if n is None else n, rng)


def _digits(size, n, split, rng) -> np.ndarray:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise extras.missing("scikit-learn", "this data set") from error
    if size not in (None, 8):
        raise ValueError(f"Expected `size` to be 8 or None for digits. Received: size={size}.")
    # Grey levels are 0..16: full ink is 255, not 240.
    images = np.round(load_digits().images[..., None] * (255 / 16)).astype("uint8")
    # The file is sorted by writer: the split is a shuffle, the same one for every seed.
    images = images[np.random.default_rng(0).permutation(len(images))]
    first_test = len(images) - round(0.2 * len(images))
    images = {"train": images[:first_test], "test": images[first_test:], None: images}[split]
    if n is not None and n > len(images):
        raise ValueError(
            f"Expected `n` to be at most {len(images)}, the number of digits with "
            f"split={split!r}. Received: n={n}."
        )
    return images[rng.permutation(len(images))[:n]]


def _photograph(name: str) -> np.ndarray:
    """One of scikit-image's photographs, uint8 `(height, width, channels)`."""
    try:
        from skimage import data
    except ImportError as error:
        raise extras.missing("scikit-image", "this data set") from error
    image = getattr(data, name)()
    return image[..., None] if image.ndim == 2 else image


def _shrink(image: np.ndarray, factor: int) -> np.ndarray:
    """Means over blocks of `factor` x `factor` pixels; a rest at the border is dropped."""
    height, width = (extent // factor for extent in image.shape[:2])
    blocks = image[: height * factor, : width * factor].reshape(height, factor, width, factor, -1)
    return np.round(blocks.mean(axis=(1, 3))).astype("uint8")


def _regions(crops: _Crops, split: str | None) -> list[np.ndarray]:
    """The part of each photograph, at each size, that serves the split."""
    regions = []
    for name in crops.photographs:
        image = _photograph(name)
        # Cut before shrinking: no block mean then mixes pixels of both sides.
        cut = image.shape[1] * 3 // 4
        part = {"train": image[:, :cut], "test": image[:, cut:], None: image}[split]
        regions += [_shrink(part, factor) for factor in crops.shrink]
    return regions


def _draw_crops(regions: list[np.ndarray], size: int, n: int, rng) -> np.ndarray:
    """Crops at uniform positions of uniformly chosen regions, `(n, size, size, channels)`."""
    largest = min(min(region.shape[:2]) for region in regions)
    if not 1 <= size <= largest:
        raise ValueError(
            f"Expected `size` to lie between 1 and {largest}, the narrowest region of this data "
            f"set and split. Received: size={size}."
        )
    out = np.empty((n, size, size, regions[0].shape[-1]), "uint8")
    for i, which in enumerate(rng.integers(len(regions), size=n)):
        region = regions[which]
        top, left = (rng.integers(extent - size + 1) for extent in region.shape[:2])
        out[i] = region[top : top + size, left : left + size]
    return out
