"""Encoders and a decoder that are used as they are: from raw data to latents and back."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud import backend
from keras_gud.backbones.contract import training_argument
from keras_gud.core.data_shape import validate_data_shape
from keras_gud.core.types import Shape
from keras_gud.data.checks import check_batch
from keras_gud.diffusion.data_scaling import DataScaling
from keras_gud.models.latent_streams import LatentStreams, require_layer


class Autoencoder:
    """Frozen Keras layers, called for inference with whole batches of raw data.

    It is a plain object, so that a model that owns one does not track the layers' weights: they are
    not trained, not averaged, and on jax not carried through the training step.

    Args:
        encoder: Keras layer or model from floats ``(batch, *data_shape)`` to latents, one tensor
            ``(batch, *latent_shape)``. 8-bit data come as ``(x + 1/2)/128 - 1``, within (-1, 1).
            Or several, a list or a dict by name, whose latents are joined (`LatentStreams`).
        decoder: Keras layer or model from latents back to such floats.
        decode_from: As in `LatentStreams`.

    Attributes:
        data_shape: Shape of one example of raw data, once `open` has seen some.
        kind: ``"uint8"`` or ``"float"``.
        latent_shape: Shape of one latent, joined.
        streams: The `LatentStreams`.

    Raises:
        TypeError: for anything but Keras layers and models.
        ValueError: as `LatentStreams`.

    Example:

    >>> pair = Autoencoder(keras.layers.Rescaling(0.5), keras.layers.Rescaling(2.0))
    >>> x = np.array([[0.0, 3.0]], "float32")
    >>> pair.open(x.shape[1:], "float")
    >>> pair.encode(x).tolist(), pair.decode(pair.encode(x)).tolist()
    ([[0.0, 1.5]], [[0.0, 3.0]])
    """

    def __init__(self, encoder: Any, decoder: keras.layers.Layer, decode_from: Any = None) -> None:
        self.streams = LatentStreams(encoder, decode_from)
        require_layer("decoder", decoder)
        self.encoder, self.decoder = encoder, decoder
        # Known once `open` has been called.
        self.data_shape: Any = None
        self.kind: Any = None
        self.latent_shape: Any = None
        self._encode = [_inference(layer) for layer in self.streams.layers]
        self._decode = _inference(decoder)

    def open(self, data_shape: Shape, kind: str) -> None:
        """Settles what the data are; runs the layers on shapes alone, so that wrong ones fail.

        Args:
            data_shape: Shape of one example.
            kind: ``"uint8"`` or ``"float"``.

        Raises:
            ValueError: if the encoder cannot be called with such data or does not return one
                tensor, or the decoder does not return the shape of the data.
        """
        data_shape = validate_data_shape(data_shape)
        streams = self.streams
        names = map(streams.argument, range(len(streams.layers)))
        pairs = zip(names, streams.layers, strict=True)
        streams.open([_latent_shape(name, layer, data_shape) for name, layer in pairs])
        given = streams.decoded_shapes
        decoded = _output("decoder", self.decoder, given)
        shape = tuple(getattr(decoded, "shape", ()))
        if shape != (2, *data_shape):
            chosen = f", those of {streams.decoded_names}" if streams.several else ""
            raise ValueError(
                f"Expected the `decoder` to return the shape of the data, "
                f"{_batch_of(data_shape)}, for latents of shape {_batch_of(given)}{chosen}. "
                f"Received: an output of shape {shape} for a batch of 2."
            )
        self.data_shape, self.kind, self.latent_shape = data_shape, kind, streams.shape

    def check(self, x: np.ndarray) -> None:
        """Raises a `ValueError` unless x is a usable batch of raw data."""
        check_batch(x, self.data_shape, self.kind)

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Raw data to latents, float32 ``(batch, *latent_shape)``."""
        floats = DataScaling(self.kind).expected(x)
        return self.streams.join([encode(floats) for encode in self._encode])

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Latents to raw data: uint8 where the data were, else float32."""
        scaling = DataScaling(self.kind)
        return scaling.rounded(scaling.to_raw(self._decode(self.streams.for_decoder(latents))))

    def decoded(self, latents: Any) -> Any:
        """As `decode`, of a tensor in a graph."""
        given = self.streams.for_decoder(latents)
        phi = self.decoder(given, **training_argument(self.decoder, False))
        return DataScaling(self.kind).from_phi(ops.cast(phi, "float32"))


def _latent_shape(name: str, encoder: keras.layers.Layer, data_shape: Shape) -> Shape:
    """The shape of one latent of an encoder."""
    latents = _output(name, encoder, data_shape)
    if not hasattr(latents, "shape"):
        raise ValueError(
            f"Expected the `{name}` to return the latent, one tensor. Received: an output of "
            f"type {type(latents).__name__}. Of a variational encoder take the mean, e.g. "
            "keras.Model(encoder.input, encoder.output[0])."
        )
    return validate_data_shape(latents.shape[1:])


def _output(name, layer, shape):
    """The symbolic output for two examples of a shape, or a list; builds the layer if need be."""
    try:
        several = isinstance(shape, list)
        inputs = [keras.KerasTensor((2, *s), "float32") for s in (shape if several else [shape])]
        return layer(inputs if several else inputs[0], **training_argument(layer, False))
    except Exception as error:
        raise ValueError(
            f"Expected the `{name}` to be called with floats of shape {_batch_of(shape)}. "
            f"Received: {type(layer).__name__}, which raised {type(error).__name__}: {error}"
        ) from error


def _batch_of(shape) -> str:
    """A shape, or a list of them, in words."""
    if isinstance(shape, list):
        return " and ".join(map(_batch_of, shape))
    return f"(batch, {', '.join(map(str, shape))})"


def _inference(layer):
    """A compiled function from one NumPy batch, or a list, to the layer's output, float32."""

    @backend.compile
    def call(trainable, fixed, x):
        output, _ = layer.stateless_call(trainable, fixed, x, **training_argument(layer, False))
        return ops.cast(output, "float32")

    def run(x):
        # Weights are arguments: those of now, also if the layer has been trained or loaded since.
        groups = layer.trainable_variables, layer.non_trainable_variables
        trainable, fixed = ([v.value for v in group] for group in groups)
        x = keras.tree.map_structure(lambda part: np.asarray(part, "float32"), x)
        return ops.convert_to_numpy(call(trainable, fixed, x))

    return run
