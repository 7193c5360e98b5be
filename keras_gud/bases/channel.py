"""Orthogonal mixing of channels: luma and chroma, or the principal components of colours."""

import functools
import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud.bases.basis import Basis, channel_coordinate, registry
from keras_gud.bases.batches import Batches
from keras_gud.bases.linear import eigenbasis, multiply_axis, orthogonal_matrix
from keras_gud.core.data_shape import channel_count
from keras_gud.core.registry import PACKAGE
from keras_gud.core.streaming_moments import Covariance
from keras_gud.core.types import ArrayLike, Coordinates, Shape, Tensor, TensorLike

# Luma of ITU-R BT.601, for red, green and blue.
LUMA = (0.299, 0.587, 0.114)


def luma_matrix(channels: int) -> np.ndarray:
    """An orthogonal ``(channels, channels)`` matrix whose first row gives the luma (grey) image.

    For three channels the weights are those of BT.601, for any other number equal ones, scaled to
    unit norm. Gram-Schmidt on the unit vectors gives the other rows, the chroma.

    Example:
    >>> luma_matrix(2).round(3).tolist()
    [[0.707, 0.707], [0.707, -0.707]]
    """
    weights = np.array(LUMA) if channels == 3 else np.ones(channels)
    start = np.column_stack([weights, np.eye(channels)[:, :-1]])
    q, r = np.linalg.qr(start)
    # QR leaves the signs open; a positive diagonal of R fixes them, so grey weights stay positive.
    return (q * np.sign(np.diag(r))).T


@registry.register("channel")
@keras.saving.register_keras_serializable(package=PACKAGE)
class ChannelMix(Basis):
    """Orthogonal matrix over the channels, the same at every position; ``(batch, *data_shape)``.

    ``z[.., i] = sum_j M[i, j] x[.., j]``. It composes with any spatial basis, before or after it.

    Coordinates: ``"channel"``, the index of the mixed channel.

    Args:
        matrix: ``"luma"``: the first channel is the grey image divided by the norm of its weights,
            the others are chroma. ``"pca"``: the principal components of the colours at all
            positions of the data, fitted by `adapt` (the identity until then). Or an orthogonal
            matrix ``(channels, channels)``.

    Raises:
        ValueError: for another name or a matrix that is not orthogonal; when built for vectors,
            which have no channels, or for another number of channels than the matrix; when fitted
            to fewer positions than channels.

    Example:
    >>> import numpy as np
    >>> z = ChannelMix("luma")(np.ones((1, 2, 2, 4), "float32"))
    >>> np.allclose(z[0, 0, 0], [2.0, 0.0, 0.0, 0.0], atol=1e-6)
    True
    """

    mixes_space = False
    mixes_channels = True
    fits_covariance = True

    def __init__(self, matrix: str | ArrayLike = "luma", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(matrix, str) and matrix not in ("luma", "pca"):
            raise ValueError(
                "Expected `matrix` to be 'luma', 'pca' or an orthogonal matrix. "
                f"Received: matrix={matrix!r}."
            )
        self.kind = matrix if isinstance(matrix, str) else "custom"
        self.needs_data = self.kind == "pca"
        # The other two kinds make it when the number of channels is known.
        self.matrix: Any = orthogonal_matrix(matrix) if self.kind == "custom" else None

    def check_shape(self, data_shape: Shape) -> None:
        """Raises a `ValueError` for vectors, or where a given matrix has another size."""
        if len(data_shape) == 1:
            raise ValueError(
                "Expected data with a channel axis for a channel basis. "
                f"Received: vectors, data_shape={data_shape}."
            )
        if self.kind == "custom" and len(self.matrix) != data_shape[-1]:
            raise ValueError(
                f"Expected `matrix` to be of the size of the channels, {data_shape[-1]}. "
                f"Received: matrix of shape {self.matrix.shape}."
            )

    def create_weights(self, data_shape: Shape) -> None:
        """The matrix: a weight if it is fitted, else a constant."""
        channels = channel_count(data_shape)
        if self.kind == "luma":
            self.matrix = luma_matrix(channels)
        elif self.kind == "pca":
            self.matrix = self.add_statistic("matrix", (channels, channels), "identity")

    def fit_batches(self, batches: Batches) -> None:
        """Fits the principal components in one pass; each position of each example is a sample."""
        channels = channel_count(self.data_shape)
        statistics = Covariance()
        for batch in batches:
            statistics.update(np.reshape(batch, (-1, channels)))
        self._fit(statistics.across_processes())

    def fit_covariance(self, moments: Covariance) -> None:
        """Fits them to the diagonal blocks of the covariance, one for each position."""
        channels, statistics = channel_count(self.data_shape), Covariance()
        for position in np.split(np.eye(math.prod(self.data_shape)), len(moments.mean) // channels):
            statistics.merge(moments.transformed(position))
        self._fit(statistics)

    def _fit(self, statistics: Covariance):
        channels = channel_count(self.data_shape)
        if statistics.count <= channels:
            raise ValueError(
                f"Expected at least {channels + 1} positions to fit {channels} principal "
                f"channels. Received: {statistics.count} positions over all examples."
            )
        self.matrix.assign(eigenbasis(statistics.covariance)[0])

    def call(self, x: TensorLike) -> Tensor:
        """Mixes the channels."""
        return multiply_axis(self.matrix, self.as_tensor(x), -1)

    def inverse(self, z: TensorLike) -> Tensor:
        """The transpose of `call`."""
        return multiply_axis(ops.transpose(self.matrix), self.as_tensor(z), -1)

    def make_coordinates(self, data_shape: Shape) -> Coordinates:
        """``"channel"``."""
        return channel_coordinate(data_shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; a given matrix as a nested list."""
        matrix = self.matrix.tolist() if self.kind == "custom" else self.kind
        return super().get_config() | {"matrix": matrix}


registry.add("channel_pca", functools.partial(ChannelMix, "pca"))
