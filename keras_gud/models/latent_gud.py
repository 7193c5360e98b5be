"""`LatentGUD`: a diffusion model of what an encoder makes of the data."""

from typing import Any

import keras
import numpy as np

from keras_gud import presets
from keras_gud.backend import to_numpy
from keras_gud.core.arguments import check_integer, require_built
from keras_gud.core.progress import Progress
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import Array, Shape, Tensor
from keras_gud.data import encoded
from keras_gud.data.arrays import BATCH_SIZE
from keras_gud.data.checks import check_batch, data_kind
from keras_gud.data.source import Source
from keras_gud.models.autoencoder import Autoencoder
from keras_gud.models.data_space import DataSpace
from keras_gud.models.gud import GUD
from keras_gud.priors import Isotropic


class LatentSpace(DataSpace):
    """Data that pass through an encoder on their way in and through a decoder on their way out.

    Its shape and kind are those of the latents, the diffusion's data.

    Args:
        autoencoder: The pair.
        shape: Shape of one latent, where it is known.
    """

    def __init__(self, autoencoder: Autoencoder, shape: Shape | None = None) -> None:
        super().__init__(shape, "none")
        self.autoencoder = autoencoder

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
            self.autoencoder.open(raw.first.shape[1:], data_kind(raw.first))
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
        self.autoencoder.open(**config["raw"])
        super().build_from_config(config)


