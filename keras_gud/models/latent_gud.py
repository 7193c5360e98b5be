"""`LatentGUD`: a diffusion model of what an encoder makes of the data."""

import keras
import numpy as np

from keras_gud import presets
from keras_gud.backend import to_numpy
from keras_gud.core.arguments import check_integer
from keras_gud.core.registry import PACKAGE
from keras_gud.data import encoded
from keras_gud.data.arrays import BATCH_SIZE
from keras_gud.data.checks import check_batch, data_kind
from keras_gud.data.source import Source
from keras_gud.models.autoencoder import Autoencoder
from keras_gud.models.gud import GUD
from keras_gud.priors import Isotropic


@keras.saving.register_keras_serializable(package=PACKAGE)
class LatentGUD(GUD):
    """Latent diffusion (Rombach et al., arXiv:2112.10752): a `GUD` between encoder and decoder.

    `fit` and `evaluate` encode what they are given, `sample` decodes; basis, prior and schedule
    are those of the latents, and so is all that the docstrings of `GUD` call data inside the model
    (`data_shape`, `denoise`, a `guide`). Only the diffusion model is trained: encoder and decoder
    are called for inference and are no part of `weights`; a saved file holds them all the same.

    The latents need no scale factor: the prior is by default ``priors.Isotropic(scale=None)``,
    which measures their mean and one standard deviation of all components and divides by it, as
    the original does (its appendix G).

    A likelihood of the data is not defined, since the decoder gives no density; `log_prob`,
    `bits_per_dim`, `elbo` and `predict` raise an error. Those of latents are methods of
    `diffusion()`, and so are the tasks, on latents. `encode` and `decode` are of the probability
    flow, from data to noise and back through both maps; the autoencoder alone is `to_latents` and
    `from_latents`.

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

    serialized_parts = (*GUD.serialized_parts, "encoder", "decoder")

    def __init__(self, encoder, decoder, *, prior=None, preset=None, **kwargs):
        autoencoder = Autoencoder(encoder, decoder)
        parts = {} if preset is None else presets.get(preset)
        if prior is None and "prior" not in parts:
            prior = Isotropic(scale=None)
        super().__init__(prior=prior, preset=parts, **kwargs)
        self._autoencoder = autoencoder
        self._session.diffusion = None

    @property
    def encoder(self):
        """The encoder; Keras saves it with the model, as a public attribute."""
        return self._autoencoder.encoder

    @property
    def decoder(self):
        """The decoder, likewise."""
        return self._autoencoder.decoder

    # -- latents ----------------------------------------------------------------------------------

    def to_latents(self, x, batch_size: int | None = None, verbose: int = 0) -> np.ndarray:
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
        self._require_built("it encodes")
        x = to_numpy(x)
        self._autoencoder.check(x)
        return self._in_batches(self._autoencoder.encode, x, batch_size, verbose)

    def from_latents(self, latents, batch_size: int | None = None) -> np.ndarray:
        """What the decoder makes of latents.

        Args:
            latents: Array ``(n, *latent_shape)``.
            batch_size: Examples decoded at a time; default 128.

        Returns:
            Array ``(n, ...)`` of data in their own units, uint8 where the model was fitted on that.

        Raises:
            ValueError: before the model knows its data, or for other shapes.
        """
        self._require_built("it decodes")
        latents = np.asarray(to_numpy(latents), "float32")
        check_batch(latents, self._autoencoder.latent_shape, "float")
        return self._in_batches(self._autoencoder.decode, latents, batch_size)

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
        self._require_built("its diffusion model is used")
        if self._session.diffusion is None:
            parts = {name: getattr(self, name) for name in (*GUD.serialized_parts, "region")}
            config = {k: v for k, v in self.get_config().items() if k not in _NOT_OF_GUD}
            alone = GUD(**(config | parts))
            for name in _SHARED:
                setattr(alone, name, getattr(self, name))
            self._session.diffusion = alone
        return self._session.diffusion

    def _in_batches(self, function, x, batch_size, verbose=0) -> np.ndarray:
        size = BATCH_SIZE if batch_size is None else batch_size
        size = check_integer("batch_size", size, 1)
        starts = range(0, len(x), size)
        if verbose:
            print("Encoding the data")
        bar = keras.utils.Progbar(len(starts), verbose=verbose, unit_name="batch")
        results = []
        for i, start in enumerate(starts):
            results.append(function(x[start : start + size]))
            bar.update(i + 1)
        return np.concatenate(results)

    # -- where data come in and go out ------------------------------------------------------------

    def open_data(
        self,
        x,
        y=None,
        sample_weight=None,
        batch_size=None,
        *,
        shuffle: bool = False,
        required: bool = True,
        verbose: int = 0,
    ) -> Source:
        """The latents of data in any form that `fit` takes; arguments as in `GUD`.

        Those of an array are computed at once and held, those of a stream as it is read.
        """
        raw = super().open_data(x, y, sample_weight, batch_size, required=required)
        if not self.built:
            self._autoencoder.open(raw.first.shape[1:], data_kind(raw.first))
            self.data_shape = self._autoencoder.latent_shape
        raw.guard(self._autoencoder.check)
        if raw.is_array:
            given = raw.keras_data
            x = self._in_batches(self._autoencoder.encode, given.x, batch_size, verbose)
            y, sample_weight = given.label, given.sample_weight
        else:
            x, y, sample_weight = encoded.stream(raw, self._autoencoder.encode), None, None
        kwargs = {"shuffle": shuffle, "required": required}
        return super().open_data(x, y, sample_weight, batch_size, **kwargs)

    def to_data(self, z0, batch_size: int = 256) -> np.ndarray:
        """Components of latents to data in their own units."""
        return self.from_latents(super().to_data(z0, batch_size), batch_size)

    def encode(self, x, *args, batch_size: int | None = None, **kwargs) -> np.ndarray:
        """Data to noise by the probability flow of their latents; see `GUD.encode`."""
        latents = self.to_latents(x, batch_size)
        return super().encode(latents, *args, batch_size=batch_size, **kwargs)

    # -- likelihoods ------------------------------------------------------------------------------

    def compile(self, *args, **kwargs):
        """As `GUD.compile`, without likelihood metrics."""
        super().compile(*args, **kwargs)
        if self._session.metrics:
            self._session.metrics = []
            raise _no_likelihood()

    def _open_for_evidence(self, x, labels, batch_size):
        raise _no_likelihood()

    # -- saving -----------------------------------------------------------------------------------

    def get_build_config(self):
        """As `GUD`, and the raw data's shape and kind."""
        config = super().get_build_config()
        raw = {"data_shape": self._autoencoder.data_shape, "kind": self._autoencoder.kind}
        return None if config is None else config | {"raw": raw}

    def build_from_config(self, config):
        """Builds from `get_build_config`."""
        self._autoencoder.open(**config["raw"])
        super().build_from_config(config)


# What makes two models one, beside the arguments of the constructor.
_SHARED = ("tokens", "moments", "ema", "network", "eval_index", "kind", "built")
_NOT_OF_GUD = ("encoder", "decoder", "name", "format_version")


def _no_likelihood() -> ValueError:
    return ValueError(
        "Expected a question about latents: a decoder gives no density, so that the likelihood of "
        "data is not defined. Received: one about data. Ask the diffusion model, e.g. "
        "model.diffusion().bits_per_dim(model.to_latents(x))."
    )
