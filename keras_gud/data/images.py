"""Images of Pillow as arrays with a channel axis, as data sets of files hold them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_gud.core.types import Array

_AS_THEY_ARE = ("L", "RGB", "RGBA")
_GREY_16 = ("I;16", "I;16B", "I;16L", "I;16N")


def is_image(value: Any) -> bool:
    """Whether this is an image of Pillow, which need not be installed to ask.

    >>> is_image(np.zeros((4, 4)))
    False
    """
    return hasattr(value, "convert") and hasattr(value, "mode") and hasattr(value, "getbands")


def as_array(image: Any) -> Array:
    """One image as ``(height, width, channels)``, uint8, or uint16 where it is grey of 16 bits.

    Palettes and other colour spaces become colours; an alpha channel is kept.

    Args:
        image: An image of Pillow.

    Example:

    >>> from PIL import Image
    >>> as_array(Image.new("P", (3, 2))).shape
    (2, 3, 3)
    """
    if image.mode in _GREY_16:
        return np.asarray(image).astype("uint16")[..., None]
    if image.mode not in _AS_THEY_ARE:
        alpha = image.mode in ("LA", "PA", "La", "RGBa") or "transparency" in image.info
        grey = image.mode == "1"
        image = image.convert("L" if grey else "RGBA" if alpha else "RGB")
    array = np.asarray(image)
    return array if array.ndim == 3 else array[..., None]


def stack(images: Sequence[Any], hint: str = "") -> Array:
    """Images of one size and number of channels as ``(n, height, width, channels)``.

    Args:
        images: Images of Pillow.
        hint: How to make them so, for the message.

    Raises:
        ValueError: for images that differ.
    """
    arrays = [as_array(image) for image in images]
    kinds = sorted({(*array.shape, str(array.dtype)) for array in arrays})
    if len(kinds) > 1:
        found = ", ".join(f"{h}x{w} with {c} channels ({kind})" for h, w, c, kind in kinds[:4])
        raise ValueError(
            "Expected images of one size, type and number of channels. "
            f"Received: {found}{', ...' if len(kinds) > 4 else ''}.{hint}"
        )
    return np.stack(arrays)
