"""`LatentSpace`: data that are latents to the diffusion, on their way in and out."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_gud.backend import to_numpy
from keras_gud.bases import Basis
from keras_gud.core.arguments import check_integer
from keras_gud.core.progress import Progress
from keras_gud.core.types import Array, Shape, Tensor
from keras_gud.data import encoded
from keras_gud.data.arrays import BATCH_SIZE
from keras_gud.data.checks import check_batch, data_kind
from keras_gud.data.source import Source
from keras_gud.models.autoencoder import Autoencoder
from keras_gud.models.data_space import DataSpace
from keras_gud.training.group_scale import GroupScale


class LatentSpace(DataSpace):
    """Data that pass through an encoder on their way in and through a decoder on their way out.

    Its shape and kind are those of the latents, the diffusion's data.

    Args:
        autoencoder: Encoders and decoder.
        shape: Shape of one latent, where it is known.
        bases: The bases in which latents are diffused, which are told of several streams.
    """

    def __init__(
        self,
        autoencoder: Autoencoder,
        shape: Shape | None = None,
        bases: Iterable[Basis] = (),
    ) -> None:
        super().__init__(shape, "none")
        self.autoencoder, self.bases = autoencoder, list(bases)

    @property
    def measured_scale(self) -> Any:
        """A scale for each of several streams; one latent has that of the prior."""
        streams = self.autoencoder.streams
        if not streams.several:
            return super().measured_scale
        return GroupScale(streams.sizes, tuple(map(streams.argument, range(len(streams.keys)))))

    def open(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int | None = None,
        *,
        verbose: int = 0,
        shuffle: bool = False,
        divided: bool = True,
        **kwargs: Any,
    ) -> Source:
        """The latents of data in any form that `fit` takes; arguments as in `DataSpace.open`.

        Those of an array are computed at once and held, those of a stream as it is read.
        """
        raw = super().open(x, y, sample_weight, batch_size, divided=divided, **kwargs)
        if self.kind is None:
            self._open_autoencoder(raw.first.shape[1:], data_kind(raw.first))
            self.shape = self.autoencoder.latent_shape
        raw.guard(self.autoencoder.check)
        if raw.is_array:
            given = raw.keras_data
            x = self.encode(given.x, batch_size, verbose)
            y, sample_weight = given.conditions or None, given.sample_weight
        else:
            x, y, sample_weight = encoded.encode_stream(raw, self.autoencoder.encode), None, None
        kwargs |= {"shuffle": shuffle, "divided": divided}
        return super().open(x, y, sample_weight, batch_size, **kwargs)

    def _open_autoencoder(self, data_shape: Shape, kind: str) -> None:
        self.autoencoder.open(data_shape, kind)
        if self.autoencoder.streams.several:
            for basis in self.bases:
                basis.streams = self.autoencoder.streams.sizes

    def encode(self, x: Array, batch_size: int | None = None, verbose: int = 0) -> Array:
        """Raw data, checked, to latents, float32 ``(n, *latent_shape)``, batch by batch."""
        self.autoencoder.check(x)
        return _in_batches(self.autoencoder.encode, x, batch_size, verbose)

    def decode(self, latents: Array, batch_size: int | None = None) -> Array:
        """Latents, checked, to data in their own units, batch by batch."""
        latents = np.asarray(to_numpy(latents), "float32")
        check_batch(latents, self.autoencoder.latent_shape, "float")
        return _in_batches(self.autoencoder.decode, latents, batch_size)

    def to_model(self, x: Any, batch_size: int | None = None) -> Array:
        """An array of data to the latents of the model."""
        latents = self.encode(to_numpy(self.without_names(x)), batch_size)
        return super().to_model(latents)

    def to_data(self, z0: Tensor, basis: Any, prior: Any, batch_size: int = 256) -> Array:
        """Components of latents to data in their own units."""
        return self.decode(super().to_data(z0, basis, prior, batch_size), batch_size)

    def from_components(self, z0: Tensor, basis: Any, prior: Any) -> Tensor:
        """As `to_data`, in a graph."""
        latents = super().from_components(z0, basis, prior)
        return self.autoencoder.decoded(latents)

    def require_density(self) -> None:
        """Raises a `ValueError`: a decoder gives no density."""
        raise ValueError(
            "Expected a question about latents: a decoder gives no density, so that the likelihood "
            "of data is not defined. Received: one about data. Ask the diffusion model, e.g. "
            "model.diffusion().bits_per_dim(model.to_latents(x))."
        )

    def get_build_config(self) -> dict[str, Any]:
        """Shape and kind of latents, and of the raw data."""
        raw = {"data_shape": self.autoencoder.data_shape, "kind": self.autoencoder.kind}
        return super().get_build_config() | {"raw": raw}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Takes what `get_build_config` returned."""
        self._open_autoencoder(**config["raw"])
        super().build_from_config(config)


def _in_batches(function, x, batch_size, verbose=0) -> Array:
    size = BATCH_SIZE if batch_size is None else batch_size
    size = check_integer("batch_size", size, 1)
    starts = range(0, len(x), size)
    if verbose:
        print("Encoding the data")
    progress = Progress(len(starts), "batch", verbose)
    results = []
    for i, start in enumerate(starts):
        results.append(function(x[start : start + size]))
        progress.update(i + 1)
    return np.concatenate(results)
