"""The base class of orthogonal changes of basis U, from data to components.

A basis maps data of shape ``(batch, *data_shape)`` to components of the same shape. It is real and
orthogonal: the inverse is the transpose, the log-determinant is 0 and squared norms are kept.
"""

import math
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_gud.bases.batches import Batches, as_batches
from keras_gud.core.data_shape import spatial_shape, validate_data_shape
from keras_gud.core.fitted_layer import FittedLayer
from keras_gud.core.registry import Registry
from keras_gud.core.streaming_moments import Covariance
from keras_gud.core.types import BatchShape, Coordinates, Shape, Tensor, TensorLike


class Basis(FittedLayer):
    """Base class of the orthogonal bases.

    A subclass implements `call` (U), `inverse` (U^T) and `make_coordinates`; one that is fitted to
    data sets `needs_data = True` and implements `fit_batches`.

    Attributes:
        data_shape: Shape of one example, ``(*spatial, channels)`` or ``(features,)``; `None` until
            the basis is built.
        coordinates: Dict from the name of a coordinate to a NumPy array of shape `data_shape`: the
            position of each component (its frequency, band, row, ...). Schedules order and group
            components by coordinates.
        needs_data: Whether the basis is fitted to data (only principal components are).
        fits_covariance: Whether it is fitted to the mean and covariance of the data alone, so that
            it implements `fit_covariance` too.
        mixes_space: Whether a component is a sum over several positions, so that spatial
            coordinates of an earlier basis of a `Compose` no longer apply.
        mixes_channels: The same for channels and the coordinate ``"channel"``.
        streams: Numbers of channels (of entries, for vectors) of groups that belong together, which
            `LatentGUD` sets; a basis that does not mix them has their coordinate ``"stream"``.

    Example:

    A basis of one's own needs no more than this:

    >>> class Reversed(Basis):
    ...     mixes_space = False
    ...
    ...     def call(self, x):
    ...         return keras.ops.flip(self.as_tensor(x), axis=1)
    ...
    ...     def inverse(self, z):
    ...         return self.call(z)
    ...
    ...     def make_coordinates(self, data_shape):
    ...         return {"position": index_coordinate(data_shape)[::-1]}
    >>> basis = Reversed()
    >>> np.array(basis(np.array([[1.0, 2.0, 3.0]]))).tolist()
    [[3.0, 2.0, 1.0]]
    """

    data_shape: Shape

    needs_data = False
    fits_covariance = False
    mixes_space = True
    mixes_channels = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_shape = None  # type: ignore[assignment]  # until it is built
        self.streams: tuple[int, ...] = ()

    def build(self, input_shape: BatchShape) -> None:
        """Builds for inputs of shape ``(batch, *data_shape)``.

        Raises:
            ValueError: for a shape that the basis does not support.
        """
        data_shape = validate_data_shape(input_shape[1:])
        self.check_shape(data_shape)
        self.data_shape = data_shape
        # Keras then refuses other shapes by itself, before an obscure error in a reshape.
        self.input_spec = keras.layers.InputSpec(shape=(None, *data_shape))
        self.create_weights(data_shape)

    def check_shape(self, data_shape: Shape) -> None:
        """Raises a `ValueError` for a shape that the basis does not support (default: none)."""

    def create_weights(self, data_shape: Shape) -> None:
        """Creates the weights, if there are any (default: none)."""

    def call(self, x: TensorLike) -> Tensor:
        """U x: data to components, both ``(batch, *data_shape)``."""
        raise NotImplementedError("A Basis implements call(x).")

    def inverse(self, z: TensorLike) -> Tensor:
        """U^T z: components to data, both ``(batch, *data_shape)``."""
        raise NotImplementedError("A Basis implements inverse(z).")

    def make_coordinates(self, data_shape: Shape) -> Coordinates:
        """The coordinates of the components by name, each an array of shape `data_shape`."""
        raise NotImplementedError("A Basis implements make_coordinates(data_shape).")

    @property
    def n_scales(self) -> int:
        """Number of components that a value of the data takes part in, by scale.

        1 where components are values of single positions, more for wavelets; 0 where a component is
        spread over all data, so that no position has a gamma of its own.
        """
        return 0 if self.mixes_space else 1

    def gamma_by_scale(self, gamma: Tensor) -> Tensor:
        """The gammas of the components that each value of the data takes part in.

        Args:
            gamma: ``(batch, *data_shape)``.

        Returns:
            ``(batch, *spatial, n_scales * channels)``, from the coarsest scale to the finest.
        """
        return gamma

    def symmetrize(self, values: np.ndarray) -> np.ndarray:
        """Averages a statistic of each component over components that a symmetry relates.

        Only the Fourier basis has such components, k and -k.

        Args:
            values: Array of shape `data_shape`.

        Returns:
            Array of the same shape.
        """
        return values

    def fit_batches(self, batches: Batches) -> None:
        """Fits the weights; the basis is already built.

        Args:
            batches: Arrays ``(batch, *data_shape)``, which can be read several times.
        """

    def fit_covariance(self, moments: Covariance) -> None:
        """Fits the weights as `fit_batches` does, to the mean and covariance of the data.

        Where data have few components, their covariance is measured once for all that needs it.

        Args:
            moments: Of the flattened data, ``(d,)`` and ``(d, d)``.
        """
        raise NotImplementedError("A Basis with fits_covariance=True implements fit_covariance.")

    def adapt(self, data: TensorLike | Iterable[TensorLike], batch_size: int = 1024) -> None:
        """Builds the basis and fits it if it needs data, with one batch in memory at a time.

        Args:
            data: An array ``(n, *data_shape)``, or an iterable of such arrays (batches) that can be
                read several times, e.g. a list or a dataset.
            batch_size: Examples per batch when `data` is an array.

        Raises:
            TypeError: for a one-shot generator, or batches that are not arrays.
            ValueError: for no data, or another shape than the basis was built for.
        """
        batches = as_batches(data, batch_size)
        data_shape = batches.example_shape()
        if not self.built:
            self.build((None, *data_shape))
        if data_shape != self.data_shape:
            raise ValueError(
                f"Expected data of the shape that this {type(self).__name__} basis was built for, "
                f"{self.data_shape}. Received: data_shape={data_shape}."
            )
        if self.needs_data:
            self.fit_batches(batches)

    @property
    def coordinates(self) -> Coordinates:
        """The coordinates of all components; the basis must be built."""
        if self.data_shape is None:
            raise ValueError(
                f"Expected the {type(self).__name__} basis to be built before its coordinates are "
                "read: call `adapt(x)` or `build((None, *data_shape))` first."
            )
        found = self.make_coordinates(self.data_shape)
        return found | self._stream_coordinate(found)

    def _stream_coordinate(self, found: Coordinates) -> Coordinates:
        """``"stream"``, the index of the group that a component belongs to, where there are any."""
        vectors = len(self.data_shape) == 1
        mixed = self.mixes_space if vectors else self.mixes_channels
        if not self.streams or mixed:
            return {}
        index = np.arange(self.data_shape[0]) if vectors else found["channel"]
        return {"stream": np.repeat(np.arange(len(self.streams)), self.streams)[index]}

    @property
    def spatial_axes(self) -> range:
        """The spatial axes of a batch ``(batch, *data_shape)``; the basis must be built."""
        return range(1, 1 + len(spatial_shape(self.data_shape)))

    def as_tensor(self, x: TensorLike) -> Tensor:
        """The input in the dtype of the basis: sums of 8-bit integers would overflow."""
        return keras.ops.convert_to_tensor(x, dtype=self.compute_dtype)

    def get_build_config(self) -> dict[str, Any] | None:
        """The shape, so that loading builds a saved basis before it loads the weights."""
        if self.data_shape is None:
            return None
        return {"input_shape": [None, *self.data_shape]}

    def compute_output_shape(self, input_shape: BatchShape) -> BatchShape:
        """The shape of the input."""
        return input_shape


