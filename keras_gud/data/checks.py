"""Checks of data before any training starts: shape, type and values."""

import warnings
from typing import Any

import numpy as np

from keras_gud.backend import dtype_name
from keras_gud.core.arguments import as_floats
from keras_gud.core.data_shape import validate_data_shape
from keras_gud.core.registry import require_one_of
from keras_gud.core.types import Array, Shape, TensorLike


def check_divides(size: int, parts: int, n: int | None = None) -> None:
    """Raises a `ValueError` unless the devices of a distributed run can divide a batch.

    Args:
        size: Examples in the batch.
        parts: The number of devices that divide it.
        n: Examples in the whole data set, where it is known.

    Example:

    >>> check_divides(size=12, parts=4)
    """
    if size % parts == 0:
        return
    hint = f"a `batch_size` that is a multiple of {parts}"
    if n is not None:
        rest = n % parts
        hint += f", and {n - rest} or {n - rest + parts} examples in place of {n}" if rest else ""
    raise ValueError(
        f"Expected batches that {parts} devices can divide evenly: choose {hint}. "
        f"Received: a batch of {size} examples."
    )


# Those that every backend supports.
_FLOATS = ("bfloat16", "float16", "float32", "float64")
_INTEGERS = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")


def data_kind(x: TensorLike) -> str:
    """``"float"`` for floats, else the name of the integer type; x is an array or a tensor.

    Raises:
        ValueError: for any other type.

    Example:

    >>> data_kind(np.zeros(3, "uint8")), data_kind(np.zeros(3))
    ('uint8', 'float')
    """
    name = dtype_name(x)
    if name in _FLOATS:
        return "float"
    if name in _INTEGERS:
        return name
    raise ValueError(
        "Expected real numbers: integers (dequantised inside the model) or floats. "
        f"Received: x of dtype {x.dtype}."
    )


def check_layout(x: Array) -> Shape:
    """The shape of one example; refuses data whose axes are missing or in another order.

    Args:
        x: A batch of data.

    Raises:
        ValueError: for a wrong rank, images without a channel axis, or channels first.

    Warns:
        UserWarning: for square examples that may be grey images without a channel axis.

    Example:

    >>> check_layout(np.zeros((16, 28, 28, 1)))
    (28, 28, 1)
    """
    if x.ndim < 2:
        raise ValueError(
            "Expected data with a batch axis: (batch, features), (batch, length, channels), "
            "(batch, height, width, channels) or (batch, depth, height, width, channels). "
            f"Received: x of shape {x.shape}. For one example x[None], for n of one "
            "number x.reshape(-1, 1)."
        )
    if x.ndim == 3 and data_kind(x) == "uint8":
        raise ValueError(
            "Expected 8-bit images as (batch, height, width, channels). "
            f"Received: x of shape {x.shape}. For grey images add the channel axis: x[..., None]; "
            "for a single image the batch axis: x[None]."
        )
    if x.ndim in (4, 5) and x.shape[1] in (1, 3) and x.shape[-1] > 4 and x.shape[-2] > 4:
        raise ValueError(
            "Expected channels last, (batch, height, width, channels). "
            f"Received: x of shape {x.shape}, which looks like channels first, as torchvision's "
            "loaders yield it. Move the axis: np.moveaxis(x, 1, -1), or in the transform of a "
            "DataLoader's data set x.permute(1, 2, 0). (If the shape is meant as it is, say so: "
            f"GUD(..., data_shape={x.shape[1:]}).)"
        )
    if x.ndim == 3 and x.shape[1] == x.shape[2] > 4:
        warnings.warn(
            f"Data of shape {x.shape} are taken for series of length {x.shape[1]} with "
            f"{x.shape[2]} channels. For grey images add the channel axis: x[..., None]. (If the "
            f"shape is meant as it is, say so: GUD(..., data_shape={x.shape[1:]}).)",
            stacklevel=2,
        )
    return validate_data_shape(x.shape[1:])


# What to do about NaN.
ALLOW_MISSING = " Where values are missing, GUD(..., missing=True) learns from the others."


