"""The contract of an orthogonal change of basis U (DESIGN words: `Basis`).

A basis maps data of shape ``(batch, *data_shape)`` to components of the same shape. It is real and
orthogonal, so the inverse is the transpose, the log-determinant is 0 and squared norms are kept.
"""

import math

import keras
import numpy as np

from keras_gud.bases.batches import Batches, as_batches
from keras_gud.core.data_shape import Shape, spatial_shape, validate_data_shape
from keras_gud.core.fitted_layer import FittedLayer
from keras_gud.core.registry import Registry
from keras_gud.core.streaming_moments import Covariance


class Basis(FittedLayer):
    """Base class of the orthogonal bases.

    A subclass implements `call` (U), `inverse` (U^T) and `make_coordinates`; one that is fitted to
    data sets `needs_data = True` and implements `fit_batches`.

    Attributes:
        data_shape: Shape of one example, ``(*spatial, channels)`` or ``(features,)``.
        coordinates: Dict from coordinate name to a NumPy array of shape `data_shape`: where each
            component sits (frequency, band, row, ...). Schedules order and group components by
            coordinates.
        needs_data: Whether `adapt` has to see the data (only the principal components do).
        fits_covariance: Whether mean and covariance of the data are all that it is fitted to, so
            that it implements `fit_covariance` too.
        mixes_space: Whether components are no longer pixels, so that coordinates of space made by
            an earlier basis of a `Compose` lose their meaning.
        mixes_channels: The same for the coordinate ``"channel"``.
    """

    needs_data = False
    fits_covariance = False
    mixes_space = True
    mixes_channels = False

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.data_shape: Shape | None = None

    def build(self, input_shape):
        """Builds for inputs of shape ``(batch, *data_shape)``."""
        data_shape = validate_data_shape(input_shape[1:])
        self.check_shape(data_shape)
        self.data_shape = data_shape
        # Keras then refuses other shapes by itself, before an obscure error in a reshape.
        self.input_spec = keras.layers.InputSpec(shape=(None, *data_shape))
        self.create_weights(data_shape)

    def check_shape(self, data_shape: Shape):
        """Raises a `ValueError` if the basis cannot serve this shape (default: it can)."""

    def create_weights(self, data_shape: Shape):
        """Creates the weights, if there are any (default: none)."""

    def call(self, x):
        """U x: data to components, both ``(batch, *data_shape)``."""
        raise NotImplementedError("A Basis implements call(x).")

    def inverse(self, z):
        """U^T z: components to data, both ``(batch, *data_shape)``."""
        raise NotImplementedError("A Basis implements inverse(z).")

    def make_coordinates(self, data_shape: Shape) -> dict[str, np.ndarray]:
        """Labels of the components of one channel layout, each of shape `data_shape`."""
        raise NotImplementedError("A Basis implements make_coordinates(data_shape).")

    def symmetrize(self, values: np.ndarray) -> np.ndarray:
        """Averages per-component statistics over components that belong together.

        Only the Fourier basis has such components, k and -k. `values` has shape `data_shape`.
        """
        return values

    def fit_batches(self, batches: Batches):
        """Fits the weights to float arrays ``(batch, *data_shape)``; the basis is already built.

        `batches` can be read several times and holds one batch in memory at a time.
        """

    def fit_covariance(self, whole: Covariance):
        """What `fit_batches` does, given mean and covariance of the flattened data.

        Where the covariance of all components is small, it is measured once and serves everything.
        """
        raise NotImplementedError("A Basis with fits_covariance=True implements fit_covariance.")

    def adapt(self, data, batch_size: int = 1024):
        """Builds the basis and fits what must be fitted, with one batch in memory at a time.

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
    def coordinates(self) -> dict[str, np.ndarray]:
        """Labels of every component; the basis must be built."""
        if self.data_shape is None:
            raise ValueError(
                f"Expected the {type(self).__name__} basis to be built before its coordinates are "
                "read: "
                "call `adapt(x)` or `build((None, *data_shape))` first."
            )
        return self.make_coordinates(self.data_shape)

    @property
    def spatial_axes(self) -> range:
        """The spatial axes of a batch ``(batch, *data_shape)``; the basis must be built."""
        return range(1, 1 + len(spatial_shape(self.data_shape)))

    def as_tensor(self, x):
        """A tensor of the basis' own float dtype: integer images must not wrap around."""
        return keras.ops.convert_to_tensor(x, dtype=self.compute_dtype)

    def get_build_config(self):
        """The shape, so that a saved basis is built again on loading."""
        if self.data_shape is None:
            return None
        return {"input_shape": [None, *self.data_shape]}

    def compute_output_shape(self, input_shape):
        """Bases keep the shape."""
        return input_shape


def channel_coordinate(data_shape: Shape) -> dict[str, np.ndarray]:
    """The coordinate ``"channel"``, the index along the last axis; empty for vectors."""
    if len(data_shape) == 1:
        return {}
    index = np.arange(data_shape[-1])
    return {"channel": np.broadcast_to(index, data_shape).copy()}


def spatial_coordinate(values: np.ndarray, data_shape: Shape) -> np.ndarray:
    """A coordinate over the spatial shape, repeated for every channel to the whole `data_shape`."""
    if len(data_shape) > 1:
        values = values[..., None]
    return np.broadcast_to(values, data_shape).copy()


def frequency_coordinates(axes: list[np.ndarray], data_shape: Shape) -> dict[str, np.ndarray]:
    """The coordinates of a transform to frequencies: ``"frequency"``, |k|, and ``"channel"``.

    Args:
        axes: The frequencies along each spatial axis.
        data_shape: Shape of one example.
    """
    k = np.sqrt(sum(part**2 for part in np.meshgrid(*axes, indexing="ij")))
    return {"frequency": spatial_coordinate(k, data_shape)} | channel_coordinate(data_shape)


def index_coordinate(shape: Shape) -> np.ndarray:
    """0, 1, 2, ... in the order of a flattened array of this shape."""
    return np.arange(math.prod(shape)).reshape(shape)


registry = Registry("basis", Basis)
