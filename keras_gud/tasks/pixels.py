"""Observed pixels: in-painting, and removal of noise that may differ from value to value."""

import numpy as np

from keras_gud.core.arguments import require_built
from keras_gud.tasks import inputs, views
from keras_gud.tasks.restoration import answer, observe_image
from keras_gud.tasks.task import register


def _without_right_half(image):
    mask = np.zeros(image.shape, bool)
    mask[:, image.shape[1] // 2 :] = True
    return {"image": np.where(mask, 0, image), "mask": mask}


def _with_noise(image):
    noise = np.random.default_rng(0).normal(scale=10.0, size=image.shape)
    return {"noisy": image + noise, "noise_std": 10.0}


@register(_without_right_half)
def inpaint(model, image, mask, noise_std=0.0, **options):
    """Draws what is missing in an image, given the rest.

    Args:
        model: A trained `GUDModel` with a basis of pixels.
        image: Array of the model's data shape, or a batch of them, in the data's units. Missing
            values may be anything, also NaN.
        mask: Boolean, **True where a value is missing** (as in scikit-image): of the data shape or
            its spatial part, one for all images or one for each.
        noise_std: Standard deviation of noise in the observed values, in the data's units: a
            number, or an array that broadcasts against the image. Values without noise come back
            bit-exact.
        **options: See `Options`.

    Returns:
        See `restore`.

    Raises:
        ValueError: for an image or a mask of wrong shape or type, NaN in an observed value, or a
            model without a basis of pixels.
    """
    require_built(model, "it restores")
    view = views.pick(model, "inpaint", "a basis of pixels", views.of_pixels)
    x, single = inputs.images("image", image, [model.data_shape], model.data_space.kind)
    missing = inputs.mask("mask", mask, len(x), model.data_shape)
    noise_std = inputs.noise_std(noise_std, x.shape)
    inputs.finite("image", x, ~missing)
    x = np.where(missing, 0.0, x)
    observation = observe_image(model, view, x, ~missing, noise_std)
    return answer(model, view, observation, options, single, (~missing & (noise_std == 0.0), x))


@register(_with_noise)
def denoise(model, noisy, noise_std, **options):
    """Draws clean images given noisy ones.

    Args:
        model: A trained `GUDModel`. Noise that differs from value to value needs a basis of pixels;
            noise that is the same everywhere is so in any basis.
        noisy: Array of the model's data shape, or a batch of them, in the data's units.
        noise_std: Standard deviation of the noise, in the data's units: a number, or an array that
            broadcasts against `noisy`.
        **options: See `Options`.

    Returns:
        See `restore`. Values without noise come back bit-exact.

    Raises:
        ValueError: for images of wrong shape, NaN, noise_std < 0, or a model without the basis.
    """
    require_built(model, "it restores")
    x, single = inputs.images("noisy", noisy, [model.data_shape], model.data_space.kind)
    noise_std = inputs.noise_std(noise_std, x.shape)
    inputs.finite("noisy", x)
    same = bool((noise_std == noise_std.flat[0]).all())
    if same and not any(views.of_pixels(view.basis) for view in model.views):
        view = model.views[0]
    else:
        view = views.pick(model, "denoise", "a basis of pixels", views.of_pixels)
    observation = observe_image(model, view, x, True, noise_std)
    known = np.broadcast_to(noise_std == 0.0, x.shape), x
    return answer(model, view, observation, options, single, known)
