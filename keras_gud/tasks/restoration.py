"""Restoration: data given noisy values of their components (DESIGN sec. 3.10).

Every task is an observation ``y_i = scale_i (U x)_i + n_i``, n_i ~ N(0, noise_std_i^2), in a basis
U in which its noise is independent. In the clean components ``z0 = S^-1 (U phi - mean)`` that is a
noising state at ``gamma_i = 2 log(noise_std_i/(|scale_i| S_i))``.
"""

import functools
from typing import Any

import numpy as np
from keras import ops

from keras_gud.conditioning.given import sampling_condition
from keras_gud.core.arguments import require_built
from keras_gud.core.types import ArrayLike, Identifier, TensorLike
from keras_gud.diffusion.data_scaling import components_to_raw
from keras_gud.diffusion.guidance import Guided
from keras_gud.regions import View
from keras_gud.tasks import inputs, posterior, views
from keras_gud.tasks.contract import Model
from keras_gud.tasks.observation import Observation
from keras_gud.tasks.options import Options
from keras_gud.tasks.task import register

# Draws of a task, and with `return_std` also their standard deviation.
Restored = np.ndarray | tuple[np.ndarray, np.ndarray]
# Examples transformed at a time.
_BATCH_SIZE = 256


@register(lambda image: {"observation": image, "scale": 1.0, "noise_std": 5.0})
def restore(
    model: Model,
    observation: TensorLike,
    scale: TensorLike,
    noise_std: TensorLike,
    basis: Identifier | None = None,
    **options: Any,
) -> Restored:
    """Draws data given noisy values of their components, ``y_i = scale_i (U x)_i + n_i``.

    The other tasks are special cases.

    Args:
        model: A trained `GUDModel`.
        observation: The values y, in units of the data (0..255 for 8-bit images): array of the
            model's data shape, or a batch of them. Where unobserved, anything, also NaN.
        scale: Array that broadcasts against the observation; 0 where a component is unobserved.
        noise_std: Standard deviation of the noise n, >= 0: a number, or an array that broadcasts
            against the observation.
        basis: The one of the model's bases that the components are of: a name or a class; default:
            the model's own.
        **options: See `Options`.

    Returns:
        Array ``(draws, *data_shape)`` for one observation, ``(n, draws, *data_shape)`` for a batch,
        uint8 for 8-bit data, else float32. With `return_std` a pair of that and the standard
        deviation over the draws, float32 ``(*data_shape)`` or ``(n, *data_shape)``.

    Raises:
        ValueError: for arguments of wrong shape, NaN in an observed value, or a basis that the
            model does not have.
    """
    require_built(model, "it restores")
    view = views.view_of_basis(model, basis)
    kind = model.data_space.kind
    y, single = inputs.as_images("observation", observation, [model.data_shape], kind)
    scale = inputs.as_numbers("scale", scale, y.shape)
    noise_std = inputs.as_noise_std(noise_std, y.shape)
    inputs.require_finite("observation", y, scale != 0.0)
    scaling, unit = model.data_space.scaling, unit_of_components(model, view)
    offset = components(view, np.broadcast_to(scaling.centre / scaling.scale, (1, *y.shape[1:])))
    y = y / unit - scale * offset
    return draw_given(model, view, observe(view, y, scale, noise_std / unit), options, single)


def unit_of_components(model: Model, view: View) -> np.ndarray:
    """Raw units in one unit of the model, of each component of a view; a number or an array.

    Raises:
        ValueError: where a component mixes columns that have scales of their own.
    """
    scaling = model.data_space.scaling
    if not scaling.uniform and not views.is_pixel_basis(view.basis):
        raise ValueError(
            "Expected one scale for all columns, for observations of their sums: "
            f"GUD(..., data_scale=1.0). Received: the {view.basis.name} basis and "
            f"scales from {scaling.scale.min():.3g} to {scaling.scale.max():.3g}."
        )
    return scaling.scale


def observe(view: View, y: np.ndarray, scale: ArrayLike, noise_std: ArrayLike) -> Observation:
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
    observed = np.asarray(scale) != 0.0
    scale = np.where(observed, scale, 1.0)
    with np.errstate(divide="ignore"):
        gamma = np.where(observed, 2.0 * np.log(noise_std / (np.abs(scale) * s)), np.inf)
    return Observation(np.where(observed, (y / scale - mean) / s, 0.0), gamma)


def observe_image(
    model: Model, view: View, image: np.ndarray, observed: ArrayLike, noise_std: ArrayLike
) -> Observation:
    """The observation of some components of an image, ``(U image)_i + n_i``.

    Args:
        model: The model, for its units.
        view: The view.
        image: Raw values ``(n, *data_shape)``; all finite.
        observed: Boolean, True for observed components; broadcasts against the image.
        noise_std: Standard deviation of n in raw units; broadcasts against the image.
    """
    y = components(view, model.data_space.scaling.expected(image))
    unit = unit_of_components(model, view)
    return observe(view, y, observed, np.asarray(noise_std) / unit)


def components(view: View, phi: np.ndarray) -> np.ndarray:
    """``U phi`` of many examples, float32 ``(n, *data_shape)``."""
    batches = np.split(phi.astype("float32"), range(_BATCH_SIZE, len(phi), _BATCH_SIZE))
    return np.concatenate([ops.convert_to_numpy(view.basis(part)) for part in batches])


def draw_given(
    model: Model,
    view: View,
    observation: Observation,
    keywords: dict[str, Any],
    single: bool,
    exact: tuple[np.ndarray, np.ndarray] | None = None,
) -> Restored:
    """Draws data given an observation of their components; what a task returns.

    Args:
        model: The model.
        view: The view that the observation is of.
        observation: The `Observation`.
        keywords: The task's `Options` and the parameters of the schedule.
        single: Whether one image was given, without a batch axis.
        exact: See `to_data`.
    """
    options, params = Options.split(keywords)
    n = len(observation.z0)
    if options.schedule is not None:
        view = model.view_along(options.schedule, view.basis)
    resolved: dict[str, Any] = view.schedule.resolve(params, others=Options.names())
    z0 = posterior.draw(
        Guided.of(model.denoiser.in_view(view), options.guide),
        view.schedule,
        observation,
        options.draws,
        sampler=model.session.sampler(options.sampler),
        condition=sampling_condition(model.conditions, n, **options.conditioning()),
        on_path=functools.partial(model.check_region, view),
        **options.for_sampler(),
        **resolved,
    )
    return to_data(model, view, z0, options, single, exact)


def to_data(
    model: Model,
    view: View,
    z0: np.ndarray,
    options: Options,
    single: bool,
    exact: tuple[np.ndarray, np.ndarray] | None = None,
) -> Restored:
    """Components to data in their own units and type.

    Args:
        model: The model.
        view: The view that the components are of.
        z0: ``(n, draws, *data_shape)``.
        options: The options.
        single: Whether to leave out the batch axis.
        exact: `None`, or a pair of a boolean mask and raw values, both broadcastable against
            ``(n, *data_shape)``: values that are returned bit-exact.
    """
    flat = z0.reshape(-1, *z0.shape[2:])
    scaling = model.data_space.scaling
    raw = components_to_raw(flat, view.basis, view.prior, scaling).reshape(z0.shape)
    if exact is not None:
        mask, values = exact
        raw = np.where(mask[:, None], values[:, None].astype("float32"), raw)
    result = raw if options.as_float else scaling.rounded(raw)
    result = result[0] if single else result
    if not options.return_std:
        return result
    std = raw.std(axis=1, ddof=1)
    return result, std[0] if single else std
