"""`LatentGUD`: a diffusion model of what an encoder, or several, make of the data."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np

from keras_gud import presets
from keras_gud.backend import to_numpy
from keras_gud.core.arguments import require_built
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import Array
from keras_gud.data.checks import check_batch
from keras_gud.models.autoencoder import Autoencoder
from keras_gud.models.gud import GUD
from keras_gud.models.latent_space import LatentSpace
from keras_gud.priors import Isotropic

_Layer: TypeAlias = keras.layers.Layer
# One encoder or several.
_Encoders: TypeAlias = _Layer | Sequence[_Layer] | Mapping[str, _Layer]


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

    **Several encoders** give streams of latents of the same data, say one of textures and one of
    meaning (Semantic-First Diffusion, Pan et al., arXiv:2512.04926; Latent Forcing, Baade et al.,
    arXiv:2602.11401). The streams are groups of channels of one joined latent, and the coordinate
    ``"stream"`` of the basis numbers them, so that any schedule may tell them apart:
    ``schedules.Staggered("cosine")`` generates one before the other, by an offset that may differ
    from sample to sample in training, ``schedules.Learned(over="stream")`` learns a curve for each,
    and `optimize_path` searches. Each stream is divided by a scale of its own. A latent on a finer
    grid is folded onto the coarsest one, blocks of f x f places to f^2 c channels; one whose grid
    is no multiple is refused, and so are vectors beside maps. All values count alike in the loss,
    so that a stream of many channels counts more.

    Args:
        encoder: Keras layer or model from data to latents, one tensor ``(batch, *latent_shape)``:
            vectors, series, images or volumes, channels last. 8-bit data come to it as floats
            ``(x + 1/2)/128 - 1``, within (-1, 1); floats as they are. Of a variational encoder
            give the mean, e.g. ``keras.Model(encoder.input, encoder.output[0])``. Or several, a
            list or a dict by name: see above.
        decoder: Keras layer or model from latents to the same floats.
        decode_from: Of several streams the one that the decoder is given, by its name or its
            number; or a list of them, which it is then called with. Default: the first.
        prior: As in `GUD`; default: see above, unless the preset has one.
        preset: As in `GUD`.
        **kwargs: Arguments of `GUD`: ``basis="haar"``, ``schedule=...``, ``classes=10``, ...

    Raises:
        TypeError: for an encoder or decoder that is no Keras layer or model.
        ValueError: as `GUD`, and for an unknown stream; in `fit` also for an encoder that cannot
            take the data, latents that do not fit together, one that never varies, or a decoder
            that returns another shape than that of the data.

    Example:

    >>> x = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 1)).astype("uint8")
    >>> model = LatentGUD(keras.layers.AveragePooling2D(2), keras.layers.UpSampling2D(2),
    ...                   basis="haar", schedule="cosine", backbone="tiny")
    >>> history = model.fit(x, epochs=1, verbose=0)
    >>> samples = model.sample(3, steps=5, seed=0)
    >>> model.to_latents(x).shape, samples.shape, str(samples.dtype)
    ((64, 4, 4, 1), (3, 8, 8, 1), 'uint8')

    Means over blocks before the details, or together with them:

    >>> from keras_gud import schedules
    >>> encoders = {"details": keras.layers.Identity(), "means": keras.layers.AveragePooling2D(4)}
    >>> model = LatentGUD(encoders, keras.layers.Identity(), backbone="tiny",
    ...                   schedule=schedules.Staggered("cosine", offset=(-0.5, 0.5)))
    >>> history = model.fit(x, epochs=1, verbose=0)
    >>> latents = model.to_latents(x)
    >>> latents.shape, model.split_latents(latents)["details"].shape
    ((64, 2, 2, 17), (64, 8, 8, 1))
    >>> together, means_first = (model.sample(2, steps=5, offset=b) for b in (0.0, -0.5))
    """

    def __init__(
        self,
        encoder: _Encoders,
        decoder: keras.layers.Layer,
        *,
        decode_from: str | int | Sequence[str | int] | None = None,
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
        autoencoder = Autoencoder(encoder, decoder, decode_from)
        parts = {} if preset is None else presets.get(preset)
        if prior is None and "prior" not in parts:
            prior = Isotropic(scale=None)
        super().__init__(prior=prior, preset=parts, **kwargs)
        self.decode_from = decode_from
        bases = {id(view.basis): view.basis for view in self.views}.values()
        self.data_space: LatentSpace = LatentSpace(autoencoder, self.data_shape, bases)

    @property
    def encoder(self) -> Any:
        """The encoder, or several as given; Keras saves them with the model, as an attribute."""
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

    def split_latents(self, latents: Any) -> Any:
        """Joined latents of several encoders to the latents of each.

        Args:
            latents: Array ``(n, *latent_shape)``, as of `to_latents` or of samples of
                `diffusion()`.

        Returns:
            A list of float32 arrays ``(n, ...)``, each of the shape of its encoder's latents; or a
            dict of them by name, if the encoders were given as one.

        Raises:
            ValueError: before the model knows its data, for other shapes, or with one encoder.
        """
        require_built(self, "it splits latents")
        streams = self.data_space.autoencoder.streams
        if not streams.several:
            raise ValueError("Expected a model with several encoders. Received: one with one.")
        latents = np.asarray(to_numpy(latents), "float32")
        check_batch(latents, streams.shape, "float")
        return streams.as_given(streams.split(latents))

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
        return super().get_config() | config | {"decode_from": self.decode_from}


def _diffusion_of(model: LatentGUD) -> GUD:
    """A `GUD` with the very parts of a latent model."""
    given = {name: getattr(model, name) for name in ("basis", "prior", "schedule", "region")}
    given["weighting"] = model.objective.weighting
    given["backbone"] = getattr(model.backbone, "identifier", model.backbone)
    others = {k: v for k, v in model.get_config().items() if k not in _NOT_OF_GUD}
    alone = GUD(**(others | given))
    for name in ("tokens", "moments", "ema", "objective", "network", "conditions"):
        alone.replace_layer(name, getattr(model, name))
    alone.classes = model.classes
    alone.data_space.scaling = model.data_space.scaling
    alone.built = True
    return alone


_NOT_OF_GUD = (
    "encoder",
    "decoder",
    "decode_from",
    "name",
    "format_version",
    "named_backbone",
    "condition",
)
