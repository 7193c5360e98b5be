"""The kinds of conditions, each a layer that brings raw values to what a network is given.

An encoded condition tells whether it is there: labels have a null label, all others a last channel
with 1 where there is a value; without one, everything is 0. The measured kinds are standardised,
each channel by its own mean and standard deviation over the data.
"""

from numbers import Real
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from keras_gud.conditioning.forms import Form
from keras_gud.core.arguments import check_integer
from keras_gud.core.fitted_layer import FittedLayer
from keras_gud.core.registry import PACKAGE, Registry
from keras_gud.core.resizing import resizing_weights
from keras_gud.core.streaming_moments import Moments, varies
from keras_gud.core.types import ArrayLike, BatchShape, Shape, Tensor

# Values of images that are measured for their scale.
_ENOUGH = 2**24


def check_rate(name: str, rate: Any) -> float:
    """A probability in [0, 1), or a `ValueError` that names the argument."""
    if not isinstance(rate, Real) or not 0.0 <= float(rate) < 1.0:
        raise ValueError(f"Expected `{name}` in [0, 1). Received: {name}={rate!r}.")
    return float(rate)


class Condition(FittedLayer):
    """Base class: one thing that a model is conditioned on.

    Args:
        dropout: Probability, in [0, 1), that it is hidden in training, so that the model also
            learns to do without. With 0 it is never hidden, and has to be given.
        **kwargs: Arguments of `keras.layers.Layer`.

    Attributes:
        kind: How a network takes it: ``"labels"``, ``"vector"``, ``"sequence"`` or ``"image"``.

    Raises:
        ValueError: for a dropout outside [0, 1).
    """

    kind: ClassVar[str]

    def __init__(self, dropout: float = 0.1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dropout = check_rate("dropout", dropout)

    def form(self, name: str) -> Form:
        """How data hold it, under its name."""
        shape = getattr(self, "row_shape", None)
        row_shape = (None, *shape[1:]) if shape and self.kind == "sequence" else shape
        return Form(name, self.kind, getattr(self, "classes", None), row_shape)

    def encoded_shape(self, data_shape: Shape) -> BatchShape:
        """Shape of the encoded condition of a batch of data of a shape; built."""
        raise NotImplementedError("A Condition implements encoded_shape.")

    def encode(self, value: Tensor, mask: Tensor | None, data_shape: Shape) -> Tensor:
        """Raw values of a batch as networks are given them.

        Args:
            value: ``(batch, *row_shape)``, of any numeric type.
            mask: Of a sequence, bool ``(batch, length)``, or `None`: all its elements count.
            data_shape: Shape of one example of the data.
        """
        raise NotImplementedError("A Condition implements encode.")

    def null(self, encoded: Tensor) -> Tensor:
        """The encoded condition where it is not given, of the shape of `encoded`."""
        return ops.zeros_like(encoded)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "dropout": self.dropout}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Labels(Condition):
    """Class labels, integers ``(n,)`` from 0 to classes - 1.

    Args:
        classes: Number of classes.
        dropout: As in `Condition`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for classes that are no integer >= 1.

    Example:

    >>> Labels(classes=10).form("digit").kind
    'labels'
    """

    kind = "labels"

    def __init__(self, classes: int, dropout: float = 0.1, **kwargs: Any) -> None:
        super().__init__(dropout, **kwargs)
        self.classes = check_integer("classes", classes, 1)

    def build(self, row_shape: Shape = ()) -> None:
        """There is nothing to make."""

    def encoded_shape(self, data_shape: Shape) -> BatchShape:
        """See `Condition`."""
        return (None,)

    def encode(self, value: Tensor, mask: Tensor | None, data_shape: Shape) -> Tensor:
        """The labels as int32."""
        return ops.cast(value, "int32")

    def null(self, encoded: Tensor) -> Tensor:
        """The null label, which is `classes`."""
        return ops.full_like(encoded, self.classes)

    def get_build_config(self) -> dict[str, Any]:
        """The arguments of `build`."""
        return {}

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "classes": self.classes}


