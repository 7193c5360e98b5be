"""Products of bases."""

import keras

from keras_gud.bases.basis import Basis, registry
from keras_gud.bases.batches import as_batches
from keras_gud.bases.linear import matrix_of
from keras_gud.core.registry import PACKAGE


@keras.saving.register_keras_serializable(package=PACKAGE)
class Compose(Basis):
    """Bases applied one after the other, the first one first; ``(batch, *data_shape)`` both ways.

    U = U_n ... U_2 U_1; for instance a channel basis and a spatial one, in either order.

    Labels: those of all bases, later ones override. A basis that mixes space drops all earlier
    coordinates but ``"channel"``, one that mixes channels drops that.

    Args:
        bases: The bases: names, configs or instances.

    Raises:
        ValueError: for an empty list; and whatever its bases raise.

    Example:
    >>> basis = Compose(["channel", "haar"])
    >>> basis.build((None, 4, 4, 3))
    >>> sorted(basis.coordinates)
    ['band', 'channel', 'column', 'orientation', 'row']
    """

    def __init__(self, bases, **kwargs):
        super().__init__(**kwargs)
        self.bases = [registry.get(basis) for basis in bases]
        if not self.bases:
            raise ValueError(
                f"Expected `bases` to hold at least one basis. Received: bases={bases!r}."
            )

    @property
    def needs_data(self):
        """Whether any basis needs data."""
        return any(basis.needs_data for basis in self.bases)

    @property
    def fits_covariance(self):
        """Whether all bases that need data are fitted to mean and covariance alone."""
        return all(basis.fits_covariance for basis in self.bases if basis.needs_data)

    @property
    def mixes_space(self):
        """Whether any basis mixes space."""
        return any(basis.mixes_space for basis in self.bases)

    @property
    def mixes_channels(self):
        """Whether any basis mixes channels."""
        return any(basis.mixes_channels for basis in self.bases)

    def create_weights(self, data_shape):
        """Builds the bases; one that was built before must have the same shape."""
        for basis in self.bases:
            if not basis.built:
                basis.build((None, *data_shape))
            if basis.data_shape != data_shape:
                raise ValueError(
                    f"Expected all bases to be built for data_shape={data_shape}. Received: "
                    f"{type(basis).__name__} built for data_shape={basis.data_shape}."
                )

    def fit_batches(self, batches):
        """Fits each basis that needs it in a pass of its own, on what the earlier ones make."""
        batches = as_batches(batches)
        for basis in self.bases:
            if basis.needs_data:
                basis.fit_batches(batches)
            batches = batches.map(basis)

    def fit_covariance(self, whole):
        """The same from the covariance of the data."""
        for basis in self.bases:
            if basis.needs_data:
                basis.fit_covariance(whole)
            whole = whole.transformed(matrix_of(basis))

    def call(self, x):
        """U x."""
        for basis in self.bases:
            x = basis(x)
        return x

    def inverse(self, z):
        """U^T z, the bases' inverses from the last to the first."""
        for basis in reversed(self.bases):
            z = basis.inverse(z)
        return z

    def make_coordinates(self, data_shape):
        """The coordinates that still mean something after all bases."""
        coordinates = {}
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

    def symmetrize(self, values):
        """Averages as the last basis that mixes space does: its components are the final ones."""
        for basis in reversed(self.bases):
            if basis.mixes_space:
                return basis.symmetrize(values)
        return values

    def get_config(self):
        """The configs of the bases."""
        bases = [keras.saving.serialize_keras_object(basis) for basis in self.bases]
        return super().get_config() | {"bases": bases}
