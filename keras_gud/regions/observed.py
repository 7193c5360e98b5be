"""Random observations for training: which components are known, and how well (DESIGN sec. 3.10).

An observed component stays at the gamma of its observation while the others move along the
schedule: ``gamma = min(gamma_schedule(t), gamma_observed)``. A network that is trained on such
states restores what is missing without guidance.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from keras import ops

from keras_gud.core.data_shape import spatial_shape
from keras_gud.core.types import Coordinates, Shape, Tensor

if TYPE_CHECKING:
    from keras_gud.regions.view import View

# shape -> new float32 uniforms ``(batch, *shape)`` in (0, 1).
Uniform: TypeAlias = Callable[[Shape], Tensor]
# Of coordinates with more values (frequencies of a large image) the first few values are observed
# and no other subsets: the tokens that the network sees do not resolve them.
_MAX_SUBSETS = 64
# Kinds of which every pixel may differ from its neighbours.
PIXEL_KINDS = ("pixels", "boxes")
# Probability that a side of a box is at the border of the data.
_AT_BORDER = 1 / 3
# Probability that an observation is free of noise.
_EXACT = 0.5


def patterns(kinds: Iterable[str], basis: Any) -> list[np.ndarray]:
    """For each kind of observation, values of which the level of a component is a function.

    Args:
        kinds: See `draw_levels`.
        basis: The built basis of the components.
    """
    each = np.arange(math.prod(basis.data_shape)).reshape(basis.data_shape)
    known = {"blur": basis.coordinates.get("frequency", each)}
    return [basis.coordinates.get(kind, known.get(kind, each)) for kind in kinds]


def draw_levels(kinds: Sequence[str], uniform: Uniform, view: "View") -> Tensor:
    """Noise level of the observation of each component.

    A level is the fraction of the way from gamma(0) to gamma(1): 0 for an observation without
    noise, 1 for pure noise; infinite for a component that is not observed.

    Args:
        kinds: Names: ``"pixels"``, ``"boxes"``, ``"noise"``, ``"blur"`` or a coordinate of the
            basis. Every sample takes one of them, all with the same probability.
        uniform: Callable from a shape to float32 uniforms ``(batch, *shape)`` in (0, 1), new ones
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


def caps(levels: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """The gamma at which observed components stay, from their levels; infinite for the others.

    Args:
        levels: As `draw_levels` returns them.
        first: Gamma at t = 0.
        last: Gamma at t = 1.
    """
    return first + levels * (last - first)


def check_kinds(kinds: str | Iterable[str], argument: str = "observed") -> tuple[str, ...]:
    """The kinds of observations as a tuple; names of coordinates are checked by `check_view`.

    Raises:
        ValueError: for anything but names; the message is about `argument`.
    """
    kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    if not all(isinstance(kind, str) and kind for kind in kinds):
        raise ValueError(
            f"Expected `{argument}` to be names: {sorted(_DRAWS)} or coordinates of the basis. "
            f"Received: {argument}={kinds!r}."
        )
    return kinds


def check_view(view: "View", coordinates: Coordinates) -> None:
    """Raises a `ValueError` for kinds of observations that are not possible in the view's basis."""
    for kind in view.observed:
        if kind in PIXEL_KINDS and view.basis.mixes_space:
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


def _pixels(uniform: Uniform, view: "View", kind: str) -> Tensor:
    """Each pixel, all channels together, with a probability that is drawn for every sample."""
    data_shape = view.basis.data_shape
    spatial = spatial_shape(data_shape)
    positions = (*spatial, *[1] * (len(data_shape) - len(spatial)))
    density = uniform((1,) * len(data_shape))
    return _same_level(uniform(positions) < density, uniform, view)


def _boxes(uniform: Uniform, view: "View", kind: str) -> Tensor:
    """The inside of a box, or all outside of it.

    Each side of the box is at the border in a third of the samples, so that strips, halves and
    corners are among them.
    """
    data_shape = view.basis.data_shape
    inside = True
    for axis, size in enumerate(spatial_shape(data_shape)):
        ones = (1,) * len(data_shape)
        centres = (np.arange(size) + 0.5) / size
        centres = np.reshape(centres, (*ones[:axis], size, *ones[axis + 1 :]))
        place = ops.convert_to_tensor(centres, "float32")
        first, second = uniform(ones), uniform(ones)
        low = ops.where(uniform(ones) < _AT_BORDER, 0.0, ops.minimum(first, second))
        high = ops.where(uniform(ones) < _AT_BORDER, 1.0, ops.maximum(first, second))
        between = ops.logical_and(place >= low, place < high)
        inside = ops.logical_and(inside, between)
    return _same_level(ops.not_equal(inside, uniform(ones) < 0.5), uniform, view)


def _subset(uniform: Uniform, view: "View", coordinate: str) -> Tensor:
    """Some values of a coordinate.

    In half of the samples the first few, in a quarter all but some neighbouring ones, in a quarter
    each value with a probability that is drawn for every sample.
    """
    values, index = np.unique(np.round(view.basis.coordinates[coordinate], 6), return_inverse=True)
    index = index.reshape(view.basis.data_shape)
    ones = (1,) * index.ndim
    place = ops.convert_to_tensor((index + 0.5) / len(values), "float32")
    first, second, choice = uniform(ones), uniform(ones), uniform(ones)
    observed = place < first
    if len(values) <= _MAX_SUBSETS:
        run = (place > ops.minimum(first, second)) & (place < ops.maximum(first, second))
        each = uniform((len(values),)) < ops.reshape(uniform(ones), (-1, 1))
        each = ops.reshape(ops.take(each, index.ravel(), axis=1), (-1, *index.shape))
        others = ops.where(choice < 0.75, ops.logical_not(run), each)
        observed = ops.where(choice < 0.5, observed, others)
    return _same_level(observed, uniform, view)


def _noise(uniform: Uniform, view: "View", kind: str) -> Tensor:
    """All components, with noise of different levels.

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


def _blur(uniform: Uniform, view: "View", kind: str) -> Tensor:
    """All components, with noise that grows with the frequency as after a Gaussian blur.

    White noise over the square of the blur's response: gamma is linear in |k|^2.
    """
    k = view.basis.coordinates["frequency"]
    ones = (1,) * k.ndim
    start = 0.7 * uniform(ones)
    # Ratio of the rise up to the highest frequency to the whole range of gamma, log-uniform.
    rise = ops.exp(math.log(0.2) + math.log(100.0) * uniform(ones))
    level = start + rise * ops.convert_to_tensor((k / k.max()) ** 2, "float32")
    return ops.where(level < 1.0, level, math.inf)


_DRAWS = {"pixels": _pixels, "boxes": _boxes, "noise": _noise, "blur": _blur}


def _per_pixel(data_shape: Shape) -> Shape:
    return data_shape if len(data_shape) == 1 else (*data_shape[:-1], 1)


def _same_level(observed: Tensor, uniform: Uniform, view: "View") -> Tensor:
    """The same level for all that is observed: 0 in half of the samples, else uniform."""
    ones = (1,) * len(view.basis.data_shape)
    level = ops.where(uniform(ones) < _EXACT, 0.0, uniform(ones))
    return ops.where(observed, level, math.inf)
