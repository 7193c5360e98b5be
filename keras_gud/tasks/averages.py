"""Observed averages: of blocks of pixels (up-scaling) and of channels (colouring).

The mean over blocks of 2^m pixels along D axes is ``2^(-m D/2)`` times a component of the Haar
basis, the grey value of a pixel is a multiple of the first component of a channel basis.
"""

from typing import Any

import numpy as np

from keras_gud.bases.channel import LUMA
from keras_gud.core.arguments import check_integer, require_built
from keras_gud.core.data_shape import spatial_shape
from keras_gud.core.types import TensorLike
from keras_gud.tasks import inputs, views
from keras_gud.tasks.contract import Model
from keras_gud.tasks.restoration import Restored, components, draw_given, observe_image
from keras_gud.tasks.task import register


def _means_of_blocks(image: np.ndarray) -> dict[str, Any]:
    height, width, channels = image.shape
    means = image.reshape(height // 2, 2, width // 2, 2, channels).mean(axis=(1, 3))
    return {"low_resolution": means, "factor": 2}


@register(_means_of_blocks)
def upscale(
    model: Model,
    low_resolution: TensorLike,
    factor: int,
    noise_std: TensorLike = 0.0,
    **options: Any,
) -> Restored:
    """Draws images given the means of their blocks of pixels.

    Args:
        model: A trained `GUDModel` with a haar basis.
        low_resolution: Means over blocks of `factor` pixels along each spatial axis, in the data's
            units: array of the model's data shape, spatial sizes divided by `factor`, or a batch.
        factor: Power of two, at most 2 to the power of the basis' levels.
        noise_std: Standard deviation of noise in the means, a number in the data's units.
        **options: See `Options`.

    Returns:
        See `restore`. Without noise the means of the blocks are the given ones (before 8-bit
        values are rounded).

    Raises:
        ValueError: for another factor, images of another size, NaN, or a model without the basis.
    """
    require_built(model, "it restores")
    view = views.find_view(model, "upscale", "a basis of haar wavelets", views.has_bands)
    band, shape = view.basis.coordinates["band"], model.data_shape
    levels = int(band.max())
    factor = check_integer("factor", factor)
    halvings = factor.bit_length() - 1
    if factor != 2**halvings or not 1 <= halvings <= levels:
        raise ValueError(
            f"Expected `factor` to be one of {[2**i for i in range(1, levels + 1)]}, for the "
            f"{levels} levels of the haar basis. Received: factor={factor}."
        )
    spatial = spatial_shape(shape)
    low_shape = (*(size // factor for size in spatial), *shape[len(spatial) :])
    kind = model.data_space.kind
    x, single = inputs.as_images("low_resolution", low_resolution, [low_shape], kind)
    noise_std = inputs.as_noise_std(noise_std)
    inputs.require_finite("low_resolution", x)
    for axis in range(1, 1 + len(spatial)):
        x = np.repeat(x, factor, axis=axis)
    # The components are the means over 2^(-m D/2), and so is their noise.
    noise_std = noise_std * 2.0 ** (halvings * len(spatial) / 2)
    observation = observe_image(model, view, x, band <= levels - halvings, noise_std)
    return draw_given(model, view, observation, options, single)


@register(lambda image: {"grey": image @ np.array(LUMA)})
def colorize(
    model: Model, grey: TensorLike, noise_std: TensorLike = 0.0, **options: Any
) -> Restored:
    """Draws coloured images given their grey ones.

    Grey is the mean over channels with the weights of the first row of the channel basis, scaled
    to sum 1: the luma of ITU-R BT.601 for ``bases.ChannelMix("luma")``.

    Args:
        model: A trained `GUDModel` with a channel basis over pixels.
        grey: Array of the spatial shape of the model's data, with or without a channel axis of
            length 1, or a batch of them, in the data's units.
        noise_std: Standard deviation of noise in the grey values, a number in the data's units.
        **options: See `Options`.

    Returns:
        See `restore`. Without noise the grey image of each draw is the given one (before 8-bit
        values are rounded).

    Raises:
        ValueError: for images of another size, NaN, or a model without the basis.
    """
    require_built(model, "it restores")
    view = views.find_view(model, "colorize", "a channel basis over pixels", views.is_channel_basis)
    shape, kind = model.data_shape, model.data_space.kind
    x, single = inputs.as_images("grey", grey, [(*shape[:-1], 1), shape[:-1]], kind)
    noise_std = inputs.as_noise_std(noise_std)
    inputs.require_finite("grey", x)
    observed = view.basis.coordinates["channel"] == 0
    # The first component of an image that is grey g everywhere is g times the sum of the weights.
    total = np.where(observed, np.abs(components(view, np.ones((1, *shape)))), 1.0)
    if total.min() < 1e-3:
        raise ValueError(
            "Expected a channel basis whose first row has weights of a sum other than 0. "
            "Received: a basis whose first component is 0 for grey images."
        )
    x = np.broadcast_to(x, (len(x), *shape))
    observation = observe_image(model, view, x, observed, noise_std * total)
    return draw_given(model, view, observation, options, single)
