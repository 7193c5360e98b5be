"""Principal components of the data."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud.bases.basis import (
    Basis,
    channel_coordinate,
    index_coordinate,
    registry,
    spatial_coordinate,
)
from keras_gud.bases.batches import Batches
from keras_gud.bases.linear import eigenbasis, multiply_flat
from keras_gud.core.arguments import check_numbers
from keras_gud.core.data_shape import spatial_shape
from keras_gud.core.registry import PACKAGE
from keras_gud.core.streaming_moments import Covariance
from keras_gud.core.types import Coordinates, Shape, Tensor, TensorLike

# The fit takes time O(d^3) and memory O(d^2): at 4096, about a minute and 128 MiB.
MAX_COMPONENTS = 4096


@registry.register("pca")
@keras.saving.register_keras_serializable(package=PACKAGE)
class PCA(Basis):
    """Eigenbasis of the data's covariance; inputs and outputs are ``(batch, *data_shape)``.

    As in app. B of the paper, the spatial covariance of the channel-averaged data is diagonalised,
    and the same transformation applied to every channel. It is fitted in one pass over the data,
    in float64. Until it is fitted (`adapt`) or its weights are loaded, the basis is the identity.

    Coordinates: ``"rank"`` (0 has the largest variance) and ``"channel"``; with `mix_channels` the
    rank is that among all components, and there is no channel any more.

    Args:
        mix_channels: Whether to diagonalise the covariance of all components, channels included.
        floor: Smallest entry of `eigenvalues`, in (0, 1), relative to the largest one (absolute for
            data without any variance). The components themselves do not depend on it.
        allow_rank_deficient: Whether to accept as few examples as 2. With no more examples than
            components the basis is still orthogonal, but arbitrary among the directions without
            variance.

    Attributes:
        matrix: Weight ``(d, d)``, one eigenvector per row; of each, the largest entry is positive.
        eigenvalues: Weight ``(d,)``, variances along the eigenvectors, decreasing and floored.

    Raises:
        ValueError: when built for more than 4096 components, or fitted to too few examples.

    Example:
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(100, 2)) @ np.array([[2.0, 2.0], [-1.0, 1.0]])
    >>> basis = PCA()
    >>> basis.adapt(x)
    >>> bool(basis.eigenvalues[0] > basis.eigenvalues[1])
    True
    """

    needs_data = True
    fits_covariance = True

    def __init__(
        self,
        mix_channels: bool = False,
        floor: float = 1e-6,
        allow_rank_deficient: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_numbers(floor=floor)
        if not 0 < floor < 1:
            raise ValueError(f"Expected `floor` to be between 0 and 1. Received: floor={floor}.")
        self.mix_channels = self.mixes_channels = mix_channels
        self.floor = floor
        self.allow_rank_deficient = allow_rank_deficient

    def check_shape(self, data_shape: Shape) -> None:
        """Raises a `ValueError` for shapes whose eigenbasis would take too long to find."""
        size = self._size(data_shape)
        if size > MAX_COMPONENTS:
            raise ValueError(
                f"Expected at most {MAX_COMPONENTS} components for the pca basis. Received: "
                f"data_shape={data_shape} with {size} components; the dct basis is close to "
                "the principal components of natural images and needs no fit."
            )

    def create_weights(self, data_shape: Shape) -> None:
        """Creates the eigenvectors and eigenvalues."""
        size = self._size(data_shape)
        self.matrix = self.add_statistic("matrix", (size, size), "identity")
        self.eigenvalues = self.add_statistic("eigenvalues", (size,), "ones")

    def fit_batches(self, batches: Batches) -> None:
        """Fits eigenvectors and eigenvalues in one pass."""
        statistics = Covariance()
        for batch in batches:
            if not self.mix_channels:
                batch = np.reshape(batch, (len(batch), self.matrix.shape[0], -1))
                batch = batch.mean(axis=-1, dtype="float64")
            statistics.update(np.reshape(batch, (len(batch), -1)))
        self._fit(statistics.across_processes())

    def fit_covariance(self, moments: Covariance) -> None:
        """Fits eigenvectors and eigenvalues to the covariance of the data."""
        if not self.mix_channels:
            rows = self.matrix.shape[0]
            channels = math.prod(self.data_shape) // rows
            moments = moments.transformed(np.kron(np.eye(rows), np.ones(channels) / channels))
        self._fit(moments)

    def _fit(self, statistics: Covariance):
        self._check_count(statistics.count)
        matrix, values = eigenbasis(statistics.covariance)
        # Data without any variance have no largest eigenvalue to be relative to.
        smallest = self.floor * (values[0] if values[0] > 0 else 1.0)
        self.matrix.assign(matrix)
        self.eigenvalues.assign(np.maximum(values, smallest))

    def call(self, x: TensorLike) -> Tensor:
        """Projects onto the eigenvectors."""
        return multiply_flat(self.matrix, self.as_tensor(x))

    def inverse(self, z: TensorLike) -> Tensor:
        """The transpose of `call`."""
        return multiply_flat(ops.transpose(self.matrix), self.as_tensor(z))

    def make_coordinates(self, data_shape: Shape) -> Coordinates:
        """``"rank"``, and ``"channel"`` unless the channels are mixed."""
        if self.mix_channels:
            return {"rank": index_coordinate(data_shape)}
        rank = spatial_coordinate(index_coordinate(spatial_shape(data_shape)), data_shape)
        return {"rank": rank} | channel_coordinate(data_shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "mix_channels": self.mix_channels,
            "floor": self.floor,
            "allow_rank_deficient": self.allow_rank_deficient,
        }

    def _size(self, data_shape: Shape) -> int:
        return math.prod(data_shape if self.mix_channels else spatial_shape(data_shape))

    def _check_count(self, count: int) -> None:
        # With the mean subtracted, d + 1 examples span d directions.
        needed = 2 if self.allow_rank_deficient else self.matrix.shape[0] + 1
        if count < needed:
            raise ValueError(
                f"Expected at least {needed} examples to fit the pca basis of "
                f"{self.matrix.shape[0]} components. Received: {count} examples; give more data, "
                "set allow_rank_deficient=True (2 are enough), or use the dct basis, which needs "
                "no data."
            )
