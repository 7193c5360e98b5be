"""Data sets of Hugging Face's `datasets`, as batches of arrays; the library is not imported here.

Rows are read from the arrow table when they are needed. An image column is decoded, palettes to
colours; other columns are read as NumPy arrays.
"""

from typing import Any

import keras
import numpy as np

from keras_gud.conditioning import class_labels
from keras_gud.conditioning.forms import DATA_KEYS, Forms
from keras_gud.core import optional
from keras_gud.core.types import Array
from keras_gud.data import images
from keras_gud.data.batch import NONE, Batch, warn_of_entries
from keras_gud.data.epoch_order import EpochOrder

_KINDS = ("Dataset", "IterableDataset", "DatasetDict", "IterableDatasetDict")
_HINT = (
    ' For one mode: data.cast_column("{column}", datasets.Image(mode="RGB")). For one size: '
    'data.map(lambda row: {{"{column}": row["{column}"].resize((64, 64))}}).'
)


def kind_of(x: Any) -> str | None:
    """The name of a class of `datasets` that x is of, or `None` for anything else.

    >>> kind_of([1, 2]) is None
    True
    """
    return optional.class_of(x, "datasets", _KINDS)


def open_rows(x: Any, request: Any) -> "HuggingFaceBatches":
    """The `HuggingFaceBatches` of x.

    Args:
        x: A `datasets.Dataset`.
        request: An `adapters.Request`.

    Raises:
        TypeError: for splits by name, and for a stream, which has no rows by number.
    """
    kind = kind_of(x)
    if kind in ("DatasetDict", "IterableDatasetDict"):
        raise TypeError(
            f"Expected one split of a data set. Received: a {kind} with {sorted(x)}; take one, "
            f"x[{next(iter(x), 'train')!r}]."
        )
    if kind == "IterableDataset":
        raise TypeError(
            "Expected a `datasets.Dataset`, whose rows can be shuffled. Received: an "
            'IterableDataset. Its batches can be read once: x.with_format("numpy").iter(128). Or '
            "load it with streaming=False."
        )
    how = request.batch_size, request.shuffle, request.seed
    return HuggingFaceBatches(x, *how, request.prepare.forms, request.part)


class HuggingFaceBatches(keras.utils.PyDataset):
    """Batches of a `datasets.Dataset`, as dictionaries with an ``"image"``, maybe a ``"label"``.

    Args:
        dataset: The data set; with a transform of its own (`with_transform`) that is applied.
        batch_size: Examples per batch; the last batch may be smaller.
        shuffle: Whether to shuffle, anew in every epoch.
        seed: Seed of the order, >= 0.
        forms: Those of the model's conditions, which are columns of their names.
        part: See `EpochOrder`.

    Raises:
        ValueError: where it is not clear which column holds the data, or the labels.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
        forms: Forms = NONE,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        super().__init__()
        self.in_order = False
        self.order, self.epoch = EpochOrder(len(dataset), batch_size, shuffle, seed, part), 0
        given = [n for n in forms.keys if n in dataset.features and n not in class_labels.KEYS]
        others = {n: kind for n, kind in dataset.features.items() if n not in given}
        self.column = _data_column(others)
        self.label, self.given = _label_column(others, forms.classes), given
        self.names = [name for name in (self.column, self.label, *given) if name is not None]
        warn_of_entries(set(dataset.column_names) - set(self.names))
        self.is_image = type(dataset.features[self.column]).__name__ == "Image"
        if dataset.format["type"] == "custom":
            self.dataset = dataset
        else:
            kind = None if self.is_image else "numpy"
            self.dataset = dataset.with_format(kind, columns=self.names)

    @property
    def num_batches(self) -> int:
        """Number of batches of an epoch."""
        return len(self.order)

    def __getitem__(self, index: int) -> Batch:
        found = self.dataset[self.order.rows(index, self.epoch).tolist()]
        batch = {"image": self._as_array(found[self.column])}
        batch |= {name: self._as_array(found[name], name) for name in self.given}
        if self.label is not None:
            batch["label"] = np.asarray(found[self.label])
        return batch

    def _as_array(self, values: Any, column: str = "") -> Array:
        column = column or self.column
        if len(values) and images.is_image(values[0]):
            return images.stack(values, _HINT.format(column=column))
        array = np.asarray(values)
        if array.dtype == object:
            raise ValueError(
                f"Expected a column of arrays of one shape. Received: column {column!r} with "
                "rows that differ, or no numbers."
            )
        return array


def _data_column(features: Any) -> str:
    """The column of images or arrays."""
    kinds = {name: type(feature).__name__ for name, feature in features.items()}
    pictures = [name for name, kind in kinds.items() if kind == "Image"]
    arrays = [n for n, k in kinds.items() if k.startswith("Array") or k in ("List", "Sequence")]
    for found in (pictures, [n for n in DATA_KEYS if n in arrays], arrays):
        if len(found) == 1 or any(name in DATA_KEYS for name in found):
            return next((name for name in found if name in DATA_KEYS), found[0])
    hint = " Of a table of numbers give x.to_pandas()." if not pictures + arrays else ""
    raise ValueError(
        "Expected a data set with one column of images or arrays, or one that is called one of "
        f"{DATA_KEYS}; rename_column names it, select_columns chooses. Received: columns "
        f"{kinds}.{hint}"
    )


def _label_column(features: Any, classes: int | None) -> str | None:
    """The column of class labels, by its name or else by its type; `None` if there is none."""
    named = [name for name in class_labels.KEYS if name in features]
    typed = [n for n, feature in features.items() if type(feature).__name__ == "ClassLabel"]
    if named:
        return named[0]
    if len(typed) > 1 and classes is not None:
        raise ValueError(
            f"Expected one column of labels, or one that is called one of {class_labels.KEYS}; "
            f"rename_column names it. Received: labels in {typed}."
        )
    return typed[0] if len(typed) == 1 else None
