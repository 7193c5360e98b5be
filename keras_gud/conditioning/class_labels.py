"""Class labels, the null label and classifier-free guidance (Ho and Salimans 2022).

Labels are integers 0 .. classes - 1; `classes` itself is the null label, "no label".
"""

from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
from keras import ops

from keras_gud.backend import dtype_name, to_numpy
from keras_gud.core.types import Shape, Tensor, TensorLike

# Keys under which labels are looked for where data are dictionaries.
KEYS = ("label", "labels", "y")


def training_condition(
    label: TensorLike | None,
    classes: int | None,
    dropout: float | None,
    uniform: Callable[[Shape], Tensor],
) -> dict[str, Tensor]:
    """What the denoiser is conditioned on in the loss, beside the noising state.

    Args:
        label: Labels ``(batch,)``, or `None` without classes.
        classes: Number of classes, or `None`.
        dropout: In training, the probability that a label is replaced by the null label, so that
            one network learns both; else `None`, and no random numbers are drawn.
        uniform: Function of a shape that draws uniform numbers ``(batch, *shape)``.

    Returns:
        ``{"label": int32 (batch,)}``; without classes an empty dict.

    Example:

    >>> condition = training_condition([0, 2], classes=3, dropout=None, uniform=ops.zeros)
    >>> to_numpy(condition["label"]).tolist()
    [0, 2]
    """
    if classes is None:
        return {}
    label = ops.cast(label, "int32")
    if dropout is not None:
        dropped = uniform(()) < dropout
        label = ops.where(dropped, ops.full_like(label, classes), label)
    return {"label": label}


def check_dropout(rate: Any) -> float:
    """The value of `label_dropout`, or a `ValueError` if it is outside [0, 1)."""
    if not isinstance(rate, Real) or not 0.0 <= float(rate) < 1.0:
        raise ValueError(f"Expected `label_dropout` in [0, 1). Received: label_dropout={rate!r}.")
    return float(rate)


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


# -- labels to sample with -------------------------------------------------------------------------


def sampling_labels(labels: TensorLike | None, n: int, classes: int | None) -> np.ndarray | None:
    """The labels of n samples, int32 ``(n,)``; `None` for a model without classes.

    Args:
        labels: `None` (the null label), an integer for all, or n integers.
        n: Number of samples.
        classes: Number of classes of the model, or `None`.

    Raises:
        ValueError: for labels out of range or of a model without classes, or another number of
            them.

    Example:

    >>> sampling_labels(7, n=3, classes=10).tolist(), sampling_labels(None, 2, 10).tolist()
    ([7, 7, 7], [10, 10])
    """
    if classes is None:
        if labels is not None:
            raise ValueError(
                "Expected no `labels`, because the model was made without `classes`. "
                f"Received: labels={labels!r}."
            )
        return None
    if labels is None:
        return np.full(n, classes, "int32")
    label = to_numpy(labels)
    return check(np.full(n, label) if label.ndim == 0 else label, n, classes)


def network_inputs(
    label: TensorLike | None, batch: int | Tensor, classes: int | None
) -> list[Tensor]:
    """The last input of a network with classes, its labels; without classes an empty list.

    Args:
        label: Labels ``(batch,)`` or ``(1,)``; `None` for the null label.
        batch: Size of the batch.
        classes: Number of classes of the model, or `None`.

    Returns:
        A list of at most one int32 tensor ``(batch,)``.

    Raises:
        ValueError: for labels of a model without classes.
    """
    if classes is None:
        sampling_labels(label, batch, None)  # raises if there are labels
        return []
    if label is None:
        return [ops.full((batch,), classes, dtype="int32")]
    return [ops.broadcast_to(label, (batch,))]


def sampling_condition(
    labels: TensorLike | None, guidance: TensorLike, n: int, classes: int | None
) -> dict[str, np.ndarray]:
    """What the denoiser is conditioned on in sampling, beside the noising state.

    Args:
        labels: As in `sampling_labels`.
        guidance: Strength w of classifier-free guidance, a number or one for each sample: 0 is
            without label, 1 without guidance.
        n: Number of samples.
        classes: Number of classes of the model, or `None`.

    Returns:
        Arrays ``(n,)``: ``"label"``, int32, for a model with classes; ``"guidance"``, float32,
        where it is needed.

    Raises:
        ValueError: for labels as in `sampling_labels`, guidance that is not finite or of another
            shape, or guidance other than 1 without labels.

    Example:

    >>> sampling_condition([3, 1], guidance=2.0, n=2, classes=10)["guidance"].tolist()
    [2.0, 2.0]
    """
    strength = _check_guidance(guidance, n)
    label = sampling_labels(labels, n, classes)
    if labels is None and (strength != 1.0).any():
        raise ValueError(
            "Expected `labels` with a `guidance` other than 1: guidance goes from the estimate "
            f"without a label towards the one with it. Received: guidance={guidance!r}."
        )
    if label is None:
        return {}
    # Where guidance is 0 or 1 for all samples, one evaluation of the network is enough.
    if (strength == 1.0).all():
        return {"label": label}
    if (strength == 0.0).all():
        return {"label": np.full_like(label, classes)}
    return {"label": label, "guidance": strength}


def _check_guidance(guidance: TensorLike, n: int) -> np.ndarray:
    """The guidance of each of n samples, float32 ``(n,)``, or a `ValueError`."""
    try:
        strength = np.asarray(to_numpy(guidance), "float32")
    except (TypeError, ValueError):
        strength = np.full(n, np.nan)
    if strength.shape not in ((), (n,)) or not np.isfinite(strength).all():
        raise ValueError(
            f"Expected `guidance` to be a finite number, or one for each of n={n} samples. "
            f"Received: guidance={guidance!r}."
        )
    return np.broadcast_to(strength, (n,))
