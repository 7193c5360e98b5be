"""One batch in any of the forms that data sets yield, brought to the form that Keras reads.

The image is picked out of dictionaries, and so are the conditions of the model. A warning names
labels and other entries that are not used.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from keras_gud.backend import dtype_name, to_numpy
from keras_gud.conditioning import class_labels
from keras_gud.conditioning.forms import DATA_KEYS, Forms
from keras_gud.core.types import Array, TensorLike
from keras_gud.data.checks import check_divides

# What data sets yield: an array, a tuple ``(x[, y[, sample_weight]])``, or a dict.
Batch: TypeAlias = Any
# ``(x,)`` or ``(x, target, sample_weight)``, where x may be ``{"x": x, "label": label, ...}``.
KerasBatch: TypeAlias = tuple[Any, ...]
# Entries that name an example and say nothing about it.
_NAME_ENDINGS = ("id", "name", "path")
NONE = Forms()


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
    for key in DATA_KEYS:
        if key in numeric:
            return numeric[key]
    arrays = [k for k, v in numeric.items() if len(v.shape) >= 2]
    if len(arrays) != 1:
        raise ValueError(
            f"Expected a dictionary with the data under one of the keys {DATA_KEYS}, or with a "
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


def pick_conditions(batch: Batch, forms: Forms) -> dict[str, TensorLike]:
    """The conditions of one batch, by name: beside x, or entries of a dictionary.

    Args:
        batch: As `pick` takes it.
        forms: Those of the model.

    Raises:
        ValueError: as `Forms.pick`.
    """
    y = None
    if isinstance(batch, (tuple, list)) and not hasattr(batch, "shape"):
        y = batch[1] if len(batch) > 1 else None
        batch = batch[0]
    return forms.pick(y, batch if isinstance(batch, dict) else {}) if forms else {}


def warn_unused(batch: Batch, forms: Forms) -> None:
    """Warns of what a model does not learn from: labels without classes, and unused entries.

    Args:
        batch: As `pick` takes it.
        forms: Those of the model's conditions.

    Warns:
        UserWarning: by name. Python shows the same warning once.
    """
    entries = batch[0] if isinstance(batch, (tuple, list)) and len(batch) else batch
    # What stands beside the data of a model with conditions is those.
    label = pick_label(entries if forms else batch)
    if label is not None and not {*class_labels.KEYS} & {*forms.keys}:
        warnings.warn(
            "The labels are not used: the model has no classes. To condition it on them: "
            "GUD(..., classes=<their number>).",
            stacklevel=2,
        )
    if not isinstance(entries, dict):
        return
    x, known = pick(entries), {*class_labels.KEYS, *forms.keys}
    warn_of_entries(key for key, value in entries.items() if value is not x and key not in known)


def warn_of_entries(names: Iterable[str]) -> None:
    """Warns of entries of data that are not used, unless they only name an example."""
    unused = sorted(name for name in names if not name.endswith(_NAME_ENDINGS))
    if unused:
        warnings.warn(
            f"These entries of the data are not used: {', '.join(map(repr, unused))}.",
            stacklevel=3,
        )


def with_conditions(x: TensorLike, conditions: Mapping[str, TensorLike]) -> Any:
    """The input of `GUDModel.call`: x, or x and its conditions in a dictionary."""
    return {"x": x, **conditions} if conditions else x


def conditions_of(x: Any) -> dict[str, TensorLike]:
    """The conditions in an input of `GUDModel.call`."""
    return {k: v for k, v in x.items() if k != "x"} if isinstance(x, dict) else {}


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


def to_keras_batch(batch: Batch, forms: Forms = NONE) -> KerasBatch:
    """A batch as Keras expects it: ``(x,)``, or with sample weights ``(x, weight, weight)``.

    The second entry is the target that Keras requires beside weights; the model ignores it.

    Args:
        batch: An array, a tuple ``(x[, y[, sample_weight]])``, or a dict.
        forms: Those of the model's conditions, with which x comes where they are there; see
            `with_conditions`.

    Raises:
        ValueError: if it is not clear which array is x, or for one-hot labels or labels that are
            not integers.

    Example:

    >>> import numpy as np
    >>> to_keras_batch((np.zeros((2, 3)), [4, 5], [1.0, 0.5]))[1:]
    ([1.0, 0.5], [1.0, 0.5])
    """
    x = with_conditions(pick(batch), forms.prepared(pick_conditions(batch, forms)))
    if isinstance(batch, (tuple, list)) and len(batch) == 3:
        return x, batch[2], batch[2]
    return (x,)


class PrepareBatch:
    """`to_keras_batch`, and a check of every batch; can be pickled.

    Args:
        forms: Those of the model's conditions; all else is dropped.
        required: Whether every batch must have all of them.

    Attributes:
        check: Function of a NumPy batch that raises an error if it cannot be used; `None` until the
            shape and the type that the data must have are known.
        n_devices: The number of devices among which this process divides a batch.
    """

    def __init__(self, forms: Forms = NONE, required: bool = True) -> None:
        self.forms, self.required = forms, required
        self.check: Callable[[Array], None] | None = None
        self.n_devices = 1
        self._first = True

    def __call__(self, batch: Batch) -> KerasBatch:
        """The batch as Keras expects it.

        Raises:
            ValueError: for a batch that cannot be used.
        """
        if self._first:
            warn_unused(batch, self.forms)
            self._first = False
        prepared = to_keras_batch(batch, self.forms)
        x = pick(prepared[0])
        if not hasattr(x, "__len__"):
            raise TypeError(f"Expected batches of arrays. Received: a batch of {type(x).__name__}.")
        if self.check is not None:  # and the type of the data has been recognised
            self.check(to_numpy(x))
            x = in_common_type(x)
            prepared = with_conditions(x, conditions_of(prepared[0])), *prepared[1:]
        check_divides(len(x), self.n_devices)
        self.check_conditions(prepared[0])
        if len(prepared) == 3 and len(prepared[1]) != len(x):
            raise ValueError(
                "Expected one sample weight per example. Received: a batch of "
                f"{len(x)} examples with {len(prepared[1])} weights."
            )
        return prepared

    def check_conditions(self, x: Any) -> None:
        """Raises a `ValueError` for conditions that are unusable, or missing although required.

        Args:
            x: See `with_conditions`.
        """
        given = conditions_of(x)
        absent = self.forms.absent(given)
        if absent and self.required:
            what = "labels" if self.forms.forms[0].kind == "labels" else "it"
            raise self.forms.missing(absent, f"a batch without {what}")
        self.forms.check(given, len(pick(x)))