@keras.saving.register_keras_serializable(package=PACKAGE)
class LatentGUD(GUD):
    """Latent diffusion (Rombach et al., arXiv:2112.10752): a `GUD` between encoder and decoder.

    `fit` and `evaluate` encode what they are given, `sample` decodes; basis, prior and schedule
    are those of the latents, and so is all that the docstrings of `GUD` call data inside the model
    (`data_shape`, `denoise`, a `guide`). Only the diffusion model is trained: encoder and decoder
    are called for inference and are no part of `weights`; a saved file holds them all the same. To
    train the encoder together with the diffusion, under one bound (LSGM, Vahdat et al., 2021), is
    not offered here.

    The latents need no scale factor: the prior is by default ``priors.Isotropic(scale=None)``,
    which measures their mean and one standard deviation of all components and divides by it, as
    the original does (its appendix G).

    A likelihood of the data is not defined, since the decoder gives no density; `log_prob`,
    `bits_per_dim`, `elbo` and `predict` raise an error. Those of latents are methods of
    `diffusion()`, and so are the tasks, on latents. `to_noise` and `from_noise` are of the
    probability flow, from data to noise and back through both maps; the autoencoder alone is
    `to_latents` and `from_latents`.

    Args:
        encoder: Keras layer or model from data to latents, one tensor ``(batch, *latent_shape)``:
            vectors, series, images or volumes, channels last. 8-bit data come to it as floats
            ``(x + 1/2)/128 - 1``, within (-1, 1); floats as they are. Of a variational encoder
            give the mean, e.g. ``keras.Model(encoder.input, encoder.output[0])``.
        decoder: Keras layer or model from latents to the same floats.
        prior: As in `GUD`; default: see above, unless the preset has one.
        preset: As in `GUD`.
        **kwargs: Arguments of `GUD`: ``basis="haar"``, ``schedule=...``, ``classes=10``, ...

    Raises:
        TypeError: for an encoder or decoder that is no Keras layer or model.
        ValueError: as `GUD`; in `fit` also for an encoder that cannot take the data, or a decoder
            that returns another shape than theirs.

    Example:

    >>> x = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 1)).astype("uint8")
    >>> model = LatentGUD(keras.layers.AveragePooling2D(2), keras.layers.UpSampling2D(2),
    ...                   basis="haar", schedule="cosine", backbone="tiny")
    >>> history = model.fit(x, epochs=1, verbose=0)
    >>> samples = model.sample(3, steps=5, seed=0)
    >>> model.to_latents(x).shape, samples.shape, str(samples.dtype)
    ((64, 4, 4, 1), (3, 8, 8, 1), 'uint8')
    """

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        *,
        prior: Any = None,
        preset: str | dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("data_scale") not in (None, "none", "range"):
            raise ValueError(
                "Expected no `data_scale`: the scale of latents is that of the prior. "
                f"Received: data_scale={kwargs['data_scale']!r}."
            )
        if kwargs.get("missing"):
            raise ValueError(
                "Expected no `missing`: an encoder needs all values of its data. Received: "
                f"missing={kwargs['missing']!r}."
            )
        autoencoder = Autoencoder(encoder, decoder)
        parts = {} if preset is None else presets.get(preset)
        if prior is None and "prior" not in parts:
            prior = Isotropic(scale=None)
        super().__init__(prior=prior, preset=parts, **kwargs)
        self.data_space: LatentSpace = LatentSpace(autoencoder, self.data_shape)

    @property
    def encoder(self) -> keras.layers.Layer:
        """The encoder; Keras saves it with the model, as a public attribute."""
        return self.data_space.autoencoder.encoder

    @property
    def decoder(self) -> keras.layers.Layer:
        """The decoder, likewise."""
        return self.data_space.autoencoder.decoder

    def to_latents(self, x: Any, batch_size: int | None = None, verbose: int = 0) -> Array:
        """What the encoder makes of data.

        Args:
            x: Array ``(n, ...)`` of data in their own units.
            batch_size: Examples encoded at a time; default 128.
            verbose: 1 shows a progress bar.

        Returns:
            float32 ``(n, *latent_shape)``.

        Raises:
            ValueError: before the model knows its data, or for other data than those.
        """
        require_built(self, "it encodes")
        return self.data_space.encode(to_numpy(x), batch_size, verbose)

    def from_latents(self, latents: Any, batch_size: int | None = None) -> Array:
        """What the decoder makes of latents.

        Args:
            latents: Array ``(n, *latent_shape)``.
            batch_size: Examples decoded at a time; default 128.

        Returns:
            Array ``(n, ...)`` of data in their own units, uint8 where the model was fitted on that.

        Raises:
            ValueError: before the model knows its data, or for other shapes.
        """
        require_built(self, "it decodes")
        return self.data_space.decode(latents, batch_size)

    def diffusion(self) -> GUD:
        """The diffusion model alone: a `GUD` of latents that shares every part and every weight.

        Example:

        >>> x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
        >>> model = LatentGUD(keras.layers.Rescaling(2.0), keras.layers.Rescaling(0.5),
        ...                   schedule="cosine", backbone="tiny")
        >>> model.adapt(x, verbose=0)
        >>> model.diffusion().bits_per_dim(model.to_latents(x[:3])).shape
        (3,)
        """
        require_built(self, "its diffusion model is used")
        return self.session.cached("diffusion", lambda: _diffusion_of(self))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        pair = {"encoder": self.encoder, "decoder": self.decoder}
        config = {k: keras.saving.serialize_keras_object(layer) for k, layer in pair.items()}
        return super().get_config() | config


def _diffusion_of(model: LatentGUD) -> GUD:
    """A `GUD` with the very parts of a latent model."""
    given = {name: getattr(model, name) for name in ("basis", "prior", "schedule", "region")}
    given["weighting"] = model.objective.weighting
    given["backbone"] = getattr(model.backbone, "identifier", model.backbone)
    others = {k: v for k, v in model.get_config().items() if k not in _NOT_OF_GUD}
    alone = GUD(**(others | given))
    for name in ("tokens", "moments", "ema", "objective", "network", "conditions", "classes"):
        setattr(alone, name, getattr(model, name))
    alone.data_space.scaling = model.data_space.scaling
    alone.built = True
    return alone


_NOT_OF_GUD = (
    "encoder",
    "decoder",
    "name",
    "format_version",
    "named_backbone",
    "condition",
)


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