def check_finite(x: Array, missing: bool = False, hint: str = "") -> None:
    """Raises a `ValueError` if x contains NaN or inf.

    Args:
        x: A NumPy batch.
        missing: Whether NaN is allowed, for a value that is missing; an example without any value
            is not.
        hint: What to do about NaN, a sentence.
    """
    if data_kind(x) != "float" or not len(x):
        return
    rows = x.reshape(len(x), -1)
    if not missing and not np.isfinite(x).all():
        bad = int((~np.isfinite(rows)).any(axis=1).argmax())
        raise ValueError(
            f"Expected finite data. Received: NaN or inf, first in example {bad} of its batch."
            f"{hint}"
        )
    if missing and np.isinf(x).any():
        bad = int(np.isinf(rows).any(axis=1).argmax())
        raise ValueError(
            "Expected finite data, or NaN where a value is missing. "
            f"Received: inf, first in example {bad} of its batch."
        )
    empty = np.isnan(rows).all(axis=1)
    if empty.any():
        raise ValueError(
            "Expected at least one value in every example. Received: one without any, example "
            f"{int(empty.argmax())} of its batch. Leave it out; of a table of pandas "
            "x.dropna(how='all') does."
        )


def check_varied(varied: bool, count: int) -> None:
    """Raises a `ValueError` if all examples of a data set are the same.

    Args:
        varied: Whether any two of them differ.
        count: Number of examples, for the message.
    """
    if not varied:
        raise ValueError(
            "Expected data that vary. Received: data in which every example is the same "
            f"({count} in all)."
        )


def check_sample_weight(sample_weight: Any, n: int) -> np.ndarray:
    """The weights of n examples as float32 ``(n,)``.

    Raises:
        ValueError: for another shape, weights that are negative or not finite, or only zeros.

    Example:

    >>> check_sample_weight([1, 0, 2], n=3).tolist()
    [1.0, 0.0, 2.0]
    """
    weight = as_floats(sample_weight)
    if weight.shape != (n,):
        raise ValueError(
            f"Expected `sample_weight` of shape ({n},), one number per example. "
            f"Received: sample_weight of shape {np.shape(sample_weight)}."
        )
    if not (np.isfinite(weight).all() and weight.min() >= 0.0 and weight.max() > 0.0):
        raise ValueError(
            "Expected `sample_weight` to be finite, >= 0 and not all 0. "
            f"Received: values from {weight.min():g} to {weight.max():g}."
        )
    return weight


# Names of scales that are not measured, see `GUDModel`.
DATA_SCALES = ("none", "range")


def check_data_scale(data_scale: Any) -> float | np.ndarray | str | None:
    """The argument `data_scale`: `None`, a name, a number or an array, finite and > 0.

    Raises:
        ValueError: for anything else.

    Example:

    >>> check_data_scale(2), check_data_scale([1.0, 3.0]).tolist()
    (2.0, [1.0, 3.0])
    """
    if data_scale is None:
        return None
    if isinstance(data_scale, str):
        require_one_of("data_scale", data_scale, DATA_SCALES)
        return data_scale
    scale = as_floats(data_scale)  # NaN for what are no numbers
    if not (np.isfinite(scale).all() and (scale > 0.0).all()):
        raise ValueError(
            f"Expected `data_scale` to be None, one of {list(DATA_SCALES)}, or a finite number > 0 "
            f"or an array of such. Received: data_scale={data_scale!r}."
        )
    return float(scale) if scale.ndim == 0 else scale


def check_shape_and_kind(x: TensorLike, data_shape: Shape, kind: str) -> None:
    """Raises a `ValueError` unless a batch has the shape and type that the model was adapted to.

    Args:
        x: A batch ``(batch, *data_shape)``, an array or a tensor, also in a graph.
        data_shape: Shape of one example.
        kind: See `data_kind`.
    """
    shape = tuple(x.shape[1:])
    # Sizes may be unknown in a graph.
    if len(shape) != len(data_shape) or any(
        n not in (None, m) for n, m in zip(shape, data_shape, strict=True)
    ):
        raise ValueError(
            f"Expected data of shape (batch, {', '.join(map(str, data_shape))}), as the model was "
            f"adapted to. Received: x of shape {tuple(x.shape)}."
        )
    if (data_kind(x) == "float") != (kind == "float"):
        hint = "" if kind == "float" else " Give the original integers; the model scales them."
        raise ValueError(
            f"Expected {kind} data, as the model was adapted to. Received: x of dtype {x.dtype}."
            f"{hint}"
        )


def check_batch(
    x: Array, data_shape: Shape, kind: str, missing: bool = False, hint: str = ""
) -> None:
    """Raises a `ValueError` unless a batch is finite, not empty, and as the model was adapted to.

    Args:
        x: A NumPy batch ``(batch, *data_shape)``.
        data_shape: Shape of one example.
        kind: See `data_kind`.
        missing: See `check_finite`.
        hint: See `check_finite`.
    """
    check_shape_and_kind(x, data_shape, kind)
    if len(x) == 0:
        raise ValueError(
            f"Expected at least one example in every batch. Received: x of shape {x.shape}."
        )
    check_finite(x, missing, hint)
