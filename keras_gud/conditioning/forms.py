"""What a model is conditioned on, as data hold it: which entries, of which shapes and types.

Light and picklable, for whatever reads data; the layers that encode conditions are in
`conditions`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_gud.backend import to_numpy
from keras_gud.conditioning import class_labels
from keras_gud.core.registry import near_match
from keras_gud.core.types import TensorLike

# Keys under which the data themselves are looked for where a batch is a dictionary.
DATA_KEYS = ("image", "images", "x", "inputs", "data")
# What the entry is called that says which elements of a sequence count.
MASK = "_mask"
_SHAPES = {"vector": "(n, features)", "sequence": "(n, length, features)"}


@dataclass(frozen=True)
class Form:
    """The entries of one condition.

    Attributes:
        name: Its name.
        kind: ``"labels"``, ``"vector"``, ``"sequence"`` or ``"image"``.
        classes: Number of classes, of labels.
        row_shape: Shape of the value of one example, with `None` for the length of a sequence, once
            it is known.
    """

    name: str
    kind: str
    classes: int | None = None
    row_shape: tuple[int | None, ...] | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys under which it is looked for where data are dictionaries."""
        named = self.kind == "labels" and self.name == "label"
        return class_labels.KEYS if named else (self.name,)

    @property
    def shape(self) -> str:
        """The shape that its values must have, in words."""
        if self.row_shape is not None:
            sizes = ("length" if size is None else str(size) for size in self.row_shape)
            return f"(n, {', '.join(sizes)})"
        return _SHAPES.get(self.kind, "(n, *spatial, channels)")

    def check(self, value: Any, n: int) -> np.ndarray:
        """The values of n examples, as NumPy.

        Args:
            value: An array or a tensor.
            n: Number of examples.

        Raises:
            ValueError: for another shape or type, NaN and infinities, or another number of them.
        """
        if self.kind == "labels":
            return class_labels.check(value, n, int(self.classes or 0))
        value = to_numpy(value)
        rank = {"vector": 1, "sequence": 2}.get(self.kind)
        shape = value.shape[1:]
        fits = len(shape) == rank if rank else len(shape) >= 2
        if self.row_shape is not None:
            fits = len(shape) == len(self.row_shape) and all(
                b in (a, None) for a, b in zip(shape, self.row_shape, strict=True)
            )
        if value.dtype.kind not in "fiub" or not fits:
            raise ValueError(
                f"Expected the condition {self.name!r} to be numbers of shape {self.shape}. "
                f"Received: an array of shape {value.shape} and type {value.dtype}."
            )
        if len(value) != n:
            raise ValueError(
                f"Expected one row of the condition {self.name!r} per example. "
                f"Received: {n} examples with {len(value)} rows."
            )
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise ValueError(
                f"Expected finite values of the condition {self.name!r}. Received: NaN or inf."
            )
        return value

    def check_mask(self, mask: Any, value: np.ndarray) -> np.ndarray:
        """The mask of a sequence, bool ``(n, length)``, or a `ValueError`."""
        mask = to_numpy(mask)
        if mask.shape != value.shape[:2] or not np.isin(mask, (0, 1)).all():
            raise ValueError(
                f"Expected {self.name + MASK!r} to have a 1 or True for each element of "
                f"{self.name!r} that counts, of shape {value.shape[:2]}. "
                f"Received: an array of shape {mask.shape} and type {mask.dtype}."
            )
        return mask.astype(bool)


@dataclass(frozen=True)
class Forms:
    """The conditions of a model, in the order of their declaration; false without any."""

    forms: tuple[Form, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.forms)

    @property
    def classes(self) -> int | None:
        """Number of classes of the labels, or `None` where there are none."""
        return next((form.classes for form in self.forms if form.kind == "labels"), None)

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys that are looked for in dictionaries."""
        found = [key for form in self.forms for key in form.keys]
        return (*found, *(form.name + MASK for form in self.forms if form.kind == "sequence"))

    def pick(self, y: Any, entries: Mapping[str, Any]) -> dict[str, TensorLike]:
        """The values of those conditions that are there, by name.

        Args:
            y: What stands beside the data, or `None`: the values of the only condition, or a
                dictionary of several.
            entries: The entries of a dictionary that holds the data.

        Raises:
            ValueError: for a `y` that is no dictionary where there are several conditions, or one
                with unknown keys.
        """
        if y is not None and not isinstance(y, Mapping):
            if len(self.forms) > 1:
                raise ValueError(
                    f"Expected the conditions {self._names()} as a dictionary. "
                    f"Received: {type(y).__name__}."
                )
            y = {self.forms[0].name: y}
        for key in y or {}:
            if key not in self.keys:
                raise ValueError(
                    f"Expected conditions named {self._names()}. Received: {key!r}."
                    f"{near_match(key, self.keys)}"
                )
        found = {}
        for form in self.forms:
            for values in (y or {}, entries):
                keys = (*form.keys, form.name)
                value = next((values[k] for k in keys if values.get(k) is not None), None)
                if value is not None and form.name not in found:
                    found[form.name] = value
                    mask = values.get(form.name + MASK) if form.kind == "sequence" else None
                    found |= {} if mask is None else {form.name + MASK: mask}
        return found

    def prepared(self, values: Mapping[str, TensorLike]) -> dict[str, TensorLike]:
        """Picked values, labels of shape ``(n,)``; also in a `tf.data` graph.

        Raises:
            ValueError: for one-hot labels, or labels that are no integers.
        """
        names = {form.name: form for form in self.forms if form.kind == "labels"}
        return {
            name: class_labels.as_vector(value, int(names[name].classes or 0))
            if name in names
            else value
            for name, value in values.items()
        }

    def check(self, values: Mapping[str, Any], n: int) -> dict[str, np.ndarray]:
        """The values of n examples, as NumPy.

        Args:
            values: From `pick`.
            n: Number of examples.

        Raises:
            ValueError: as `Form.check`.
        """
        found = {}
        for form in self.forms:
            if form.name not in values:
                continue
            found[form.name] = form.check(values[form.name], n)
            mask = values.get(form.name + MASK)
            if mask is not None:
                found[form.name + MASK] = form.check_mask(mask, found[form.name])
        return found

    def absent(self, values: Mapping[str, Any]) -> list[str]:
        """The names of the conditions that are not among picked values."""
        return [form.name for form in self.forms if form.name not in values]

    def missing(self, names: Iterable[str], received: str) -> ValueError:
        """The error to raise for data without some conditions.

        Args:
            names: Of those that are missing.
            received: What was given instead, for the message.
        """
        names = list(names)
        if self.classes is not None and len(self.forms) == 1:
            return class_labels.missing(self.classes, received)
        return ValueError(
            f"Expected the condition {', '.join(map(repr, names))} with the data, because the "
            f"model was made with it: as `y` beside an array ({self._y()}), as batches (x, y[, "
            f"sample_weight]), or in dictionaries under {', '.join(map(repr, names))}. "
            f"Received: {received}."
        )

    def _y(self) -> str:
        return "an array" if len(self.forms) == 1 else f"a dictionary with {self._names()}"

    def _names(self) -> str:
        return ", ".join(repr(form.name) for form in self.forms)
