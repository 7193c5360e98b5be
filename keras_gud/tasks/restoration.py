"""Restoration of observed data: any task is noisy values of components (DESIGN sec. 3.10)."""

import functools

import numpy as np
from keras import ops

from keras_gud.conditioning.class_labels import sampling_condition
from keras_gud.core.arguments import require_built
from keras_gud.diffusion.data_scaling import components_to_raw
from keras_gud.diffusion.guidance import Guided
from keras_gud.tasks import inputs, posterior, views
from keras_gud.tasks.options import Options
from keras_gud.tasks.task import register

_ROWS = 256


@register(lambda image: {"observation": image, "scale": 1.0, "noise_std": 5.0})
def restore(model, observation, scale, noise_std, basis=None, **options):
    """Draws data given noisy values of their components, ``y_i = scale_i (U x)_i + n_i``.

    The general task, of which the others are examples.

    Args:
        model: A trained `GUDModel`.
        observation: The values y, in units of the data (0..255 for 8-bit images): array of the
            model's data shape, or a batch of them. Where unobserved, anything, also NaN.
        scale: Array that broadcasts against the observation; 0 where a component is unobserved.
        noise_std: Standard deviation of the noise n, >= 0: a number, or an array that broadcasts
            against the observation.
        basis: Which of the model's bases the components are of: a name or a class; default: the
            model's own.
        **options: See `Options`.

    Returns:
        Array ``(draws, *data_shape)`` for one observation, ``(n, draws, *data_shape)`` for a batch,
        of the data's type. With `return_std` a pair of that and the standard deviation over the
        draws.

    Raises:
        ValueError: for arguments of wrong shape, NaN in an observed value, or a basis that the
            model does not have.
    """
    require_built(model, "it restores")
    view = views.named(model, basis)
    y, single = inputs.images("observation", observation, [model.data_shape], model.data_space.kind)
    scale = inputs.numbers("scale", scale, y.shape)
    noise_std = inputs.noise_std(noise_std, y.shape)
    inputs.finite("observation", y, scale != 0.0)
    scaling = model.data_space.scaling
    factor, offset = scaling.levels, scaling.offset
    of_ones = components(view, np.ones((1, *model.data_shape)))
    y = (y - scale * offset * of_ones) / factor
    return answer(model, view, observe(view, y, scale, noise_std / factor), options, single)


def observe(view, y, scale, noise_std) -> posterior.Observation:
    """The observation ``y_i = scale_i (U phi)_i + n_i`` of a view's clean components.

    Args:
        view: The view, for its prior.
        y: ``(n, *data_shape)``, in the model's units; where unobserved, anything.
        scale: Broadcasts against y; 0 where unobserved.
        noise_std: Standard deviation of n, >= 0; broadcasts against y.
    """
    mean, s = (
        ops.convert_to_numpy(value).astype("float64")
        for value in (view.prior.mean, view.prior.scale)
    )
    seen = np.asarray(scale) != 0.0
    scale = np.where(seen, scale, 1.0)
    with np.errstate(divide="ignore"):
        gamma = np.where(seen, 2.0 * np.log(noise_std / (np.abs(scale) * s)), np.inf)
    return posterior.Observation(np.where(seen, (y / scale - mean) / s, 0.0), gamma)


def observe_image(model, view, image, seen, noise_std) -> posterior.Observation:
    """The observation of some components of an image, ``(U image)_i + n_i``.

    Args:
        model: The model, for its units.
        view: The view.
        image: Raw values ``(n, *data_shape)``; all finite.
        seen: Boolean, which components are observed; broadcasts against the image.
        noise_std: Standard deviation of n in raw units; broadcasts against the image.
    """
    scaling = model.data_space.scaling
    factor, offset = scaling.levels, scaling.offset
    y = components(view, (image - offset) / factor)
    return observe(view, y, seen, np.asarray(noise_std) / factor)


def components(view, phi) -> np.ndarray:
    """``U phi`` of many examples, float32 ``(n, *data_shape)``."""
    batches = np.split(phi.astype("float32"), range(_ROWS, len(phi), _ROWS))
    return np.concatenate([ops.convert_to_numpy(view.basis(part)) for part in batches])


def answer(model, view, observation, options: dict, single: bool, known=None):
    """What a task returns: draws given its observation, in the data's units.

    Args:
        model: The model.
        view: The view that the observation is of.
        observation: The `posterior.Observation`.
        options: The task's keywords.
        single: Whether one image was given, without a batch axis.
        known: See `deliver`.
    """
    options, params = Options.split(options)
    n = len(observation.z0)
    params = view.schedule.resolve(params, others=Options.names())
    z0 = posterior.draw(
        Guided.of(model.denoiser.in_view(view), options.guide),
        view.schedule,
        observation,
        options.draws,
        sampler=model.session.sampler(options.sampler),
        condition=sampling_condition(options.labels, options.guidance, n, model.classes),
        on_path=functools.partial(model.check_region, view),
        **options.of_run(),
        **params,
    )
    return deliver(model, view, z0, options, single, known)


def deliver(model, view, z0, options: Options, single: bool, known=None):
    """Components to data in their own units and type.

    Args:
        model: The model.
        view: The view that the components are of.
        z0: ``(n, draws, *data_shape)``.
        options: The options.
        single: Whether to leave out the batch axis.
        known: `None`, or a pair of a boolean mask and raw values, both broadcastable against
            ``(n, *data_shape)``: values that are to come back bit-exact.
    """
    flat = z0.reshape(-1, *z0.shape[2:])
    scaling = model.data_space.scaling
    raw = components_to_raw(flat, view.basis, view.prior, scaling).reshape(z0.shape)
    if known is not None:
        mask, values = known
        raw = np.where(mask[:, None], values[:, None].astype("float32"), raw)
    result = raw if options.as_float else scaling.rounded(raw)
    results = [result, raw.std(axis=1, ddof=1)] if options.return_std else [result]
    results = [part[0] for part in results] if single else results
    return tuple(results) if options.return_std else results[0]
