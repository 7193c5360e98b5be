"""Resizing of images by area averages."""

from collections.abc import Sequence

import numpy as np

from keras_gud.core import optional
from keras_gud.core.arguments import check_integer


def as_size(size: int | Sequence[int] | None) -> tuple[int, int] | None:
    """``(height, width)`` of a square's edge or of a pair, in pixels; `None` stays `None`.

    Raises:
        ValueError: for anything but one or two positive integers.

    Example:

    >>> as_size(32), as_size((16, 24)), as_size(None)
    ((32, 32), (16, 24), None)
    """
    if size is None:
        return None
    pair = size if isinstance(size, (tuple, list)) else (size, size)
    if len(pair) != 2:
        raise ValueError(f"Expected `size` to be one or two integers. Received: size={size!r}.")
    height, width = (check_integer("size", extent, 1) for extent in pair)
    return height, width


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An image scaled down, after a central crop to the aspect ratio of `size`.

    Every pixel is the mean over the area that it covers (a box filter), which prevents aliasing:
    from 96 to 32 pixels, the mean of 3 x 3.

    Args:
        image: uint8 or uint16 ``(height, width, channels)``.
        size: New height and width in pixels, at most those of the image.

    Returns:
        ``(*size, channels)`` of the same dtype.

    Raises:
        ImportError: where Pillow is missing.
        ValueError: for an image that is smaller than `size`.

    Example:

    >>> resize(np.array([[[0], [10]], [[20], [30]]], "uint8"), (1, 1)).tolist()
    [[[15]]]
    """
    height, width = image.shape[:2]
    if (height, width) == size:
        return image
    if height < size[0] or width < size[1]:
        raise ValueError(
            f"Expected `size` of at most ({height}, {width}), that of an image of this data set. "
            f"Received: size={size}."
        )
    try:
        from PIL import Image
    except ImportError as error:
        raise optional.missing("pillow", "resizing images", "data") from error
    scale = min(height / size[0], width / size[1])
    top, left = ((height - size[0] * scale) / 2, (width - size[1] * scale) / 2)
    box = (left, top, left + size[1] * scale, top + size[0] * scale)
    # As floats: Pillow rounds 8-bit pixels twice, once for each axis.
    channels = (Image.fromarray(channel.astype("float32")) for channel in np.moveaxis(image, -1, 0))
    resized = [channel.resize(size[::-1], Image.Resampling.BOX, box) for channel in channels]
    return np.round(np.stack([np.asarray(x) for x in resized], axis=-1)).astype(image.dtype)
