"""`Conditions`: all that a model is conditioned on beside the noising state, and guidance by it.

    guidance w           eps_without + w (eps_with - eps_without)
    guidance by name     eps_0 + w_1 (eps_1 - eps_0) + w_2 (eps_2 - eps_1) + ...

where eps_0 is given none of the named conditions, eps_1 the first of them too, and so on. Denoisers
are called with a dict of encoded conditions, by name, and of what guides them.
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud.conditioning.condition import (
    Condition,
    Labels,
    MeasuredCondition,
    check_rate,
    registry,
)
from keras_gud.conditioning.forms import DATA_KEYS, MASK, Forms
from keras_gud.core.fitted_layer import FittedLayer
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import BatchShape, Shape, Tensor, TensorLike

# Entries beside the encoded conditions: strengths of guidance, and where in time they hold.
GUIDANCE, INTERVAL = "guidance", ("guidance_from", "guidance_until")
_RESERVED = (*DATA_KEYS, GUIDANCE, "from", "until")


@keras.saving.register_keras_serializable(package=PACKAGE)
class Conditions(FittedLayer):
    """The conditions of a model, by name.

    Args:
        kinds: Dict from names to `Condition`s.
        **kwargs: Arguments of `keras.layers.Layer`.

    Attributes:
        names: The names, labels first.
        kinds: The `Condition`s in the same order.
        data_shape: Shape of one example of the data, once it is built.

    Raises:
        ValueError: for several labels, or a name that data have for themselves.
    """

    data_shape: Shape

    def __init__(self, kinds: Mapping[str, Condition], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.names = tuple(sorted(kinds, key=lambda name: not isinstance(kinds[name], Labels)))
        self.kinds = [kinds[name] for name in self.names]
        if sum(isinstance(kind, Labels) for kind in self.kinds) > 1:
            raise ValueError(
                "Expected at most one condition of labels; give further ones as vectors, one-hot. "
                f"Received: conditions {self.names}."
            )
        for name in self.names:
            if not isinstance(name, str) or name in _RESERVED or name.endswith(MASK):
                raise ValueError(
                    f"Expected names of conditions other than {_RESERVED}, not ending in {MASK!r}. "
                    f"Received: {name!r}."
                )

    @classmethod
    def of(cls, condition: Any, classes: int | None, label_dropout: float) -> "Conditions":
        """The conditions that a model is made with.

        Args:
            condition: `None`, or one condition, whose name is then ``"condition"`` (of labels
                ``"label"``), or a dict of several by name: each an instance, a config or a name,
                ``"vector"``, ``"sequence"`` or ``"image"``.
            classes: Number of classes, for a condition ``"label"``, or `None`.
            label_dropout: Its dropout.

        Raises:
            ValueError: for unknown names.
        """
        found: dict[str, Condition] = {}
        check_rate("label_dropout", label_dropout)
        if classes is not None:
            found["label"] = Labels(classes, label_dropout)
        if isinstance(condition, dict) and "class_name" not in condition:
            found |= {name: registry.get(kind) for name, kind in condition.items()}
        elif condition is not None:
            kind = registry.get(condition)
            found["label" if isinstance(kind, Labels) else "condition"] = kind
        return cls(found)

    def items(self) -> list[tuple[str, Condition]]:
        """Pairs of names and kinds, in order."""
        return list(zip(self.names, self.kinds, strict=True))

    def arguments(self) -> dict[str, Any]:
        """The arguments of a model that is made with these, see `of`."""
        kinds = dict(self.items())
        label = kinds.pop("label", None)
        if not isinstance(label, Labels):  # of another name, or none
            kinds |= {} if label is None else {"label": label}
            label = None
        return {
            "classes": None if label is None else label.classes,
            "label_dropout": 0.1 if label is None else label.dropout,
            "condition": keras.saving.serialize_keras_object(kinds) if kinds else None,
        }

    @property
    def forms(self) -> Forms:
        """How data hold them."""
        return Forms(tuple(kind.form(name) for name, kind in self.items()))

    @property
    def classes(self) -> int | None:
        """Number of classes of the labels, or `None`."""
        return self.forms.classes

    @property
    def network_kinds(self) -> dict[str, str]:
        """Names and kinds of all but labels, in the order in which a network is given them."""
        return {name: kind.kind for name, kind in self.items() if kind.kind != "labels"}

    # -- building and measuring -------------------------------------------------------------------

    def build(self, data_shape: Shape, row_shapes: Mapping[str, Shape]) -> None:
        """Builds all kinds.

        Args:
            data_shape: Shape of one example of the data.
            row_shapes: Shapes of the values of one example, by name; of labels ``()``.

        Raises:
            ValueError: where one is missing, or does not go with the data.
        """
        self.data_shape = tuple(data_shape)
        for name, kind in self.items():
            if name not in row_shapes and kind.kind != "labels":
                raise self.forms.missing([name], "data without it")
            if not kind.built:
                kind.build(row_shapes.get(name, ()))
            kind.encoded_shape(self.data_shape)
        self.built = True

    def observe(self, values: Mapping[str, np.ndarray]) -> None:
        """Measures the raw values of a batch, by name."""
        for name, kind in self.items():
            if isinstance(kind, MeasuredCondition) and name in values:
                kind.observe(values[name], values.get(name + MASK))

    def adapt(self) -> None:
        """Takes over what was observed."""
        for kind in self.kinds:
            if isinstance(kind, MeasuredCondition):
                kind.adapt()

    def network_shapes(self) -> dict[str, BatchShape]:
        """Shapes of what a network is given, by name, in that order."""
        return {name: kind.encoded_shape(self.data_shape) for name, kind in self.items()}

    def get_build_config(self) -> dict[str, Any] | None:
        """The arguments of `build`."""
        if not self.built:
            return None
        measured = [(n, kind) for n, kind in self.items() if isinstance(kind, MeasuredCondition)]
        shapes = {name: list(kind.row_shape) for name, kind in measured}
        return {"data_shape": list(self.data_shape), "row_shapes": shapes}

    # -- what a denoiser is given -----------------------------------------------------------------

    def encode(self, values: Mapping[str, TensorLike]) -> dict[str, Tensor]:
        """Raw values of a batch, as `Forms.pick` finds them, encoded, by name."""
        return {
            name: kind.encode(
                ops.convert_to_tensor(values[name]), values.get(name + MASK), self.data_shape
            )
            for name, kind in self.items()
            if name in values
        }

    def for_training(
        self, values: Mapping[str, TensorLike], uniform: Callable[[Shape], Tensor] | None
    ) -> dict[str, Tensor]:
        """The encoded conditions of a batch in the loss.

        Each is hidden with the probability of its dropout. Half of the times all are hidden
        together, so that the model learns to do without any of them.

        Args:
            values: Raw values, by name.
            uniform: In training, a function of a shape that draws uniform numbers ``(batch,
                *shape)``; else `None`, and nothing is hidden.
        """
        encoded = self.encode(values)
        if uniform is None or not encoded:
            return encoded
        together = uniform(()) if len(self.names) > 1 else None
        for name, kind in self.items():
            hidden = uniform(()) < kind.dropout
            if together is not None:
                # A number below 1/2 decides for all, twice itself being uniform.
                hidden = ops.where(together < 0.5, 2.0 * together < kind.dropout, hidden)
            encoded[name] = _where(hidden, kind.null(encoded[name]), encoded[name])
        return encoded

    def network_inputs(self, encoded: Mapping[str, Tensor], batch: int | Tensor) -> list[Tensor]:
        """The last inputs of a network; what is not given is null.

        Args:
            encoded: Encoded conditions of one row or `batch`, by name.
            batch: Size of the batch.

        Raises:
            ValueError: for conditions that the model was made without.
        """
        unknown = [name for name in encoded if name not in self.names]
        if unknown:
            raise ValueError(
                f"Expected conditions among {self.names}. Received: {', '.join(unknown)}."
            )
        shapes = self.network_shapes() if self.built else {}
        inputs = []
        for name, kind in self.items():
            if name in encoded:
                value = encoded[name]
            else:
                dtype = "int32" if kind.kind == "labels" else "float32"
                value = kind.null(ops.zeros((1, *shapes[name][1:]), dtype))
            inputs.append(ops.broadcast_to(value, (batch, *value.shape[1:])))
        return inputs

    def evaluations(
        self, condition: Mapping[str, Tensor], batch: int | Tensor
    ) -> tuple[list[list[Tensor]], list[Tensor]]:
        """The evaluations of the network that guidance needs.

        Args:
            condition: What a denoiser is called with beside the state, without an interval; see
                `given.sampling_condition`.
            batch: Size of the batch.

        Returns:
            Inputs for each evaluation, as of `network_inputs`, the one that is given least first,
            and the strength of each one after the first, ``(batch or 1,)``.
        """
        encoded = {k: v for k, v in condition.items() if not k.startswith(GUIDANCE)}
        if GUIDANCE in condition:
            pair = [self.network_inputs(part, batch) for part in ({}, encoded)]
            return pair, [condition[GUIDANCE]]
        guided = [name for name in self.names if f"{GUIDANCE}_{name}" in condition]
        shown = {name: part for name, part in encoded.items() if name not in guided}
        found = [self.network_inputs(shown, batch)]
        for name in guided:
            shown |= {name: encoded[name]}
            found.append(self.network_inputs(shown, batch))
        return found, [condition[f"{GUIDANCE}_{name}"] for name in guided]


def _where(mask: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return ops.where(ops.reshape(mask, (-1, *[1] * (len(a.shape) - 1))), a, b)
