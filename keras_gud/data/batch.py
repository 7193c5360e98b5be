"""One batch in any of the forms that data sets yield, brought to the form that Keras reads.

The image is picked out of dictionaries. Class labels are dropped, unless the model has classes; a
warning says so, and names other entries that are not used.
"""

import warnings
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np

from keras_gud.backend import dtype_name, to_numpy
from keras_gud.conditioning import class_labels
from keras_gud.core.types import Array, TensorLike
from keras_gud.data.checks import check_divides

# What data sets yield: an array, a tuple ``(x[, y[, sample_weight]])``, or a dict.
Batch: TypeAlias = Any
# ``(x,)`` or ``(x, target, sample_weight)``, where x may be ``{"x": x, "label": label}``.
KerasBatch: TypeAlias = tuple[Any, ...]
# Entries that name an example and say nothing about it.
_NAME_ENDINGS = ("id", "name", "path")
IMAGE_KEYS = ("image", "images", "x", "inputs", "data")


def pick(batch: Batch) -> TensorLike:
    """The array x of one batch, picked out of tuples and dictionaries.

    Args:
        batch: An array, a tuple ``(x, ...)``, or a dict with the image under ``"image"`` (or
            another usual key), or with a single array of rank >= 2 that is not a string.

    Raises:
        ValueError: if it is not clear which array of a dict is meant.

    Example:

    >>> import numpy as np
    >>> x = np.zeros((2, 3))
    >>> pick(({"id": "a", "image": x}, [4, 5])) is x, pick(x) is x
    (True, True)
    """
    if isinstance(batch, (tuple, list)) and not hasattr(batch, "shape"):
        batch = batch[0]
    if not isinstance(batch, dict):
        return batch
    numeric = {k: v for k, v in batch.items() if _is_numeric(v)}
    for key in IMAGE_KEYS:
        if key in numeric:
            return numeric[key]
    arrays = [k for k, v in numeric.items() if len(v.shape) >= 2]
    if len(arrays) != 1:
        raise ValueError(
            f"Expected a dictionary with the data under one of the keys {IMAGE_KEYS}, or with a "
            f"single array. Received: keys {sorted(batch)}."
        )
    return numeric[arrays[0]]


def pick_label(batch: Batch) -> TensorLike | None:
    """The class labels of one batch: ``y`` of a tuple, or an entry of a dictionary, or `None`.

    Example:

    >>> import numpy as np
    >>> x = np.zeros((2, 3))
    >>> pick_label((x, [4, 5])), pick_label({"image": x, "label": [6, 7]})
    ([4, 5], [6, 7])
    """
    if isinstance(batch, (tuple, list)) and not hasattr(batch, "shape"):
        if len(batch) > 1 and batch[1] is not None:
            return batch[1]
        batch = batch[0]
    if not isinstance(batch, dict):
        return None
    return next((batch[key] for key in class_labels.KEYS if batch.get(key) is not None), None)


def warn_unused(batch: Batch, classes: int | None) -> None:
    """Warns of what a model does not learn from: labels without classes, and unused entries.

    Args:
        batch: As `pick` takes it.
        classes: Number of classes of the model, or `None`.

    Warns:
        UserWarning: by name. Python shows the same warning once.
    """
    label = pick_label(batch)
    if classes is None and label is not None:
        warnings.warn(
            "The labels are not used: the model has no classes. To condition it on them: "
            "GUD(..., classes=<their number>).",
            stacklevel=2,
        )
    entries = batch[0] if isinstance(batch, (tuple, list)) and len(batch) else batch
    if not isinstance(entries, dict):
        return
    x = pick(entries)
    warn_of_entries(
        key for key, value in entries.items() if value is not x and key not in class_labels.KEYS
    )


def warn_of_entries(names: Iterable[str]) -> None:
    """Warns of entries of data that are not used, unless they only name an example."""
    unused = sorted(name for name in names if not name.endswith(_NAME_ENDINGS))
    if unused:
        warnings.warn(
            f"These entries of the data are not used: {', '.join(map(repr, unused))}.",
            stacklevel=3,
        )


