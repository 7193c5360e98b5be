"""From a partly noised image back to data (paper fig. 8)."""

from numbers import Real
from typing import Any

import numpy as np
from keras import ops

from keras_gud.conditioning.given import sampling_condition
from keras_gud.core import counter_rng
from keras_gud.core.arguments import require_built
from keras_gud.core.types import Identifier, TensorLike
from keras_gud.diffusion.guidance import Guided
from keras_gud.samplers.run import check_rows
from keras_gud.tasks import inputs, posterior
from keras_gud.tasks.contract import Model
from keras_gud.tasks.options import Options
from keras_gud.tasks.restoration import Restored, components, to_data
from keras_gud.tasks.task import register


@register(lambda image: {"partly_noised": image / 128.0 - 1.0, "t": 0.5})
def complete(model: Model, partly_noised: TensorLike, t: float, **options: Any) -> Restored:
    """Draws images given their state z(t) at time t of the model's schedule, or another one.

    On a sequential schedule, some parts of the image are nearly clean at that time and others pure
    noise: the reverse process from t to 0 completes it.

    Args:
        model: A trained `GUDModel`.
        partly_noised: ``U^T S z(t) + mean``, as from `noised`, in the model's units (see
            `data_scale` of `GUDModel`): float array of the model's data shape, or a batch of them.
        t: The time, a number in (0, 1].
        **options: See `Options`. Samplers of the probability flow give one completion of a z(t),
            those of the reverse SDE draw from the posterior. The schedule and its parameters must
            be those that the images were noised with.

    Returns:
        See `restore`.

    Raises:
        ValueError: for images of another size, NaN, or another time.
    """
    require_built(model, "it restores")
    t = _check_time(t, 0.0)
    x, single = inputs.as_images("partly_noised", partly_noised, [model.data_shape], "float")
    inputs.require_finite("partly_noised", x)
    chosen, params = Options.split(options)
    view = model.view_along(chosen.schedule, params=params)
    params = view.schedule.resolve(params, others=Options.names())
    condition = sampling_condition(model.conditions, len(x), **chosen.conditioning())
    for part in (params, condition):
        check_rows(part, len(x))
    z = ops.convert_to_numpy(view.prior(components(view, x)))
    result = model.session.sampler(chosen.sampler).integrate(
        Guided.of(model.denoiser.in_view(view), chosen.guide),
        view.schedule,
        np.repeat(z, chosen.draws, axis=0),
        (t, 0.0),
        denoise=True,
        first=posterior.draw_indices(len(x), chosen.draws),
        condition=posterior.repeat_rows(condition, chosen.draws),
        **chosen.for_sampler(),
        **posterior.repeat_rows(params, chosen.draws),
    )
    z0 = result.reshape(len(x), chosen.draws, *result.shape[1:])
    return to_data(model, view, z0, chosen, single)


def noised(
    model: Model,
    image: TensorLike,
    t: float,
    seed: int = 0,
    schedule: Identifier | None = None,
    **params: Any,
) -> np.ndarray:
    """Clean images noised to time t of a schedule, for `complete`.

    Args:
        model: A trained `GUDModel`.
        image: Array of the model's data shape, or a batch of them, in the data's units.
        t: The time, a number in [0, 1].
        seed: The noise of image i depends on (seed, i) alone.
        schedule: As in `GUDModel.sample`; default: the model's own.
        **params: Parameters of the schedule.

    Returns:
        float32 array of the image's shape, ``U^T S z(t) + mean`` in the model's units.

    Raises:
        ValueError: for images of another size, NaN, or another time.
    """
    require_built(model, "it restores")
    view, t = model.view_along(schedule, params=params), _check_time(t, -1.0)
    x, single = inputs.as_images("image", image, [model.data_shape], model.data_space.kind)
    inputs.require_finite("image", x)
    scaling = model.data_space.scaling
    z0 = view.prior(components(view, scaling.expected(x)))
    params = view.schedule.resolve(params, others=("seed", "schedule"))
    eps = counter_rng.normal(counter_rng.sample_keys(seed, len(x)), 0, model.data_shape)
    z = view.schedule(np.float32(t), **params).add_noise(z0, eps)
    phi = ops.convert_to_numpy(view.basis.inverse(view.prior.inverse(z)))
    return phi[0] if single else phi


def _check_time(t: Any, above: float) -> float:
    """The time as a float, if it is a number > `above` in [0, 1]."""
    if not isinstance(t, Real) or not above < float(t) <= 1.0 or float(t) < 0.0:
        low = "(" if above == 0.0 else "["
        raise ValueError(f"Expected `t` to be a number in {low}0, 1]. Received: t={t!r}.")
    return float(t)