class MeasuredCondition(Condition):
    """Numbers whose channels, along the last axis, are standardised."""

    def __init__(self, dropout: float = 0.1, **kwargs: Any) -> None:
        super().__init__(dropout, **kwargs)
        self._moments = Moments()

    def build(self, row_shape: Shape) -> None:
        """Creates mean and scale of the channels.

        Args:
            row_shape: Shape of the value of one example.
        """
        self.row_shape = tuple(int(size) for size in row_shape)
        channels = (self.row_shape[-1],)
        self.centre = self.add_statistic("centre", channels)
        self.scale = self.add_statistic("scale", channels, "ones")
        self.built = True

    def observe(self, value: ArrayLike, mask: ArrayLike | None) -> None:
        """Measures a batch of values, until enough have been seen.

        Args:
            value: ``(batch, *row_shape)``.
            mask: Of a sequence, bool ``(batch, length)``, or `None`.
        """
        value = np.asarray(value)
        rows = value.reshape(-1, value.shape[-1]) if mask is None else value[np.asarray(mask, bool)]
        if len(rows) and self._moments.count * value.shape[-1] < _ENOUGH:
            self._moments.update(rows.astype("float64"))

    def adapt(self) -> None:
        """Takes over mean and standard deviation of what was observed; constants keep their unit.

        Where nothing was, it stays as it is.
        """
        moments, self._moments = self._moments, Moments()
        if moments.count == 0:
            return
        moments.across_processes()
        variance = np.asarray(moments.variance)
        self.centre.assign(moments.mean)
        self.scale.assign(np.sqrt(np.where(varies(moments.mean, variance), variance, 1.0)))

    def encode(self, value: Tensor, mask: Tensor | None, data_shape: Shape) -> Tensor:
        """Standardised, with a last channel that says what counts."""
        value = (ops.cast(value, "float32") - self.centre) / self.scale
        there = ops.ones_like(value[..., :1])
        if mask is not None:
            there = ops.cast(ops.expand_dims(mask, -1), "float32")
        return ops.concatenate([value * there, there], axis=-1)

    def get_build_config(self) -> dict[str, Any] | None:
        """The arguments of `build`."""
        return {"row_shape": list(self.row_shape)} if self.built else None


@keras.saving.register_keras_serializable(package=PACKAGE)
class Vector(MeasuredCondition):
    """Numbers ``(n, k)``: parameters of a simulation, an embedding of a text or an image.

    Args:
        dropout: As in `Condition`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> vector = Vector(); vector.build((2,))
    >>> vector.observe(np.array([[0.0, 1e6], [2.0, 3e6]]), None); vector.adapt()
    >>> ops.convert_to_numpy(vector.encode(np.array([[2.0, 1e6]]), None, (8,))).tolist()
    [[1.0, -1.0, 1.0]]
    """

    kind = "vector"

    def encoded_shape(self, data_shape: Shape) -> BatchShape:
        """See `Condition`."""
        return (None, self.row_shape[0] + 1)


@keras.saving.register_keras_serializable(package=PACKAGE)
class Sequence(MeasuredCondition):
    """Elements ``(n, length, k)``, such as the embedded tokens of a text or the members of a set.

    Networks attend to them. They are told nothing of an element's position: where that matters, it
    belongs in the elements. In data that are dictionaries, an entry ``"<name>_mask"``, ``(n,
    length)``, may say which elements count. Lengths may differ from call to call.

    Args:
        dropout: As in `Condition`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> text = Sequence(); text.build((7, 16))
    >>> text.encoded_shape((28, 28, 1)), text.form("text").shape
    ((None, 7, 17), '(n, length, 16)')
    """

    kind = "sequence"

    def encoded_shape(self, data_shape: Shape) -> BatchShape:
        """See `Condition`."""
        return (None, self.row_shape[0], self.row_shape[1] + 1)


@keras.saving.register_keras_serializable(package=PACKAGE)
class Image(MeasuredCondition):
    """An image, a volume or a series ``(n, *spatial, channels)`` beside data with as many axes.

    Networks are given it as further channels. One of another size is resized, linearly along each
    axis, over several of its positions where it is larger.

    Args:
        dropout: As in `Condition`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> image = Image(); image.build((4, 4, 3))
    >>> tuple(image.encode(np.zeros((2, 4, 4, 3)), None, (8, 8, 1)).shape)
    (2, 8, 8, 4)
    """

    kind = "image"

    def encoded_shape(self, data_shape: Shape) -> BatchShape:
        """See `Condition`.

        Raises:
            ValueError: for data with another number of axes.
        """
        if len(data_shape) != len(self.row_shape):
            raise ValueError(
                f"Expected an image as condition with the axes of the data, {len(data_shape)} with "
                f"the channels. Received: one example of shape {self.row_shape} beside data of "
                f"shape {tuple(data_shape)}."
            )
        return (None, *data_shape[:-1], self.row_shape[-1] + 1)

    def encode(self, value: Tensor, mask: Tensor | None, data_shape: Shape) -> Tensor:
        """Standardised, in the data's resolution, with a last channel of ones."""
        value = super().encode(value, mask, data_shape)
        for axis, size in enumerate(data_shape[:-1], start=1):
            if value.shape[axis] != size:
                weights = ops.convert_to_tensor(resizing_weights(value.shape[axis], size))
                value = ops.moveaxis(ops.tensordot(value, weights, [[axis], [0]]), -1, axis)
        return value


registry = Registry("condition", Condition)
for _kind in (Vector, Sequence, Image):
    registry.add(_kind.kind, _kind)