def channel_coordinate(data_shape: Shape) -> Coordinates:
    """The coordinate ``"channel"``, the index along the last axis; empty for vectors."""
    if len(data_shape) == 1:
        return {}
    index = np.arange(data_shape[-1])
    return {"channel": np.broadcast_to(index, data_shape).copy()}


def spatial_coordinate(values: np.ndarray, data_shape: Shape) -> np.ndarray:
    """A coordinate of spatial positions, repeated for every channel to the shape `data_shape`."""
    if len(data_shape) > 1:
        values = values[..., None]
    return np.broadcast_to(values, data_shape).copy()


def frequency_coordinates(axes: list[np.ndarray], data_shape: Shape) -> Coordinates:
    """The coordinates of a transform to frequencies: ``"frequency"``, |k|, and ``"channel"``.

    Args:
        axes: The frequencies along each spatial axis, in cycles per sample.
        data_shape: Shape of one example.
    """
    k = np.sqrt(sum(part**2 for part in np.meshgrid(*axes, indexing="ij")))
    return {"frequency": spatial_coordinate(k, data_shape)} | channel_coordinate(data_shape)


def index_coordinate(shape: Shape) -> np.ndarray:
    """0, 1, 2, ... in the order of a flattened array of this shape."""
    return np.arange(math.prod(shape)).reshape(shape)


registry = Registry("basis", Basis)
