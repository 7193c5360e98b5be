"""The arguments of a task as arrays, checked; every error names the argument."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_gud.backend import to_numpy
from keras_gud.core.types import Shape, TensorLike
from keras_gud.data import named


def as_images(
    name: str, values: TensorLike, shapes: Sequence[Shape], kind: str
) -> tuple[np.ndarray, bool]:
    """One image or a batch of them as float64 ``(n, *shape)``, and whether it was one.

    Args:
        name: Name of the argument.
        values: The images, numbers in the data's own units; NaN is allowed.
        shapes: Legal shapes of one image. The result has the first one.
        kind: ``"uint8"`` or ``"float"``, what the model was trained on.

    Raises:
        ValueError: for another shape, something that is no array of real numbers, or 8-bit images
            for a model of floats.
    """
    if named.kind_of(values) is not None:
        raise ValueError(
            f"Expected `{name}` to be an array without names, in the order of the data that the "
            f"model was fitted to. Received: {name} of type {type(values).__name__}."
        )
    values = to_numpy(values)
    if values.dtype.kind not in "uif":
        raise ValueError(
            f"Expected `{name}` to be an array of numbers. Received: {name} of dtype "
            f"{values.dtype}."
        )
    if kind == "float" and values.dtype == np.uint8:
        raise ValueError(
            f"Expected `{name}` in the units of the data that the model was trained on, which are "
            f"floats. Received: {name} of dtype uint8."
        )
    single = values.shape in shapes
    if not single and not (values.shape[1:] in shapes and len(values)):
        known = " or ".join(str(shape) for shape in shapes)
        raise ValueError(
            f"Expected `{name}` of shape {known} for this model, or a batch of such. "
            f"Received: {name} of shape {values.shape}."
        )
    return values.reshape(-1, *shapes[0]).astype("float64"), single


def as_mask(name: str, values: TensorLike, n: int, data_shape: Shape) -> np.ndarray:
    """A boolean mask as ``(1 or n, *data_shape)``.

    Args:
        name: Name of the argument.
        values: Booleans of `data_shape` or its spatial part, maybe with a batch axis.
        n: Number of images.
        data_shape: Shape of one image.

    Raises:
        ValueError: for another shape or type.
    """
    values = to_numpy(values)
    if values.dtype != bool:
        raise ValueError(
            f"Expected `{name}` of booleans, True where a value is missing. "
            f"Received: {name} of dtype {values.dtype}."
        )
    shapes = [tuple(data_shape)]
    if len(data_shape) > 1:
        shapes += [tuple(data_shape[:-1]), (*data_shape[:-1], 1)]
    for shape in shapes:
        for rows in (1, n):
            if values.shape == (rows, *shape) or (rows == 1 and values.shape == shape):
                wide = values.reshape(rows, *shape)
                wide = wide if len(shape) == len(data_shape) else wide[..., None]
                return np.broadcast_to(wide, (rows, *data_shape))
    raise ValueError(
        f"Expected `{name}` of shape {' or '.join(map(str, shapes[:2]))}, or one for each of "
        f"{n} images. Received: {name} of shape {values.shape}."
    )


def as_noise_std(values: TensorLike, shape: Shape = ()) -> np.ndarray:
    """Standard deviations >= 0 of the argument `noise_std`; see `as_numbers`."""
    noise_std = as_numbers("noise_std", values, shape)
    if not (noise_std >= 0.0).all():
        raise ValueError(
            f"Expected a finite `noise_std` >= 0. Received: noise_std={noise_std.min():g}."
        )
    return noise_std


def as_numbers(name: str, values: TensorLike, shape: Shape = ()) -> np.ndarray:
    """Finite numbers as float64 with the rank of `shape`: one, or what broadcasts against it.

    Args:
        name: Name of the argument.
        values: A number or an array.
        shape: Shape against which it must broadcast.

    Raises:
        ValueError: for another shape, NaN, inf, or something that is no number.

    >>> as_numbers("scale", 2, (4, 3)).shape
    (1, 1)
    """
    try:
        found = np.asarray(to_numpy(values), "float64")
        fits = np.broadcast_shapes(found.shape, shape) == tuple(shape)
    except (TypeError, ValueError):  # no numbers, or shapes that clash
        fits = False
    if not fits or not np.isfinite(found).all():
        wanted = "a finite number"
        if shape:
            wanted += f", or an array of such that broadcasts against {tuple(shape)}"
        received = f"{name}={values!r}" if np.ndim(values) == 0 else f"shape {np.shape(values)}"
        raise ValueError(f"Expected `{name}` to be {wanted}. Received: {received}.")
    return found.reshape((1,) * (len(shape) - found.ndim) + found.shape)


def require_finite(name: str, values: np.ndarray, observed: Any = True) -> None:
    """Raises a `ValueError` if an observed value is NaN or inf."""
    bad = ~np.isfinite(values) & observed
    if bad.any():
        example = int(bad.reshape(len(bad), -1).any(axis=1).argmax())
        raise ValueError(
            f"Expected finite observed values in `{name}`. Received: NaN or inf, first in "
            f"example {example}."
        )
