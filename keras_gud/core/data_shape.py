"""Which axes of a data array are space and which one is the channel.

Data are ``(batch, *spatial, channels)`` with one to three spatial axes, or ``(batch, features)``
for plain vectors, which have one axis and no channel. `data_shape` is always without the batch.
"""

from collections.abc import Iterable
from numbers import Integral
from typing import Any

from keras_gud.core.types import Shape

_AXIS_NAMES = {1: ("position",), 2: ("row", "column"), 3: ("depth", "row", "column")}


def spatial_shape(data_shape: Shape) -> Shape:
    """The sizes of the spatial axes: all but the channel axis; for vectors, their only axis.

    >>> spatial_shape((28, 28, 1)), spatial_shape((5,))
    ((28, 28), (5,))
    """
    return tuple(data_shape) if len(data_shape) == 1 else tuple(data_shape[:-1])


def channel_count(data_shape: Shape) -> int:
    """The number of channels; 1 for vectors.

    >>> channel_count((28, 28, 3)), channel_count((5,))
    (3, 1)
    """
    return 1 if len(data_shape) == 1 else int(data_shape[-1])


def axis_names(data_shape: Shape) -> tuple[str, ...]:
    """Names of the spatial axes: `position`; `row, column`; `depth, row, column`.

    >>> axis_names((28, 28, 1))
    ('row', 'column')
    """
    return _AXIS_NAMES[len(spatial_shape(data_shape))]


def validate_data_shape(data_shape: Any) -> Shape:
    """Returns `data_shape` as a tuple of ints.

    Raises:
        ValueError: unless it is one to four known sizes >= 1.

    >>> validate_data_shape([28, 28, 1])
    (28, 28, 1)
    """
    shape = tuple(data_shape) if isinstance(data_shape, Iterable) else (data_shape,)
    valid = isinstance(data_shape, Iterable) and all(
        isinstance(n, Integral) and int(n) > 0 for n in shape
    )
    if not valid or not 1 <= len(shape) <= 4:
        raise ValueError(
            "Expected data of shape (batch, features), (batch, length, channels), "
            "(batch, height, width, channels) or (batch, depth, height, width, channels), "
            f"with every size known. Received: data_shape={data_shape} (without the batch)."
        )
    return tuple(int(n) for n in shape)