def with_label(x: TensorLike, label: TensorLike | None) -> Any:
    """The input of `GUDModel.call`: x, or x and its class labels in a dictionary."""
    return x if label is None else {"x": x, "label": label}


def in_common_type(x: TensorLike) -> TensorLike:
    """Data in a type that every backend has: torch has no unsigned integers of 64 bits.

    Args:
        x: An array or a tensor.

    Raises:
        ValueError: for unsigned integers that are too large for int64.

    Example:

    >>> in_common_type(np.ones(2, "uint64")).dtype, in_common_type(np.ones(2, "uint8")).dtype
    (dtype('int64'), dtype('uint8'))
    """
    if dtype_name(x) != "uint64":
        return x
    values = to_numpy(x)
    if values.max(initial=0) > np.iinfo("int64").max:
        raise ValueError(f"Expected integers below 2**63. Received: x with {values.max()}.")
    return values.astype("int64")


def _is_numeric(value: Any) -> bool:
    name = str(getattr(value, "dtype", "string"))
    return not any(word in name for word in ("str", "object", "<U", "|S", "bytes"))


def to_keras_batch(batch: Batch, classes: int | None = None) -> KerasBatch:
    """A batch as Keras expects it: ``(x,)``, or with sample weights ``(x, weight, weight)``.

    The second entry is the target that Keras requires beside weights; the model ignores it.

    Args:
        batch: An array, a tuple ``(x[, y[, sample_weight]])``, or a dict.
        classes: Number of classes; then x comes with its labels, see `with_label`, where there are
            any. `None` drops them.

    Raises:
        ValueError: if it is not clear which array is x, or for one-hot labels or labels that are
            not integers.

    Example:

    >>> import numpy as np
    >>> to_keras_batch((np.zeros((2, 3)), [4, 5], [1.0, 0.5]))[1:]
    ([1.0, 0.5], [1.0, 0.5])
    """
    x = pick(batch)
    label = None if classes is None else pick_label(batch)
    if classes is not None and label is not None:
        x = with_label(x, class_labels.as_vector(label, classes))
    if isinstance(batch, (tuple, list)) and len(batch) == 3:
        return x, batch[2], batch[2]
    return (x,)


class PrepareBatch:
    """`to_keras_batch`, and a check of every batch; can be pickled.

    Args:
        classes: Number of classes, or `None` to drop labels.
        required: Whether every batch must have labels, if there are classes.

    Attributes:
        check: Function of a NumPy batch that raises an error if it cannot be used; `None` until the
            shape and the type that the data must have are known.
        n_devices: The number of devices among which this process divides a batch.
    """

    def __init__(self, classes: int | None = None, required: bool = True) -> None:
        self.classes, self.required = classes, required
        self.check: Callable[[Array], None] | None = None
        self.n_devices = 1
        self._first = True

    def __call__(self, batch: Batch) -> KerasBatch:
        """The batch as Keras expects it.

        Raises:
            ValueError: for a batch that cannot be used.
        """
        if self._first:
            warn_unused(batch, self.classes)
            self._first = False
        prepared = to_keras_batch(batch, self.classes)
        x = pick(prepared[0])
        if not hasattr(x, "__len__"):
            raise TypeError(f"Expected batches of arrays. Received: a batch of {type(x).__name__}.")
        if self.check is not None:  # and the type of the data has been recognised
            self.check(to_numpy(x))
            x = in_common_type(x)
            prepared = with_label(x, pick_label(prepared[0])), *prepared[1:]
        check_divides(len(x), self.n_devices)
        self.check_labels(prepared[0])
        if len(prepared) == 3 and len(prepared[1]) != len(x):
            raise ValueError(
                "Expected one sample weight per example. Received: a batch of "
                f"{len(x)} examples with {len(prepared[1])} weights."
            )
        return prepared

    def check_labels(self, x: Any) -> None:
        """Raises a `ValueError` for labels that are unusable, or missing although required.

        Args:
            x: See `with_label`.
        """
        if self.classes is None:
            return
        label = pick_label(x)
        if label is not None:
            class_labels.check(label, len(pick(x)), self.classes)
        elif self.required:
            raise class_labels.missing(self.classes, "a batch without labels")
