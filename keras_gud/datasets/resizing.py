"""Images brought to one size."""

import numpy as np

from keras_gud.core import optional
from keras_gud.core.arguments import check_integer


def as_size(size) -> tuple[int, int] | None:
    """``(height, width)`` from an edge, a pair, or `None`.

    >>> as_size(32), as_size((16, 24)), as_size(None)
    ((32, 32), (16, 24), None)
    """
    if size is None:
        return None
    pair = size if isinstance(size, (tuple, list)) else (size, size)
    if len(pair) != 2:
        raise ValueError(f"Expected `size` to be one or two integers. Received: size={size!r}.")
    return tuple(check_integer("size", extent, 1) for extent in pair)


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The centre of an image, at another size.

    Every pixel is the mean over the area that it covers, so that nothing is aliased: for 96 to 32
    that of 3 x 3 pixels. Images of another aspect ratio lose what is left of it at two sides.

    Args:
        image: uint8 ``(height, width, channels)``.
        size: Height and width, not larger.

    Returns:
        uint8 ``(*size, channels)``.

    Raises:
        ValueError: for an image that is smaller than that.

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
    channels = [
        Image.fromarray(channel.astype("float32")).resize(size[::-1], Image.Resampling.BOX, box)
        for channel in np.moveaxis(image, -1, 0)
    ]
    return np.round(np.stack(channels, axis=-1)).astype("uint8")
