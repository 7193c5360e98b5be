"""The denoiser that sampling calls, and what it is called with: conditions and guidance."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud.conditioning.conditions import GUIDANCE
from keras_gud.conditioning.given import check_guidance, sampling_condition
from keras_gud.core.arguments import require_built
from keras_gud.core.types import ArrayLike, DenoiserFunction
from keras_gud.diffusion.autoguidance import Autoguided
from keras_gud.regions import View

# How far the statistics of two models may differ, relative to the scale of the components.
_SAME = 0.01


def denoiser_and_condition(
    model: keras.Model,
    view: View,
    n: int,
    *,
    condition: Any = None,
    labels: ArrayLike | None = None,
    guidance: ArrayLike | Mapping[str, ArrayLike] = 1.0,
    interval: tuple[float, float] | None = None,
    weaker: keras.Model | None = None,
) -> tuple[DenoiserFunction, dict[str, np.ndarray]]:
    """What n samples are drawn with.

    Args:
        model: The model.
        view: Its view along the path.
        n: Number of samples.
        condition: As in `GUDModel.sample`.
        labels: As in `GUDModel.sample`.
        guidance: As in `GUDModel.sample`.
        interval: As in `GUDModel.sample`.
        weaker: The `guidance_model` of `GUDModel.sample`.

    Returns:
        The denoiser and a dict of arrays of one row or n.

    Raises:
        ValueError: as `sampling_condition`; for a weaker model of other components.
    """
    given: dict[str, Any] = {"condition": condition, "labels": labels}
    denoiser = model.denoiser.in_view(view)
    if weaker is None:
        given |= {"guidance": guidance, "interval": interval}
        return denoiser, sampling_condition(model.conditions, n, **given)
    if interval is not None or isinstance(guidance, Mapping):
        raise ValueError(
            "Expected a number, or one for each sample, as `guidance` with a `guidance_model`, and "
            f"no interval. Received: guidance={guidance!r}, guidance_interval={interval!r}."
        )
    strength = {GUIDANCE: check_guidance(guidance, n)}
    found = sampling_condition(model.conditions, n, **given)
    return Autoguided.of(denoiser, _of_same_components(weaker, view)), found | strength


def _of_same_components(weaker: keras.Model, view: View) -> DenoiserFunction:
    require_built(weaker, "it guides")
    for other in weaker.views:
        if _same(view, other):
            return weaker.denoiser.in_view(other)
    raise ValueError(
        "Expected a `guidance_model` of the same basis, prior and data as the model. "
        f"Received: one in {type(weaker.basis).__name__} for data of shape {weaker.data_shape}."
    )


def _same(a: View, b: View) -> bool:
    if type(a.basis) is not type(b.basis) or a.basis.data_shape != b.basis.data_shape:
        return False
    scale, other = (ops.convert_to_numpy(view.prior.scale) for view in (a, b))
    mean, other_mean = (ops.convert_to_numpy(view.prior.mean) for view in (a, b))
    apart = np.abs(mean - other_mean) / scale
    return bool(np.allclose(scale, other, rtol=_SAME) and (apart < 10.0 * _SAME).all())
