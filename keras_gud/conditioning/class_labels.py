"""Class labels and the null label.

Labels are integers 0 .. classes - 1; `classes` itself is the null label, "no label".
"""

import numpy as np

from keras_gud.backend import dtype_name, to_numpy
from keras_gud.core.types import TensorLike

# Keys under which labels are looked for where data are dictionaries.
KEYS = ("label", "labels", "y")


# -- labels of data --------------------------------------------------------------------------------


def as_vector(label: TensorLike, classes: int) -> TensorLike:
    """Labels of shape ``(batch,)``, of ``(batch,)`` or ``(batch, 1)``; also in a `tf.data` graph.

    Args:
        label: Integers.
        classes: Number of classes, for the message.

    Raises:
        ValueError: for one-hot labels, or a dtype that is not integer.

    Example:

    >>> as_vector([[3], [1]], classes=10).tolist()
    [3, 1]
    """
    label = label if hasattr(label, "dtype") else np.asarray(label)
    if len(label.shape) == 2 and label.shape[1] == 1:
        label = label[:, 0]
    expected = f"Expected labels of shape (n,), integers from 0 to {classes - 1}."
    if len(label.shape) != 1:
        hint = " Of one-hot labels take y.argmax(-1)." if len(label.shape) == 2 else ""
        raise ValueError(f"{expected} Received: labels of shape {tuple(label.shape)}.{hint}")
    name = dtype_name(label)
    if not name.startswith(("int", "uint")):
        raise ValueError(f"{expected} Received: labels of dtype {name}.{_as_integers(name)}")
    return label


def _as_integers(dtype: str) -> str:
    """How to make integers of labels of another type, where that is clear."""
    if dtype == "bool":
        return " Of True and False take labels.astype(int)."
    named = any(word in dtype for word in ("str", "object", "category", "<U", "|S"))
    return " Of names take np.unique(labels, return_inverse=True)[1]." if named else ""


def check(label: TensorLike, n: int, classes: int) -> np.ndarray:
    """The labels of n examples as int32 ``(n,)``.

    Args:
        label: Integers ``(n,)`` or ``(n, 1)`` in 0 .. classes - 1.
        n: Number of examples.
        classes: Number of classes.

    Raises:
        ValueError: for another number, shape or dtype, or a label out of range.
    """
    label = to_numpy(as_vector(label, classes))
    if len(label) != n:
        raise ValueError(
            f"Expected one label per example. Received: {n} examples with {len(label)} labels."
        )
    bad = (label < 0) | (label >= classes)
    if bad.any():
        first = int(bad.argmax())
        hint = " Of labels that begin at 1 take labels - 1." * bool(label.min() == 1)
        raise ValueError(
            f"Expected labels from 0 to {classes - 1}, because the model was made with "
            f"classes={classes}. Received: label {int(label[first])} of example {first}."
            f"{hint}"
        )
    return label.astype("int32")


def missing(classes: int, received: str) -> ValueError:
    """The error to raise for data without labels.

    Args:
        classes: Number of classes of the model.
        received: What was given instead, for the message.
    """
    return ValueError(
        f"Expected labels, integers from 0 to {classes - 1}, because the model was made with "
        f"classes={classes}: as `y` beside an array, as batches (x, y[, sample_weight]), or in a "
        f"dictionary under one of the keys {KEYS}. Received: {received}."
    )
