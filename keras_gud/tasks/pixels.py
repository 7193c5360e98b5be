"""Observed pixels: in-painting, and removal of noise that may differ from value to value."""

from typing import Any

import numpy as np

from keras_gud.core.arguments import require_built
from keras_gud.core.types import TensorLike
from keras_gud.tasks import inputs, views
from keras_gud.tasks.contract import Model
from keras_gud.tasks.restoration import Restored, draw_given, observe_image
from keras_gud.tasks.task import register


def _without_right_half(image: np.ndarray) -> dict[str, Any]:
    missing = np.zeros(image.shape, bool)
    missing[:, image.shape[1] // 2 :] = True
    return {"image": np.where(missing, 0, image), "missing": missing}


def _with_noise(image: np.ndarray) -> dict[str, Any]:
    noise = np.random.default_rng(0).normal(scale=10.0, size=image.shape)
    return {"noisy": image + noise, "noise_std": 10.0}


@register(_without_right_half)
def inpaint(
    model: Model,
    image: TensorLike,
    missing: TensorLike,
    noise_std: TensorLike = 0.0,
    **options: Any,
) -> Restored:
    """Draws what is missing in an image, given the rest.

    Args:
        model: A trained `GUDModel` with a basis of pixels.
        image: Array of the model's data shape, or a batch of them, in the data's units. Missing
            values may be anything, also NaN.
        missing: Boolean, True where a value is missing (the mask of scikit-image; what is known is
            `given` in `log_prob`): of the data shape or its spatial part, one for all images or one
            for each.
        noise_std: Standard deviation of noise in the observed values, in the data's units: a
            number, or an array that broadcasts against the image. Values without noise are
            returned bit-exact.
        **options: See `Options`.

    Returns:
        See `restore`.

    Raises:
        ValueError: for an image or a mask `missing` of wrong shape or type, NaN in an observed
            value, or a model without a basis of pixels.
    """
    require_built(model, "it restores")
    view = views.find_view(model, "inpaint", "a basis of pixels", views.is_pixel_basis)
    x, single = inputs.as_images("image", image, [model.data_shape], model.data_space.kind)
    missing = inputs.as_mask("missing", missing, len(x), model.data_shape)
    noise_std = inputs.as_noise_std(noise_std, x.shape)
    inputs.require_finite("image", x, ~missing)
    x = np.where(missing, 0.0, x)
    observation = observe_image(model, view, x, ~missing, noise_std)
    exact = ~missing & (noise_std == 0.0), x
    return draw_given(model, view, observation, options, single, exact)


@register(_with_noise)
def denoise(model: Model, noisy: TensorLike, noise_std: TensorLike, **options: Any) -> Restored:
    """Draws clean images given noisy ones.

    Args:
        model: A trained `GUDModel`. Noise that differs from value to value needs a basis of pixels;
            noise of the same level everywhere has it in any basis.
        noisy: Array of the model's data shape, or a batch of them, in the data's units.
        noise_std: Standard deviation of the noise, in the data's units: a number, or an array that
            broadcasts against `noisy`.
        **options: See `Options`.

    Returns:
        See `restore`. Values without noise are returned bit-exact.

    Raises:
        ValueError: for images of wrong shape, NaN, noise_std < 0, or a model without the basis.
    """
    require_built(model, "it restores")
    x, single = inputs.as_images("noisy", noisy, [model.data_shape], model.data_space.kind)
    noise_std = inputs.as_noise_std(noise_std, x.shape)
    inputs.require_finite("noisy", x)
    same = bool((noise_std == noise_std.flat[0]).all())
    if same and not any(views.is_pixel_basis(view.basis) for view in model.views):
        view = model.views[0]
    else:
        view = views.find_view(model, "denoise", "a basis of pixels", views.is_pixel_basis)
    observation = observe_image(model, view, x, True, noise_std)
    exact = np.broadcast_to(noise_std == 0.0, x.shape), x
    return draw_given(model, view, observation, options, single, exact)
