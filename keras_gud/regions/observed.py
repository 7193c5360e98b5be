"""Random observations for training: which components are known, and how well (DESIGN sec. 3.10).

An observed component is held at the gamma of its observation. A network that has met such states
restores what is missing without guidance.
"""

import math

import numpy as np
from keras import ops

from keras_gud.core.data_shape import spatial_shape

# Labels with more values (frequencies of a large image) are observed from the first value on only:
# the network is not told such groups one by one.
_MOST_SUBSETS = 64
# Of observations, one half is free of noise.
_EXACT = 0.5


def draw_levels(kinds, uniform, view):
    """How well each component is observed: 0 free of noise, 1 pure noise, infinite not at all.

    Args:
        kinds: Names: ``"pixels"``, ``"boxes"``, ``"noise"``, ``"blur"`` or a coordinate of the
            basis. Every sample takes one of them, all with the same probability.
        uniform: Callable that returns float32 uniforms ``(batch, *shape)`` for a shape, new ones
            at every call.
        view: The `View` whose components they are.

    Returns:
        float32, broadcasts against ``(batch, *data_shape)``.
    """
    ones = (1,) * len(view.basis.data_shape)
    choice = ops.floor(uniform(ones) * len(kinds))
    levels = None
    for i, kind in enumerate(kinds):
        drawn = _DRAWS.get(kind, _subset)(uniform, view, kind)
        levels = drawn if levels is None else ops.where(choice == i, drawn, levels)
    return levels


def caps(levels, first, last):
    """The gamma at which components are held, from their levels: infinite where not observed.

    Args:
        levels: As `draw_levels` returns them.
        first: Gamma at t = 0.
        last: Gamma at t = 1.
    """
    return first + levels * (last - first)


def check_kinds(kinds, argument="observed") -> tuple[str, ...]:
    """The names as a tuple; coordinates are checked when a basis is known."""
    kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    if not all(isinstance(kind, str) and kind for kind in kinds):
        raise ValueError(
            f"Expected `{argument}` to be names: {sorted(_DRAWS)} or coordinates of the basis. "
            f"Received: {argument}={kinds!r}."
        )
    return kinds


def check_view(view, coordinates):
    """Raises a `ValueError` for kinds of observations that the basis does not have."""
    for kind in view.observed:
        if kind in ("pixels", "boxes") and view.basis.mixes_space:
            raise ValueError(
                f"Expected a basis whose components are pixels for observed={kind!r}. "
                f"Received: basis={type(view.basis).__name__}."
            )
        needed = "frequency" if kind == "blur" else kind
        if (kind == "blur" or kind not in _DRAWS) and needed not in coordinates:
            raise ValueError(
                f"Expected `observed` to be one of {sorted(_DRAWS)}, or a coordinate of the "
                f"{type(view.basis).__name__} basis, one of {sorted(coordinates)}. "
                f"Received: observed={kind!r}."
            )


# -- the kinds -------------------------------------------------------------------------------------


def _pixels(uniform, view, kind):
    """Pixels independently, with a density of its own in every sample; all channels together."""
    data_shape = view.basis.data_shape
    spatial = spatial_shape(data_shape)
    positions = (*spatial, *[1] * (len(data_shape) - len(spatial)))
    density = uniform((1,) * len(data_shape))
    return _hold(uniform(positions) < density, uniform, view)


def _boxes(uniform, view, kind):
    """A box is observed, or all around it."""
    data_shape = view.basis.data_shape
    inside = True
    for axis, size in enumerate(spatial_shape(data_shape)):
        ones = [1] * len(data_shape)
        place = np.reshape((np.arange(size) + 0.5) / size, [*ones[:axis], size, *ones[axis + 1 :]])
        place = ops.convert_to_tensor(place, "float32")
        first, second = uniform(ones), uniform(ones)
        between = ops.logical_and(
            place >= ops.minimum(first, second), place < ops.maximum(first, second)
        )
        inside = ops.logical_and(inside, between)
    return _hold(ops.not_equal(inside, uniform(ones) < 0.5), uniform, view)


def _subset(uniform, view, coordinate):
    """Some values of a coordinate: the first few (half of the samples), all but a run of them, or
    each with a probability of the sample's own.
    """
    values, index = np.unique(np.round(view.basis.coordinates[coordinate], 6), return_inverse=True)
    index = index.reshape(view.basis.data_shape)
    ones = (1,) * index.ndim
    place = ops.convert_to_tensor((index + 0.5) / len(values), "float32")
    first, second, choice = uniform(ones), uniform(ones), uniform(ones)
    observed = place < first
    if len(values) <= _MOST_SUBSETS:
        run = (place > ops.minimum(first, second)) & (place < ops.maximum(first, second))
        each = uniform((len(values),)) < ops.reshape(uniform(ones), (-1, 1))
        each = ops.reshape(ops.take(each, index.ravel(), axis=1), (-1, *index.shape))
        others = ops.where(choice < 0.75, ops.logical_not(run), each)
        observed = ops.where(choice < 0.5, observed, others)
    return _hold(observed, uniform, view)


def _noise(uniform, view, kind):
    """All components with noise, more of it in some than in others.

    Gamma is constant within the schedule's groups, unless components are pixels: then each pixel
    has its own.
    """
    if view.basis.mixes_space:
        spread = view.schedule.spread(uniform((view.schedule.n_groups,)))
    else:
        spread = uniform(_per_pixel(view.basis.data_shape))
    ones = (1,) * len(view.basis.data_shape)
    low, high = uniform(ones), uniform(ones)
    return low + (high - low) * spread


def _blur(uniform, view, kind):
    """Noise over the square of a blur's response: it grows with |k|^2, for a Gaussian exactly."""
    k = view.basis.coordinates["frequency"]
    ones = (1,) * k.ndim
    start = 0.7 * uniform(ones)
    # Ratio of the rise up to the highest frequency to the whole range of gamma, log-uniform.
    rise = ops.exp(math.log(0.2) + math.log(100.0) * uniform(ones))
    level = start + rise * ops.convert_to_tensor((k / k.max()) ** 2, "float32")
    return ops.where(level < 1.0, level, math.inf)


_DRAWS = {"pixels": _pixels, "boxes": _boxes, "noise": _noise, "blur": _blur}


def _per_pixel(data_shape):
    return data_shape if len(data_shape) == 1 else (*data_shape[:-1], 1)


def _hold(observed, uniform, view):
    """One level for all that is observed: 0 in half of the samples, else any."""
    ones = (1,) * len(view.basis.data_shape)
    level = ops.where(uniform(ones) < _EXACT, 0.0, uniform(ones))
    return ops.where(observed, level, math.inf)
