"""The base class of the networks of this package: inputs, dtypes, checks and configuration."""

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import keras
from keras import ops

from keras_gud.backbones import lora
from keras_gud.backbones.condition_embedding import ConditionEmbedding
from keras_gud.backbones.detail import with_detail
from keras_gud.backbones.embedding import GAMMA_SCALE, LabelEmbedding, NoisingStateEmbedding
from keras_gud.core.arguments import check_integer
from keras_gud.core.data_shape import validate_data_shape
from keras_gud.core.registry import Registry
from keras_gud.core.types import BatchShape, Shape, Tensor


class Backbone(keras.layers.Layer):
    """Base class of the networks of this package, called as ``network([y, tokens], training=...)``.

    `y` is ``(batch, *data_shape)``, `tokens` is the noising state ``(batch, T, F)`` with gamma in
    column 0 and coordinates in the others; the output is float32 of y's shape and is zero before
    training. A subclass implements `create_layers` and `transform`. Any Keras layer that is called
    in the same way can take the place of a `Backbone`.

    Where components are pixels, tokens may be too coarse: with an arbitrary mask for in-painting
    each pixel has a gamma of its own. With `gamma_map` the network is called as ``network([y,
    tokens, gamma])`` with gamma ``(batch, *data_shape)``; where components are wavelets, the
    gammas of every scale at a position are its channels.

    With `classes` the next input is int32 labels ``(batch,)`` in 0 .. classes, where the label
    `classes` is the null label, "no label". Their embedding is added to the global vector. Then
    follow the other `conditions`, float32, whose last channel says whether they are there: of a
    ``"vector"`` ``(batch, k + 1)`` an embedding is added to the global vector, the elements of a
    ``"sequence"`` ``(batch, length, k + 1)`` are attended to, and an ``"image"`` ``(batch,
    *spatial, channels + 1)`` enters as further channels of y.

    Args:
        embedding_dim: Width of the global noising-state vector; tokens have half of it.
        mixers: Number of MLP-Mixer layers that embed the noising state.
        dropout: Dropout rate in [0, 1).
        seed: Integer from which the seeds of all dropout layers derive.
        gamma_map: Whether the gamma of every value is an input too.
        remat: Whether blocks are computed again in the backward pass, to save memory
            (rematerialisation); not with dropout.
        classes: Number of classes, or `None` for a network that is not conditioned on labels.
        conditions: Dict from the names of further conditions to their kinds, ``"vector"``,
            ``"sequence"`` or ``"image"``, in the order of the inputs.
        lora_rank: The rank with which `enable_lora` is called once the network is built, or `None`.
        detail_bands: How many bands of the data's fine detail are further inputs, at unit size
            (`backbones.detail`): faint noise is then learned in fewer steps.
        **kwargs: Arguments of `keras.layers.Layer`. With ``dtype="mixed_bfloat16"`` convolutions
            and dense layers compute in bfloat16; norms, embedding and output stay float32.

    Raises:
        ValueError: for a dropout rate outside [0, 1), dropout with `remat`, classes that are not an
            integer >= 1, unknown conditions, wrong shapes of inputs, or the detail of vectors.
    """

    boundary: Any = "zero"  # an argument of subclasses that know periodic data

    def __init__(
        self,
        embedding_dim: int = 128,
        mixers: int = 1,
        dropout: float = 0.0,
        seed: int = 0,
        gamma_map: bool = False,
        remat: bool = False,
        classes: int | None = None,
        conditions: Mapping[str, str] | None = None,
        lora_rank: int | None = None,
        detail_bands: int = 0,
        **kwargs: Any,
    ) -> None:
        # Autocast would round gamma to bfloat16 before it is embedded.
        super().__init__(autocast=False, **kwargs)
        if not 0 <= dropout < 1:
            raise ValueError(f"Expected 0 <= dropout < 1. Received: dropout={dropout}.")
        self.embedding_dim = embedding_dim
        self.mixers = mixers
        self.dropout = dropout
        self.seed = seed
        self.gamma_map = bool(gamma_map)
        self.remat = bool(remat)
        self.classes = _check_classes(classes)
        self.conditions = dict(conditions or {})
        given = self.conditions, embedding_dim // 2, embedding_dim
        self.condition_embedding = ConditionEmbedding(*given) if self.conditions else None
        self.lora_rank = lora_rank
        self.detail_bands = check_integer("detail_bands", detail_bands, 0)
        if self.remat and dropout > 0:
            # Computed again, a dropout layer would drop other values, and gradients be wrong.
            raise ValueError(f"Expected dropout=0 with remat=True. Received: dropout={dropout}.")

    def create_embedding(self) -> keras.layers.Layer:
        """The layer from tokens ``(batch, T, F)`` to embedded tokens and the global vector.

        The embedded tokens are ``(batch, T, embedding_dim // 2)``, the vector is
        ``(batch, embedding_dim)``.
        """
        return NoisingStateEmbedding(self.embedding_dim // 2, self.embedding_dim, self.mixers)

    def create_layers(
        self, data_shape: Shape, tokens_shape: BatchShape, vector_shape: BatchShape
    ) -> None:
        """Creates and builds the layers of `transform`.

        Args:
            data_shape: Shape of one example, of the input and of the output.
            tokens_shape: ``(None, T, width)``, of the embedded tokens.
            vector_shape: ``(None, embedding_dim)``.

        `channels_in` is the number of channels of y as `transform` is given it, and `context_shape`
        is ``(None, None, width)`` where there are sequences, else `None`.
        """
        raise NotImplementedError("A Backbone implements create_layers.")

    def transform(
        self,
        y: Tensor,
        tokens: Tensor,
        vector: Tensor,
        gamma: Tensor | None = None,
        training: bool | None = None,
        context: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """The network from embedded inputs to its output.

        Args:
            y: ``(batch, *data_shape)`` in the compute dtype, with the channels of its detail and
                of images that condition the network, if any, behind its own.
            tokens: Embedded tokens, float32 ``(batch, T, width)``.
            vector: Global vector, float32 ``(batch, embedding_dim)``.
            gamma: With `gamma_map` those of every value, float32 ``(batch, *spatial,
                gamma_channels)``; else `None`.
            training: As in Keras.
            context: Of a network with sequences among its conditions, their embedded elements,
                ``(batch, length, width)``, and a mask ``(batch, length)``, 1 for those that count.

        Returns:
            Tensor ``(batch, *data_shape)``.
        """
        raise NotImplementedError("A Backbone implements transform.")

    def build(self, input_shape: BatchShape) -> None:
        """Builds for the shapes of the inputs, ``[(batch, *data_shape), (batch, T, F), ...]``."""
        # When a model is loaded, Keras builds the network before the model builds its parts.
        if self.built:
            return
        y_shape, tokens_shape, *more = self._check_inputs(input_shape)
        self.data_shape = validate_data_shape(y_shape[1:])
        self.tokens_shape = tuple(tokens_shape[1:])
        self.gamma_channels = more[0][-1] if self.gamma_map else 0
        if self.detail_bands:
            require_spatial_axes(self.data_shape)
        # Of the data and their detail.
        self.own_channels = self.data_shape[-1] * (1 + self.detail_bands)
        self.channels_in, self.context_shape = self.own_channels, None
        if self.condition_embedding is not None:
            self.condition_embedding.build(self._conditions_in(more))
            self.channels_in += self.condition_embedding.image_channels
            self.context_shape = self.condition_embedding.context_shape
        if len(self.tokens_shape) != 2 or None in self.tokens_shape:
            raise ValueError(
                "Expected tokens of shape (batch, T, F) with T and F known. "
                f"Received: tokens.shape={tuple(tokens_shape)}."
            )
        self.embedding = self.create_embedding()
        self.embedding.build((None, *self.tokens_shape))
        if self.classes is not None:
            self.label_embedding = LabelEmbedding(self.classes, self.embedding_dim)
            self.label_embedding.build((None,))
        tokens_embedded = (None, self.tokens_shape[0], self.embedding_dim // 2)
        self.create_layers(self.data_shape, tokens_embedded, (None, self.embedding_dim))
        if self.lora_rank is not None:
            lora.add_factors(self, self.lora_rank)

    # No property: Keras would save the layers under its name.
    def lora_layers(self) -> list[keras.layers.Layer]:
        """The layers with factors that are made again when the network is loaded."""
        return [] if self.lora_rank is None else list(lora.adaptable_layers(self))

    def enable_lora(self, rank: int) -> None:
        """Freezes the network but for factors of low rank (LoRA), which are saved with it.

        ``x W`` becomes ``x (W + A B)`` in all layers of attention, and in the MLPs of transformers
        and of `MLP`. B starts at zero: nothing changes before training.

        Args:
            rank: The rank of A B, at least 1.

        Raises:
            ValueError: for a rank that is no integer >= 1, a network that is not built, that has no
                such layer, or for which it has been called before.
        """
        if not self.built:
            raise ValueError(
                "Expected a network that has been built before LoRA is enabled. Call "
                "`model.adapt(x)` or load a model first. Received: one without weights."
            )
        lora.add_factors(self, rank)
        self.lora_rank = int(rank)

    def with_gamma(self, y: Tensor, gamma: Tensor | None) -> Tensor:
        """The data with gamma, if it is given, as further channels; in the compute dtype.

        Those of images that condition the network stay last.
        """
        if gamma is None:
            return y
        gamma, channels = ops.cast(gamma / GAMMA_SCALE, y.dtype), self.own_channels
        return ops.concatenate([y[..., :channels], gamma, y[..., channels:]], axis=-1)

    def call(self, inputs: Sequence[Tensor], training: bool | None = None) -> Tensor:
        """The output of the network, float32 ``(batch, *data_shape)``.

        Args:
            inputs: ``[y, tokens]``, then gamma with `gamma_map`, labels with `classes`, and the
                `conditions`.
            training: As in Keras.
        """
        y, tokens, *more = self._check_inputs(inputs)
        if tuple(y.shape[1:]) != self.data_shape or tuple(tokens.shape[1:]) != self.tokens_shape:
            raise ValueError(
                f"Expected y of shape (batch, {str(self.data_shape)[1:-1]}) and tokens of shape "
                f"(batch, {str(self.tokens_shape)[1:-1]}), as built. "
                f"Received: y.shape={tuple(y.shape)}, tokens.shape={tuple(tokens.shape)}."
            )
        embedded, vector = self.embedding(ops.cast(tokens, "float32"))
        if self.classes is not None:
            labels = more[int(self.gamma_map)]
            if len(labels.shape) != 1:
                raise ValueError(
                    "Expected labels of shape (batch,). "
                    f"Received: labels.shape={tuple(labels.shape)}."
                )
            vector = vector + self.label_embedding(labels)
        gamma = ops.cast(more[0], "float32") if self.gamma_map else None
        y = with_detail(y, self.detail_bands, self.boundary, self.compute_dtype)
        if self.condition_embedding is None:
            return ops.cast(self.transform(y, embedded, vector, gamma, training), "float32")
        images, more_vector, context = self.condition_embedding(self._conditions_in(more))
        y = ops.concatenate([y, *(ops.cast(x, y.dtype) for x in images)], axis=-1)
        vector = vector + more_vector
        output = self.transform(y, embedded, vector, gamma, training, context=context)
        return ops.cast(output, "float32")

    def _conditions_in(self, more: Sequence[Any]) -> list[Any]:
        """Conditions (or their shapes) but labels, of all inputs after the tokens."""
        return list(more[int(self.gamma_map) + int(self.classes is not None) :])

    def _check_inputs(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """Returns the inputs or their shapes; a `ValueError` for another number than expected."""
        optional = {"gamma": self.gamma_map, "labels": self.classes is not None}
        names = ["y", "tokens", *(name for name, is_input in optional.items() if is_input)]
        names += self.conditions
        if not isinstance(inputs, (list, tuple)) or len(inputs) != len(names):
            raise ValueError(f"Expected a list [{', '.join(names)}]. Received: inputs={inputs}.")
        return inputs

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "embedding_dim": self.embedding_dim,
            "mixers": self.mixers,
            "dropout": self.dropout,
            "seed": self.seed,
            "gamma_map": self.gamma_map,
            "remat": self.remat,
            "classes": self.classes,
            "conditions": self.conditions,
            "lora_rank": self.lora_rank,
            "detail_bands": self.detail_bands,
        }


def require_spatial_axes(data_shape: Shape) -> None:
    """Raises a `ValueError` for vectors, of which some networks can make nothing."""
    if len(data_shape) == 1:
        raise ValueError(
            "Expected data with spatial axes and channels; use `MLP` for vectors. "
            f"Received: data_shape={data_shape}."
        )


def _check_classes(classes: Any) -> int | None:
    integer = isinstance(classes, Integral) and not isinstance(classes, bool)
    if classes is not None and not (integer and int(classes) >= 1):
        raise ValueError(
            f"Expected `classes` to be an integer >= 1 or None. Received: classes={classes!r}."
        )
    return None if classes is None else int(classes)


# Any Keras layer or model may be given, so the base class is not `Backbone`.
registry = Registry("backbone", keras.layers.Layer)
