"""Principal components of the data."""

import math

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
from keras_gud.bases.linear import eigenbasis, multiply_flat
from keras_gud.core.arguments import check_numbers
from keras_gud.core.data_shape import spatial_shape
from keras_gud.core.registry import PACKAGE
from keras_gud.core.streaming_moments import Covariance

# The fit is O(d^3) in time and O(d^2) in memory: at 4096, 128 MiB and about a minute.
MAX_COMPONENTS = 4096


@registry.register("pca")
@keras.saving.register_keras_serializable(package=PACKAGE)
class PCA(Basis):
    """Eigenbasis of the data's covariance; inputs and outputs are ``(batch, *data_shape)``.

    As in paper app. B, the spatial covariance of the channel-averaged data is diagonalised, and the
    same transformation serves every channel. It is fitted in one pass over the data, in float64.
    Until it is fitted (`adapt`) or its weights are loaded, the basis is the identity.

    Labels: ``"rank"`` (0 has the largest variance) and ``"channel"``; with `mix_channels` the ranks
    run over the whole `data_shape` and there is no channel any more.

    Args:
        mix_channels: Whether to diagonalise the covariance of all components, channels included.
        floor: Smallest entry of `eigenvalues`, relative to the largest one (absolute for data
            without any variance). The components themselves do not depend on it.
        allow_rank_deficient: Whether to accept no more examples than components. The basis is then
            still orthogonal, but arbitrary among the directions without variance.

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
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_numbers(floor=floor)
        if not 0 < floor < 1:
            raise ValueError(f"Expected `floor` to be between 0 and 1. Received: floor={floor}.")
        self.mix_channels = self.mixes_channels = mix_channels
        self.floor = floor
        self.allow_rank_deficient = allow_rank_deficient

    def check_shape(self, data_shape):
        """Refuses shapes whose eigenbasis would be too large to find."""
        size = self._size(data_shape)
        if size > MAX_COMPONENTS:
            raise ValueError(
                f"Expected at most {MAX_COMPONENTS} components for the pca basis. Received: "
                f"data_shape={data_shape} with {size} components; the dct basis is close to "
                "the principal components of natural images and needs no fit."
            )

    def create_weights(self, data_shape):
        """The eigenvectors and eigenvalues."""
        size = self._size(data_shape)
        self.matrix = self.add_statistic("matrix", (size, size), "identity")
        self.eigenvalues = self.add_statistic("eigenvalues", (size,), "ones")

    def fit_batches(self, batches):
        """Fits eigenvectors and eigenvalues in one pass."""
        statistics = Covariance()
        for batch in batches:
            if not self.mix_channels:
                batch = np.reshape(batch, (len(batch), self.matrix.shape[0], -1))
                batch = batch.mean(axis=-1, dtype="float64")
            statistics.update(np.reshape(batch, (len(batch), -1)))
        self._fit(statistics.across_processes())

    def fit_covariance(self, whole):
        """The same from the covariance of the data."""
        if not self.mix_channels:
            rows = self.matrix.shape[0]
            channels = math.prod(self.data_shape) // rows
            whole = whole.transformed(np.kron(np.eye(rows), np.ones(channels) / channels))
        self._fit(whole)

    def _fit(self, statistics: Covariance):
        self._check_count(statistics.count)
        matrix, values = eigenbasis(statistics.covariance)
        # Data without any variance leave nothing to be relative to.
        smallest = self.floor * (values[0] if values[0] > 0 else 1.0)
        self.matrix.assign(matrix)
        self.eigenvalues.assign(np.maximum(values, smallest))

    def call(self, x):
        """Projects onto the eigenvectors."""
        return multiply_flat(self.matrix, self.as_tensor(x))

    def inverse(self, z):
        """The transpose of `call`."""
        return multiply_flat(ops.transpose(self.matrix), self.as_tensor(z))

    def make_coordinates(self, data_shape):
        """``"rank"``, and ``"channel"`` unless the channels are mixed."""
        if self.mix_channels:
            return {"rank": index_coordinate(data_shape)}
        rank = spatial_coordinate(index_coordinate(spatial_shape(data_shape)), data_shape)
        return {"rank": rank} | channel_coordinate(data_shape)

    def get_config(self):
        """The arguments of the constructor."""
        return super().get_config() | {
            "mix_channels": self.mix_channels,
            "floor": self.floor,
            "allow_rank_deficient": self.allow_rank_deficient,
        }

    def _size(self, data_shape) -> int:
        return math.prod(data_shape if self.mix_channels else spatial_shape(data_shape))

    def _check_count(self, count):
        # The mean takes one example away: d + 1 of them span d directions.
        needed = 2 if self.allow_rank_deficient else self.matrix.shape[0] + 1
        if count < needed:
            raise ValueError(
                f"Expected at least {needed} examples to fit the pca basis of "
                f"{self.matrix.shape[0]} components. Received: {count} examples; give more data, "
                "set allow_rank_deficient=True (2 are enough), or use the dct basis, which needs "
                "no data."
            )
