"""Features of images, and their mean and covariance, batch by batch."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from keras_gud.backend import to_numpy
from keras_gud.core.arguments import check_integer
from keras_gud.core.streaming_moments import Covariance
from keras_gud.core.types import Tensor, TensorLike
from keras_gud.data.batch import pick


def batches_of(images: TensorLike | Iterable[TensorLike]) -> Iterator[np.ndarray]:
    """Images as NumPy batches, read one at a time.

    Args:
        images: An array or tensor, which is one batch, or an iterable of batches in any form that
            `fit` takes, with or without labels: a list, a generator, a data set.

    Example:

    >>> [batch.shape for batch in batches_of([np.zeros((5, 8, 8, 1)), np.zeros((2, 8, 8, 1))])]
    [(5, 8, 8, 1), (2, 8, 8, 1)]
    """
    is_array = hasattr(images, "shape")
    return (to_numpy(pick(batch)) for batch in ((images,) if is_array else images))


@dataclass(frozen=True)
class FeatureStatistics:
    """Mean and covariance of the features of a set of images.

    Attributes:
        mean: float64 ``(d,)``.
        covariance: float64 ``(d, d)``, unbiased (divided by n - 1).
        n: Number of images.
        space: Name of the feature space, e.g. ``"my-classifier, images resized to 32x32"``.
        data: Name of the set of images.
    """

    mean: np.ndarray
    covariance: np.ndarray
    n: int
    space: str
    data: str = "unnamed images"


class Features:
    """A feature space: an extractor, and the size that images are resized to before it.

    Args:
        extractor: Any Keras layer or model, or a function, from images ``(batch, height, width,
            channels)``, float32 in 0..255, to features ``(batch, d)``. It includes whatever else
            it needs, such as scaling to another range or repeating a grey channel.
        name: Its name in results. Different extractors need different names.
        size: Height and width that images are resized to (bilinear, with antialiasing), or `None`
            to leave them as they are.
        batch_size: Images per call of the extractor, >= 1.

    Raises:
        ValueError: for an empty name or a size or batch size below 1; when called, for images or
            features of another shape, or features that are not finite.

    Example:

    >>> import numpy as np
    >>> colours = Features(lambda x: ops.mean(x, axis=(1, 2)), "mean-colour")
    >>> statistics = colours.statistics(np.zeros((10, 4, 4, 3), "uint8"), "black images")
    >>> statistics.n, statistics.space
    (10, 'mean-colour, images as they are')
    """

    def __init__(
        self,
        extractor: Callable[[Tensor], Tensor],
        name: str,
        size: Sequence[int] | None = None,
        batch_size: int = 256,
    ) -> None:
        if not isinstance(name, str) or not name:
            raise ValueError(f"Expected `name` to be a non-empty text. Received: name={name!r}.")
        self.extractor, self.name = extractor, name
        self.size = None if size is None else tuple(check_integer("size", n, 1) for n in size)
        self.batch_size = check_integer("batch_size", batch_size, 1)

    @property
    def space(self) -> str:
        """Name of the feature space, extractor and size; only equal ones are comparable."""
        if self.size is None:
            return f"{self.name}, images as they are"
        return f"{self.name}, images resized to {self.size[0]}x{self.size[1]}"

    def __call__(self, images: TensorLike) -> np.ndarray:
        """Features of images ``(n, height, width, channels)`` in 0..255, float64 ``(n, d)``."""
        parts = [self._batch(images[i : i + self.batch_size]) for i in self._starts(images)]
        return np.concatenate(parts)

    def statistics(
        self, images: TensorLike | Iterable[TensorLike], data: str = "unnamed images"
    ) -> FeatureStatistics:
        """Mean and covariance over any number of images, with one batch in memory at a time.

        Args:
            images: Array ``(n, height, width, channels)`` in 0..255, or an iterable of
                batches of them: a list, a generator, or a data set that `fit` takes.
            data: Name of the images in results.

        Raises:
            ValueError: for no more images than features: the covariance would be singular.
        """
        covariance = Covariance()
        for batch in batches_of(images):
            for i in self._starts(batch):
                covariance.update(self._batch(batch[i : i + self.batch_size]))
        d = covariance.mean.size
        if covariance.count <= d:
            raise ValueError(
                f"Expected more images than features: at least {d + 1} for {self.space}. "
                f"Received: {covariance.count} images."
            )
        return FeatureStatistics(
            covariance.mean,
            # unbiased, as usual: `Covariance` divides by n
            covariance.covariance * (covariance.count / (covariance.count - 1)),
            covariance.count,
            self.space,
            data,
        )

    def _starts(self, images) -> range:
        return range(0, len(images), self.batch_size)

    def _batch(self, images) -> np.ndarray:
        x = ops.convert_to_tensor(np.asarray(images, "float32"))
        if len(x.shape) != 4:
            raise ValueError(
                "Expected images (batch, height, width, channels). "
                f"Received: shape {tuple(x.shape)}."
            )
        if self.size is not None and tuple(x.shape[1:3]) != self.size:
            x = ops.image.resize(x, self.size, antialias=True, data_format="channels_last")
        if isinstance(self.extractor, keras.layers.Layer):
            features = self.extractor(x, training=False)
        else:
            features = self.extractor(x)
        features = ops.convert_to_numpy(features).astype("float64")
        if features.ndim != 2 or len(features) != len(images) or not np.isfinite(features).all():
            raise ValueError(
                f"Expected finite features ({len(images)}, d) from {self.name}. Received: shape "
                f"{features.shape}{', with NaN or inf' if features.ndim == 2 else ''}."
            )
        return features
