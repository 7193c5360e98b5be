"""Checks of the data before any training starts: shape, type, values."""

import numpy as np

from keras_gud import layout


def data_kind(x: np.ndarray) -> str:
    """``"uint8"`` for 8-bit data, ``"float"`` for floats.

    Raises:
        ValueError: for any other type.
    """
    if x.dtype == np.uint8:
        return "uint8"
    if np.issubdtype(x.dtype, np.floating) or x.dtype.name == "bfloat16":
        return "float"
    raise ValueError(
        "Expected uint8 images (dequantised and scaled inside the model) or floats (taken as they "
        f"are). Received: x of dtype {x.dtype}. Cast it: x.astype('uint8') if its values are "
        "0..255, else x.astype('float32')."
    )


def check_layout(x: np.ndarray) -> layout.Shape:
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
            f"Received: x of shape {x.shape}. For grey images add the channel axis: x[..., None]."
        )
    if x.ndim in (4, 5) and x.shape[1] in (1, 3) and x.shape[-1] > 4 and x.shape[-2] > 4:
        raise ValueError(
            "Expected channels last, (batch, height, width, channels). "
            f"Received: x of shape {x.shape}, which looks like channels first, as torchvision's "
            "loaders yield it. Move the axis: np.moveaxis(x, 1, -1). (If the shape is meant as it "
            "is, say so: GUD(..., data_shape=x.shape[1:]).)"
        )
    return layout.validate_data_shape(int(n) for n in x.shape[1:])


def check_finite(x: np.ndarray):
    """Raises a `ValueError` if x contains NaN or inf."""
    if data_kind(x) == "float" and not np.isfinite(x).all():
        bad = int((~np.isfinite(x)).reshape(len(x), -1).any(axis=1).argmax())
        raise ValueError(
            f"Expected finite data. Received: NaN or inf, first in example {bad} of its batch."
        )


def check_same(x: np.ndarray, data_shape: layout.Shape, kind: str):
    """Raises a `ValueError` unless x is what the model was adapted to."""
    if tuple(x.shape[1:]) != tuple(data_shape):
        raise ValueError(
            f"Expected data of shape (batch, {', '.join(map(str, data_shape))}), as the model was "
            f"adapted to. Received: x of shape {tuple(x.shape)}."
        )
    if data_kind(x) != kind:
        raise ValueError(
            f"Expected {kind} data, as the model was adapted to. Received: x of dtype {x.dtype}."
        )
