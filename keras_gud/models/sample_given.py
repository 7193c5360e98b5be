"""Samples of some values given others: `sample(given=...)`, a posterior draw of an observation."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_gud import tasks
from keras_gud.backend import to_numpy
from keras_gud.core.registry import near_match
from keras_gud.core.types import Array

_Shape = tuple[int, ...]


def sample_given(model: keras.Model, n: int, given: Any, **options: Any) -> Array:
    """Draws of what is open, with what is given in its place.

    Args:
        model: A trained `GUDModel` in a basis of pixels, e.g. of a table.
        n: Number of samples.
        given: An array of the data's shape, or ``(n, *data_shape)``, with NaN where values are
            open; or, of a table, a dict from columns (names, or numbers from 0) to their values,
            a number or n numbers.
        **options: Of `tasks.Options`, and parameters of the schedule.

    Returns:
        As `GUDModel.sample`.

    Raises:
        ValueError: for unknown columns, another shape, or nothing that is open.
    """
    values = _values(model, n, given)
    missing = np.isnan(values)
    if not missing.any():
        raise ValueError("Expected `given` to leave something open, as NaN. Received: all values.")
    if model.data_space.kind != "float":
        values = np.where(missing, 0.0, values).astype(model.data_space.kind)
    one = values.ndim == len(model.data_shape)
    found: Any = tasks.inpaint(model, values, missing, draws=n if one else 1, **options)
    return model.data_space.with_names(found if one else found[:, 0])


def _values(model: keras.Model, n: int, given: Any) -> np.ndarray:
    shape: _Shape = model.data_shape
    if isinstance(given, Mapping):
        return _of_columns(model, n, given)
    values = np.asarray(to_numpy(given), "float64")
    if values.shape not in (shape, (n, *shape)):
        raise ValueError(
            f"Expected `given` of shape {shape}, or {(n, *shape)} for n={n}, with NaN where values "
            f"are open. Received: an array of shape {values.shape}."
        )
    return values


def _of_columns(model: keras.Model, n: int, given: Mapping[Any, Any]) -> np.ndarray:
    shape: _Shape = model.data_shape
    names = getattr(model.data_space.names, "columns", None) or list(range(shape[0]))
    if len(shape) != 1:
        raise ValueError(
            f"Expected `given` as an array of shape {shape} with NaN where values are open; names "
            "are of columns of tables. Received: a dictionary."
        )
    several = any(np.ndim(value) for value in given.values())
    values = np.full((n, *shape) if several else shape, np.nan)
    for name, value in given.items():
        if name not in names:
            hint = near_match(str(name), [str(known) for known in names])
            raise ValueError(
                f"Expected `given` by columns, among {names}. Received: {name!r}.{hint}"
            )
        if np.ndim(value) and np.shape(value) != (n,):
            raise ValueError(
                f"Expected one value of column {name!r}, or n={n}. "
                f"Received: an array of shape {np.shape(value)}."
            )
        values[..., names.index(name)] = value
    return values
