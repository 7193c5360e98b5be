"""Class labels, the null label and classifier-free guidance (Ho and Salimans 2022).

Labels are integers 0 .. classes - 1; `classes` itself is the null label, "no label".
"""

from numbers import Real

import numpy as np
from keras import ops

from keras_gud.backend import dtype_name, to_numpy

KEYS = ("label", "labels", "y")


def for_loss(label, classes: int | None, dropout: float | None, uniform) -> dict:
    """What the denoiser is told of a batch: nothing without `classes`.

    Args:
        label: Labels ``(batch,)``, or `None`.
        classes: Number of classes.
        dropout: In training, the probability that a label becomes the null label, so that one
            network learns both; else `None`, and no random numbers are drawn.
        uniform: Function of a shape that draws uniform numbers ``(batch, *shape)``.
    """
    if classes is None:
        return {}
    label = ops.cast(label, "int32")
    if dropout is not None:
        hidden = uniform(()) < dropout
        label = ops.where(hidden, ops.full_like(label, classes), label)
    return {"label": label}


def check_dropout(rate) -> float:
    """`label_dropout`, or a `ValueError` where it is outside [0, 1)."""
    if not isinstance(rate, Real) or not 0.0 <= rate < 1.0:
        raise ValueError(f"Expected `label_dropout` in [0, 1). Received: label_dropout={rate!r}.")
    return float(rate)


# -- networks --------------------------------------------------------------------------------------


# -- labels of data --------------------------------------------------------------------------------


def in_form(label, classes: int):
    """Labels ``(batch,)`` of ``(batch,)`` or ``(batch, 1)``; also in a `tf.data` graph.

    Raises:
        ValueError: for one-hot labels, or a type that is not integer.
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
        raise ValueError(f"{expected} Received: labels of dtype {name}.")
    return label


def check(label, n: int, classes: int) -> np.ndarray:
    """The labels of n examples as int32 ``(n,)``.

    Raises:
        ValueError: for another number, shape or type, or a label out of range.
    """
    label = to_numpy(in_form(label, classes))
    if len(label) != n:
        raise ValueError(
            f"Expected one label per example. Received: {n} examples with {len(label)} labels."
        )
    bad = (label < 0) | (label >= classes)
    if bad.any():
        first = int(bad.argmax())
        raise ValueError(
            f"Expected labels from 0 to {classes - 1}, because the model was made with "
            f"classes={classes}. Received: label {int(label[first])} of example {first}."
        )
    return label.astype("int32")


def missing(classes: int, received: str) -> ValueError:
    """The error for data without labels."""
    return ValueError(
        f"Expected labels, integers from 0 to {classes - 1}, because the model was made with "
        f"classes={classes}: as `y` beside an array, as batches (x, y[, sample_weight]), or in a "
        f"dictionary under one of the keys {KEYS}. Received: {received}."
    )


# -- labels to sample with -------------------------------------------------------------------------


def choose(labels, n: int, classes: int | None) -> np.ndarray | None:
    """One int32 label for each of n samples; `None` for a model without classes.

    Args:
        labels: `None` (the null label), an integer for all, or n integers.
        n: Number of samples.
        classes: Number of classes of the model.

    Raises:
        ValueError: for labels that the model does not know, or another number of them.
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


def complete(label, batch, classes: int | None) -> list:
    """Labels as the last input of a network: none without classes, else int32 ``(batch,)``.

    Args:
        label: Labels ``(batch,)`` or ``(1,)``; `None` for the null label.
        batch: Size of the batch.
        classes: Number of classes of the model.

    Raises:
        ValueError: for labels of a model without classes.
    """
    if classes is None:
        choose(label, batch, None)  # which refuses labels
        return []
    if label is None:
        return [ops.full((batch,), classes, dtype="int32")]
    return [ops.broadcast_to(label, (batch,))]


def condition(labels, guidance, n: int, classes: int | None) -> dict[str, np.ndarray]:
    """What the denoiser is told beside the state: arrays with a row for each of n samples.

    Args:
        labels: As in `choose`.
        guidance: A number or n numbers; see `guided_eps`.
        n: Number of samples.
        classes: Number of classes of the model.

    Raises:
        ValueError: for unusable labels or guidance, or guidance other than 1 without labels.
    """
    strength = _guidance(guidance, n)
    label = choose(labels, n, classes)
    if labels is None and (strength != 1.0).any():
        raise ValueError(
            "Expected `labels` with a `guidance` other than 1: guidance goes from the estimate "
            f"without a label towards the one with it. Received: guidance={guidance!r}."
        )
    if label is None:
        return {}
    # One evaluation of the network is enough for either end.
    if (strength == 1.0).all():
        return {"label": label}
    if (strength == 0.0).all():
        return {"label": np.full_like(label, classes)}
    return {"label": label, "guidance": strength}


def _guidance(guidance, n: int) -> np.ndarray:
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
