"""Products of bases."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_gud.bases.basis import Basis, registry
from keras_gud.bases.batches import Batches, as_batches
from keras_gud.bases.linear import matrix_of
from keras_gud.core.registry import PACKAGE
from keras_gud.core.streaming_moments import Covariance
from keras_gud.core.types import Coordinates, Identifier, Shape, Tensor, TensorLike


@keras.saving.register_keras_serializable(package=PACKAGE)
class Compose(Basis):
    """Bases applied one after the other, the first one first; ``(batch, *data_shape)`` both ways.

    U = U_n ... U_2 U_1, for instance a channel basis and a spatial one, in either order.

    Coordinates: those of all bases; of equal names the last counts. A basis that mixes space drops
    all earlier coordinates but ``"channel"``, one that mixes channels drops ``"channel"``.

    Args:
        bases: The bases: names, configs or instances.

    Raises:
        ValueError: for an empty list, or a basis that was built for another shape.

    Example:
    >>> basis = Compose(["channel", "haar"])
    >>> basis.build((None, 4, 4, 3))
    >>> sorted(basis.coordinates)
    ['band', 'channel', 'column', 'orientation', 'row']
    """

    def __init__(self, bases: Iterable[Identifier], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bases = [registry.get(basis) for basis in bases]
        if not self.bases:
            raise ValueError(
                f"Expected `bases` to hold at least one basis. Received: bases={bases!r}."
            )

    # Attributes of other bases; here they depend on the bases within.

    @property
    def needs_data(self) -> bool:  # type: ignore[override]
        """Whether any basis needs data."""
        return any(basis.needs_data for basis in self.bases)

    @property
    def fits_covariance(self) -> bool:  # type: ignore[override]
        """Whether all bases that need data are fitted to mean and covariance alone."""
        return all(basis.fits_covariance for basis in self.bases if basis.needs_data)

    @property
    def mixes_space(self) -> bool:  # type: ignore[override]
        """Whether any basis mixes space."""
        return any(basis.mixes_space for basis in self.bases)

    @property
    def n_scales(self) -> int:
        """That of the last basis, if no other mixes space; else 0."""
        return 0 if any(basis.mixes_space for basis in self.bases[:-1]) else self.bases[-1].n_scales

    def gamma_by_scale(self, gamma: Tensor) -> Tensor:
        """That of the last basis."""
        return self.bases[-1].gamma_by_scale(gamma)

    @property
    def mixes_channels(self) -> bool:  # type: ignore[override]
        """Whether any basis mixes channels."""
        return any(basis.mixes_channels for basis in self.bases)

    def create_weights(self, data_shape: Shape) -> None:
        """Builds the bases; one that was built before must have the same shape."""
        for basis in self.bases:
            if not basis.built:
                basis.build((None, *data_shape))
            if basis.data_shape != data_shape:
                raise ValueError(
                    f"Expected all bases to be built for data_shape={data_shape}. Received: "
                    f"{type(basis).__name__} built for data_shape={basis.data_shape}."
                )

    def fit_batches(self, batches: Batches) -> None:
        """Fits each basis that needs data to the components it is given, in a pass of its own."""
        batches = as_batches(batches)
        for basis in self.bases:
            if basis.needs_data:
                basis.fit_batches(batches)
            batches = batches.map(basis)

    def fit_covariance(self, moments: Covariance) -> None:
        """Fits each basis that needs data to the covariance of the components it is given."""
        for basis in self.bases:
            if basis.needs_data:
                basis.fit_covariance(moments)
            moments = moments.transformed(matrix_of(basis))

    def call(self, x: TensorLike) -> Tensor:
        """U x."""
        for basis in self.bases:
            x = basis(x)
        return x

    def inverse(self, z: TensorLike) -> Tensor:
        """U^T z: the inverses of the bases from the last to the first."""
        for basis in reversed(self.bases):
            z = basis.inverse(z)
        return z

    def make_coordinates(self, data_shape: Shape) -> Coordinates:
        """The coordinates that apply to the components of the last basis."""
        coordinates: Coordinates = {}
        for basis in self.bases:
            if basis.mixes_space:
                coordinates = {
                    name: coordinate
                    for name, coordinate in coordinates.items()
                    if name == "channel"
                }
            if basis.mixes_channels:
                coordinates.pop("channel", None)
            coordinates |= basis.make_coordinates(data_shape)
        return coordinates

    def symmetrize(self, values: np.ndarray) -> np.ndarray:
        """Averages as the last basis that mixes space does."""
        for basis in reversed(self.bases):
            if basis.mixes_space:
                return basis.symmetrize(values)
        return values

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments: the configs of the bases."""
        bases = [keras.saving.serialize_keras_object(basis) for basis in self.bases]
        return super().get_config() | {"bases": bases}
