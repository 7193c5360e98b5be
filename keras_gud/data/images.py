"""Images of Pillow as arrays with a channel axis, as data sets of files hold them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_gud.core.types import Array

# What Pillow calls images of so many channels of 8 bits.
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
# Grey of 16 bits; Pillow opens some such files as integers of 32, which hold any.
_GREY_16 = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_TURNED = (5, 6, 7, 8)  # orientations of Exif that exchange height and width
_ORIENTATION = 0x0112


def is_image(value: Any) -> bool:
    """Whether this is an image of Pillow, which need not be installed to ask.

    >>> is_image(np.zeros((4, 4)))
    False
    """
    return hasattr(value, "convert") and hasattr(value, "mode") and hasattr(value, "getbands")


def is_grey_16(image: Any) -> bool:
    """Whether an image of Pillow is grey of 16 bits."""
    return image.mode in _GREY_16


def channels_of(image: Any) -> int:
    """Channels of an image of Pillow: 1 (grey), 3 (colour, also palettes) or 4 (with alpha).

    >>> from PIL import Image
    >>> [channels_of(Image.new(mode, (2, 2))) for mode in ("1", "I;16", "P", "CMYK", "LA")]
    [1, 1, 3, 3, 4]
    """
    if image.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in image.info:
        return 4
    return 1 if image.mode in ("1", "L", "F", *_GREY_16) else 3


def upright_size(image: Any) -> tuple[int, int]:
    """Height and width of an image of Pillow after the turn that a camera has noted in it."""
    width, height = image.size
    # Of a PNG without, Pillow would decode all pixels to look for one behind them.
    has_exif = image.format != "PNG" or "exif" in image.info
    turned = has_exif and image.getexif().get(_ORIENTATION) in _TURNED
    return (width, height) if turned else (height, width)


def as_array(image: Any, channels: int | None = None) -> Array:
    """One image as ``(height, width, channels)``, upright.

    Palettes and other colour spaces become colours; an alpha channel is kept.

    Args:
        image: An image of Pillow.
        channels: 1, 3 or 4, to which it is converted; default: its own.

    Returns:
        uint8; without `channels` uint16 where it is grey of 16 bits, which are otherwise divided
        by 257.

    Raises:
        ValueError: for pixels that are floats, or integers of more than 16 bits, whose scale is
            not known, and for colour spaces that Pillow does not convert.

    Example:

    >>> from PIL import Image
    >>> as_array(Image.new("P", (3, 2))).shape
    (2, 3, 3)
    """
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise ValueError("Expected pixels of 8 or 16 bits. Received: floats, of unknown scale.")
    if is_grey_16(image):
        grey = _sixteen_bits(np.asarray(image))
        if channels is None:
            return grey[..., None]
        image = Image.fromarray(np.round(grey / 257).astype("uint8"))  # Pillow would clip
    array = np.asarray(image.convert(_MODES[channels or channels_of(image)]))
    return array if array.ndim == 3 else array[..., None]


def _sixteen_bits(grey: Array) -> Array:
    if grey.min(initial=0) < 0 or grey.max(initial=0) > np.iinfo("uint16").max:
        raise ValueError(
            "Expected pixels of 8 or 16 bits. Received: integers from "
            f"{grey.min()} to {grey.max()}."
        )
    return grey.astype("uint16")


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
