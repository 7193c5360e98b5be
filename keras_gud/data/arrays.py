"""Arrays in memory: their batches, and the conditions beside them."""

from collections.abc import Mapping
from numbers import Real
from typing import Any

import keras
import numpy as np

from keras_gud.backend import to_numpy
from keras_gud.conditioning import class_labels
from keras_gud.conditioning.forms import Forms
from keras_gud.core.types import Array
from keras_gud.data.batch import (
    KerasBatch,
    pick,
    pick_conditions,
    pick_label,
    with_conditions,
)
from keras_gud.data.epoch_order import EpochOrder

BATCH_SIZE = 128  # the paper's (app. B)


class ArrayBatches(keras.utils.PyDataset):
    """Batches of an array in memory.

    The order is a function of the seed and of the attribute `epoch` alone, which `fit` sets.

    Args:
        x: Array ``(n, *data_shape)``.
        sample_weight: `None` or array ``(n,)``.
        batch_size: Examples per batch; the last batch may be smaller.
        shuffle: Whether to shuffle, anew in every epoch.
        seed: Seed of the order, >= 0.
        conditions: Arrays of n rows, by name.
        part, fill: See `EpochOrder`.

    Example:

    >>> batches = ArrayBatches(np.zeros((5, 3)), batch_size=2)
    >>> batches.num_batches, batches[2][0].shape
    (3, (1, 3))
    """

    def __init__(
        self,
        x: Array,
        sample_weight: Array | None = None,
        batch_size: int = BATCH_SIZE,
        shuffle: bool = False,
        seed: int = 0,
        conditions: Mapping[str, Array] | None = None,
        part: tuple[int, int] = (0, 1),
        fill: bool = False,
    ) -> None:
        super().__init__()
        self.in_order = False  # batches can be read in any order
        self.x, self.sample_weight, self.conditions = x, sample_weight, conditions or {}
        self.order, self.epoch = EpochOrder(len(x), batch_size, shuffle, seed, part, fill), 0

    @property
    def num_batches(self) -> int:
        """Number of batches of an epoch."""
        return len(self.order)

    def __getitem__(self, index: int) -> KerasBatch:
        rows = self.order.rows(index, self.epoch)
        given = {name: values[rows] for name, values in self.conditions.items()}
        x = with_conditions(self.x[rows], given)
        if self.sample_weight is None:
            return (x,)
        weight = self.sample_weight[rows]
        return x, weight, weight


def is_array(x: Any) -> bool:
    """Whether x is an array, a tensor or a dict of them, rather than something that yields batches.

    Example:

    >>> is_array(np.zeros(3)), is_array({"image": np.zeros(3)}), is_array(iter([np.zeros(3)]))
    (True, True, False)
    """
    return isinstance(x, dict) or (hasattr(x, "shape") and hasattr(x, "dtype"))


def checked_conditions(
    x: Any, y: Any, forms: Forms, required: bool = True
) -> dict[str, np.ndarray]:
    """The conditions of the examples of an array by name, checked.

    Args:
        x: Data of any kind; a stream has its conditions in its batches.
        y: Conditions beside x; or `None`, where x may be a dict that holds them.
        forms: Those of the model.
        required: Whether an array must have all of them.

    Returns:
        Arrays of n rows; empty for a stream.

    Raises:
        ValueError: for conditions that are missing, unusable, or beside a stream.

    Example:

    >>> from keras_gud.conditioning.forms import Form, Forms
    >>> forms = Forms((Form("label", "labels", classes=10),))
    >>> checked_conditions(np.zeros((2, 4)), [3, 0], forms)["label"].tolist()
    [3, 0]
    """
    if not forms:
        return {}
    if not is_array(x):
        if y is not None:
            what = "labels" if forms.classes is not None else "conditions"
            raise ValueError(
                f"Expected {what} beside an array only; data sets carry them in their batches, "
                f"(x, y). Received: {what} and {type(x).__name__}."
            )
        return {}
    found = forms.prepared(pick_conditions((x, y), forms))
    absent = forms.absent(found)
    if absent and required:
        raise forms.missing(absent, "y=None" if y is None else "data without it")
    return forms.check(found, len(pick(x)))


def class_weights(
    x: Any, y: Any, class_weight: dict[int, float], sample_weight: Any = None
) -> np.ndarray:
    """The weight of every example: that of its class, times its own.

    Args:
        x: An array, or a dict that may hold the labels.
        y: Labels beside x, integers ``(n,)``, or `None`.
        class_weight: Dict from class to weight >= 0; classes that are not in it have weight 1.
        sample_weight: `None` or weights ``(n,)``.

    Returns:
        float32 ``(n,)``.

    Raises:
        ValueError: for weights that are no numbers >= 0, data that are no array, or missing labels.

    Example:

    >>> class_weights(np.zeros((3, 2)), [0, 1, 0], {0: 2.0}).tolist()
    [2.0, 1.0, 2.0]
    """
    valid = isinstance(class_weight, dict) and all(
        isinstance(w, Real) and 0.0 <= w < float("inf") for w in class_weight.values()
    )
    if not valid:
        raise ValueError(
            "Expected `class_weight` to be a dict from classes to numbers >= 0. "
            f"Received: class_weight={class_weight!r}."
        )
    if not is_array(x):
        raise ValueError(
            "Expected `class_weight` beside arrays only; data sets carry the weights of their "
            f"examples, (x, y, sample_weight). Received: class_weight and {type(x).__name__}."
        )
    y = pick_label((x, y))
    if y is None:
        raise ValueError("Expected labels beside `class_weight`. Received: y=None.")
    most = 1 + max(int(np.max(y, initial=0)), *class_weight)
    y = class_labels.check(y, len(pick(x)), most)
    table = np.ones(most, "float32")
    table[list(class_weight)] = list(class_weight.values())
    return table[y] if sample_weight is None else table[y] * to_numpy(sample_weight)


def split(x: Any, sample_weight: Any, fraction: float, *more: Any) -> tuple[tuple[Any, ...], ...]:
    """Splits arrays into a training and a validation part, the last `fraction` of the examples.

    Args:
        x: Array, or dict that holds it.
        sample_weight: Array or `None`.
        fraction: Fraction of the examples to hold out.
        *more: Further arrays, dicts of them, or `None`.

    Returns:
        Pair of ``(x, sample_weight, *more)``.

    Raises:
        ValueError: if x is not an array, or a part would be empty.

    Example:

    >>> (x, weight), (x_held, weight_held) = split(np.arange(10), None, 0.2)
    >>> x_held.tolist()
    [8, 9]
    """
    x = pick(x) if isinstance(x, dict) else x
    if not (hasattr(x, "shape") and hasattr(x, "dtype")):
        raise ValueError(
            "Expected `x` to be an array where `validation_split` is used. "
            f"Received: x of type {type(x).__name__}."
        )
    at = int(len(x) * (1.0 - fraction)) if 0.0 < fraction < 1.0 else 0
    if not 0 < at < len(x):
        raise ValueError(
            "Expected `validation_split` to leave examples on both sides. "
            f"Received: validation_split={fraction} with {len(x)} examples."
        )
    parts = x, sample_weight, *more
    return tuple(
        tuple(_rows_of(part, rows) for part in parts) for rows in (slice(at), slice(at, None))
    )


def _rows_of(part: Any, rows: slice) -> Any:
    if isinstance(part, Mapping):
        return {name: value[rows] for name, value in part.items()}
    return None if part is None else part[rows]
