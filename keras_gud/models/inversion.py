"""Data as the noise that the probability flow makes of them, and back (paper eq. 25).

Methods of `GUDModel`, which sets them as its attributes; all use the averaged weights.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud import backend
from keras_gud.conditioning.given import sampling_condition
from keras_gud.core.arguments import check_integer, require_built
from keras_gud.core.types import Array, ArrayLike, Identifier
from keras_gud.data.arrays import BATCH_SIZE
from keras_gud.models.data_space import require_shape
from keras_gud.models.sampling import to_data
from keras_gud.samplers import Sampler


@backend.in_strategy_scope
def to_noise(
    model: keras.Model,
    x: ArrayLike,
    labels: ArrayLike | None = None,
    guidance: ArrayLike = 1.0,
    *,
    condition: Any = None,
    sampler: str | dict | Sampler = "adaptive",
    batch_size: int | None = None,
    schedule: Identifier | None = None,
    **arguments: Any,
) -> Array:
    """Data to noise, by the probability flow (paper eq. 25) from t = 0 to 1.

    The flow has no randomness, so that `from_noise` gives the data back within the solver's
    tolerance (and that of the network's steepness in between).

    Args:
        x: Array ``(n, *data_shape)`` in the data's own units.
        labels: As in `sample`.
        guidance: As in `sample`.
        condition: As in `sample`.
        sampler: A Runge-Kutta sampler: ``"adaptive"``, ``"tsit5"``, ``"rk4"``, ``"heun"``, ...
        batch_size: Examples computed at a time; default: min(n, 128).
        schedule: As in `sample`.
        **arguments: `steps` (of ``"adaptive"`` the limit), `progress`, and parameters of the
            schedule; those left open take the middle of their range.

    Returns:
        float32 ``(n, *data_shape)``: components z(1), nearly N(0, 1) for likely data.

    Raises:
        ValueError: for data that the model was not trained on, or another sampler.
    """
    require_built(model, "it inverts data")
    phi = ops.convert_to_tensor(model.data_space.to_model(x, batch_size))
    view = model.view_along(schedule, params=arguments)
    z0 = ops.convert_to_numpy(view.prior(view.basis(phi)))
    z = z0 * _first_alpha(view, arguments)
    how = {"condition": condition, "labels": labels, "guidance": guidance}
    given = sampling_condition(model.conditions, len(z), **how)
    return _flow(model, view, z, (0.0, 1.0), given, sampler, batch_size, arguments)


@backend.in_strategy_scope
def from_noise(
    model: keras.Model,
    z: ArrayLike,
    labels: ArrayLike | None = None,
    guidance: ArrayLike = 1.0,
    *,
    condition: Any = None,
    sampler: str | dict | Sampler = "adaptive",
    batch_size: int | None = None,
    schedule: Identifier | None = None,
    **arguments: Any,
) -> Array:
    """Noise to data, by the probability flow from t = 1 to 0: the inverse of `to_noise`.

    Args:
        z: Array ``(n, *data_shape)``, components at t = 1.
        labels: As in `sample`.
        guidance: As in `sample`.
        condition: As in `sample`.
        sampler: Any sampler of `sample`; those with noise of their own are no inverse.
        batch_size: As in `to_noise`.
        schedule: As in `to_noise`, the same.
        **arguments: As in `to_noise`.

    Returns:
        Array ``(n, *data_shape)``, data in their own units, ``z(0)/alpha(0)``.
    """
    require_built(model, "it generates")
    z = require_shape(z, model.data_shape, "z")
    how = {"condition": condition, "labels": labels, "guidance": guidance}
    given = sampling_condition(model.conditions, len(z), **how)
    batch_size = BATCH_SIZE if batch_size is None else batch_size
    view = model.view_along(schedule, params=arguments)
    z = _flow(model, view, z, (1.0, 0.0), given, sampler, batch_size, arguments)
    return to_data(model, z / _first_alpha(view, arguments), batch_size, view)


def interpolate(
    model: keras.Model,
    first: ArrayLike,
    second: ArrayLike,
    n: int = 8,
    labels: ArrayLike | None = None,
    guidance: ArrayLike = 1.0,
    **arguments: Any,
) -> Array:
    """Data on the way from one example to another, along a great circle between their noises.

    Args:
        first: One example, array of `data_shape`.
        second: Another one.
        n: Number of examples, >= 2, both ends included (as the flow gives them back).
        labels: As in `sample`, one or n; the ends are inverted with the first and the last.
        guidance: As in `sample`.
        **arguments: As in `to_noise`; a `condition` is that of all.

    Returns:
        Array ``(n, *data_shape)`` in the data's own units.
    """
    n = check_integer("n", n, 2)
    pair = [backend.to_numpy(first), backend.to_numpy(second)]
    if pair[0].shape != pair[1].shape:
        raise ValueError(
            "Expected `first` and `second` to be two examples of the same shape. "
            f"Received: shapes {pair[0].shape} and {pair[1].shape}."
        )
    ends = labels if labels is None or np.ndim(labels) == 0 else np.asarray(labels)[[0, -1]]
    z = to_noise(model, np.stack(pair), ends, guidance, **arguments)
    path = spherical(z[0], z[1], np.linspace(0.0, 1.0, n))
    return from_noise(model, path, labels, guidance, **arguments)


@backend.in_strategy_scope
def _flow(model, view, z, times, given, sampler, batch_size, arguments) -> Array:
    batch_size = BATCH_SIZE if batch_size is None else batch_size
    parts = model.denoiser.in_view(view), view.schedule, z, times
    return model.session.sampler(sampler).integrate(
        *parts, batch_size=batch_size, condition=given, **arguments
    )


def _first_alpha(view, arguments: dict[str, Any]) -> Array:
    """Alpha of every component at t = 0."""
    params = {k: v for k, v in arguments.items() if k not in ("steps", "progress")}
    others = ("steps", "progress", "sampler", "batch_size", "schedule")
    params = view.schedule.resolve(params, others)
    return ops.convert_to_numpy(view.schedule(0.0, **params).alpha)


def spherical(a: Array, b: Array, weights: ArrayLike) -> Array:
    """Points on the great circle from a to b, whose lengths go from one's to the other's.

    A straight line between two noises would pass points that are too short to be noise.

    Args:
        a: Array of any shape.
        b: Array of the same shape.
        weights: Places between them, ``(n,)``: 0 is a, 1 is b.

    Returns:
        float32 ``(n, *a.shape)``.

    Example:

    >>> import numpy as np
    >>> middle = spherical(np.array([1.0, 0.0]), np.array([0.0, 1.0]), [0.5])
    >>> middle.round(3).tolist()
    [[0.7070000171661377, 0.7070000171661377]]
    """
    lengths = np.linalg.norm(a), np.linalg.norm(b)
    cosine = np.clip(np.vdot(a, b) / max(lengths[0] * lengths[1], 1e-30), -1.0, 1.0)
    angle = float(np.arccos(cosine))
    w = np.reshape(np.asarray(weights, "float64"), (-1, *[1] * a.ndim))
    if angle < 1e-4 or angle > np.pi - 1e-4:  # one direction, or opposite ones: no circle
        return ((1.0 - w) * a + w * b).astype("float32")
    units = a / lengths[0], b / lengths[1]
    direction = np.sin((1.0 - w) * angle) * units[0] + np.sin(w * angle) * units[1]
    length = (1.0 - w) * lengths[0] + w * lengths[1]
    return (length * direction / np.sin(angle)).astype("float32")
