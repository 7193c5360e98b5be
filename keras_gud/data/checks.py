"""Checks of data before any training starts: shape, type and values."""

import numpy as np

from keras_gud.backend import dtype_name
from keras_gud.core.arguments import as_floats
from keras_gud.core.data_shape import Shape, validate_data_shape


def check_divides(size: int, parts: int, n: int | None = None):
    """Raises a `ValueError` unless the devices of a distributed run can divide a batch.

    Args:
        size: Examples in the batch.
        parts: The number of devices that divide it.
        n: Examples in all, where they are known.
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


# Those that all backends know.
_FLOATS = ("bfloat16", "float16", "float32", "float64")


def data_kind(x) -> str:
    """``"uint8"`` for 8-bit data, ``"float"`` for floats; x is an array or a tensor.

    Raises:
        ValueError: for any other type.
    """
    name = dtype_name(x)
    if name == "uint8":
        return "uint8"
    if name in _FLOATS:
        return "float"
    raise ValueError(
        "Expected uint8 images (dequantised and scaled inside the model) or floats (taken as they "
        f"are). Received: x of dtype {x.dtype}. Cast it: x.astype('uint8') if its values are "
        "0..255, else x.astype('float32')."
    )


def check_layout(x: np.ndarray) -> Shape:
    """The shape of one example; finds the usual mix-ups of axes.

    Raises:
        ValueError: for a wrong rank, images without a channel axis, or channels first.
    """
    if x.ndim < 2:
        raise ValueError(
            "Expected data with a batch axis: (batch, features), (batch, length, channels), "
            "(batch, height, width, channels) or (batch, depth, height, width, channels). "
            f"Received: x of shape {x.shape}."
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
    return validate_data_shape(x.shape[1:])


def check_finite(x: np.ndarray):
    """Raises a `ValueError` if x contains NaN or inf."""
    if data_kind(x) == "float" and not np.isfinite(x).all():
        bad = int((~np.isfinite(x)).reshape(len(x), -1).any(axis=1).argmax())
        raise ValueError(
            f"Expected finite data. Received: NaN or inf, first in example {bad} of its batch."
        )


def check_varied(varied: bool, count: int):
    """Raises a `ValueError` if all examples of a data set are the same."""
    if not varied:
        raise ValueError(
            "Expected data that vary. Received: data in which every example is the same "
            f"({count} in all)."
        )


def check_weight(sample_weight, n: int) -> np.ndarray:
    """The weights of n examples as float32 ``(n,)``, or a `ValueError`."""
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


def check_same(x, data_shape: Shape, kind: str):
    """Raises a `ValueError` unless x, an array or a tensor, is what the model was adapted to."""
    shape = tuple(x.shape[1:])
    # In a graph, sizes may be unknown.
    if len(shape) != len(data_shape) or any(
        n not in (None, m) for n, m in zip(shape, data_shape, strict=True)
    ):
        raise ValueError(
            f"Expected data of shape (batch, {', '.join(map(str, data_shape))}), as the model was "
            f"adapted to. Received: x of shape {tuple(x.shape)}."
        )
    if data_kind(x) != kind:
        hint = " Give the original 8-bit images; the model scales them." if kind == "uint8" else ""
        raise ValueError(
            f"Expected {kind} data, as the model was adapted to. Received: x of dtype {x.dtype}."
            f"{hint}"
        )


def check_batch(x: np.ndarray, data_shape: Shape, kind: str):
    """Raises a `ValueError` unless x is a usable batch of what the model was adapted to."""
    check_same(x, data_shape, kind)
    if len(x) == 0:
        raise ValueError(
            f"Expected at least one example in every batch. Received: x of shape {x.shape}."
        )
    check_finite(x)
