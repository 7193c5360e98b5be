"""How far a noising state is from those that a network was trained on.

The distance of two states is the largest difference of gamma over the components; that of a state
from a view is the least distance from a state of its paths, with observations if it has some.
"""

import itertools
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from keras import ops

from keras_gud.conditioning.local_gamma import count_scales, varies_in_space
from keras_gud.core.types import ArrayLike
from keras_gud.diffusion.noising_state import NoisingState
from keras_gud.regions.observed import PIXEL_KINDS, patterns
from keras_gud.regions.view import View

# Gamma may be this far from trained states before a warning: networks are smooth in gamma.
TOLERANCE = 0.5
# What tells a network the gamma of every pixel.
_GAMMA_MAP = "a `backbone` with gamma_map=True (one that is given by name has it)"
_TIMES = np.linspace(0.0, 1.0, 129, dtype="float32")
# Values of each parameter of a family, by the number of parameters.
_VALUES = {1: 33, 2: 9}
# Of more groups, as of a schedule with one for each component, so many are looked at.
_MOST_GROUPS = 2048
# Gamma is compared in these steps; a group and a gamma make one number.
_STEP, _PAIR = 1e-4, 2**32
# Components this close to the path are on it.
_ON_PATH = 1e-3


@dataclass(frozen=True)
class Gap:
    """How far some states are from those that a network was trained on, in gamma.

    Attributes:
        nearest: The distance of each state from the nearest trained one, float64 ``(k,)``.
        within: The largest difference, in each state, between the gamma of a component and that of
            its token, the mean over a group, of which alone the network knows; ``(k,)``.
    """

    nearest: np.ndarray
    within: np.ndarray

    @property
    def largest(self) -> float:
        """The larger one of both in the worst state."""
        return float(np.maximum(self.nearest, self.within).max())

    @property
    def is_trained(self) -> bool:
        """Whether all states are as good as trained ones."""
        return self.largest <= TOLERANCE

    def in_words(self, view: View) -> tuple[str, str]:
        """What is wrong, and what would mend it.

        Args:
            view: The view in whose components the states are.
        """
        reasons, advice = [], []
        if self.nearest.max() > TOLERANCE:
            reasons.append(f"the nearest trained state is {self.nearest.max():.1f} away in gamma")
            advice.append(
                "the task's or the schedule's name in `region`, e.g. GUD(..., region=['inpaint'])"
            )
        if self.within.max() > TOLERANCE:
            reasons.append(
                f"gamma differs by up to {self.within.max():.1f} within groups of components of "
                "which the network is given the mean alone"
            )
            tokens = f"more than max_tokens={view.tokens.max_tokens}"
            advice.append(tokens if view.basis.mixes_space else _GAMMA_MAP)
        return " and ".join(reasons), " and ".join(advice)


def measure_gap(views: Iterable[View], view: View, gamma: ArrayLike, gamma_map: bool) -> Gap:
    """How far states are from the region that the network was trained on.

    Args:
        views: All views of the model.
        view: The one in whose components the states are.
        gamma: Some states, ``(k, *data_shape)``.
        gamma_map: Whether the network is given gamma for every pixel.
    """
    exact = gamma_map and view.basis.n_scales == 1
    states = np.asarray(gamma, "float64")
    within = np.array([0.0 if exact else _token_error(view, state) for state in states])
    near = [distances_from_view(other, states) for other in views if other.basis is view.basis]
    return Gap(np.min(near, axis=0), within)


def check_region(
    views: Iterable[View], view: View, gamma: ArrayLike, gamma_map: bool, what: str = "This task"
) -> None:
    """Warns if states are outside the region that the network was trained on, and by how much.

    Args:
        views: As in `measure_gap`.
        view: As in `measure_gap`.
        gamma: As in `measure_gap`.
        gamma_map: As in `measure_gap`.
        what: What leaves the region, for the message.

    Warns:
        UserWarning: with the largest distance in gamma, and the largest difference between the
            gamma of a component and that of its token.
    """
    warn_of_gap(measure_gap(views, view, gamma, gamma_map), view, what)


def warn_of_gap(gap: Gap, view: View, what: str) -> None:
    """Warns of states outside the trained region, with the remedy.

    Args:
        gap: From `measure_gap`.
        view: The view in whose components the states are.
        what: What leaves the region.
    """
    if gap.is_trained:
        return
    reasons, advice = gap.in_words(view)
    warnings.warn(
        f"{what} leaves the noising states that the network was trained on: {reasons} "
        f"({type(view.basis).__name__} basis). Train with {advice}.",
        stacklevel=4,
    )


def gamma_scales(views: Iterable[View]) -> int:
    """How many gammas of each value a network is given; see `conditioning.local_gamma`."""
    return count_scales(view.basis for view in views)


def has_local_states(views: Iterable[View], missing: bool = False) -> bool:
    """Whether gamma may differ between positions of the data in a state of one of the views.

    Args:
        views: All views of the model.
        missing: Whether values of the data may be missing.
    """
    return missing or any(
        varies_in_space(view.basis, values)
        for view in views
        for values in (view.schedule.groups, *patterns(view.observed, view.basis))
    )


def check_gamma_map(views: Sequence[View], takes_it: bool, missing: bool = False) -> None:
    """Whether a network can be told the states of the views.

    Args:
        views: All views of the model.
        takes_it: Whether the network is given gamma for every pixel.
        missing: Whether values of the data may be missing.

    Raises:
        ValueError: if it is, and no position has a gamma of its own in any view; if it is not, and
            values may be missing.

    Warns:
        UserWarning: if it is not, and masks of pixels are drawn in training.
    """
    if takes_it and all(view.basis.n_scales == 0 for view in views):
        raise ValueError(
            "Expected a `basis` whose components are pixels or wavelets for a `backbone` with "
            f"gamma_map=True. Received: basis={views[0].basis.name!r}."
        )
    if missing and not takes_it:
        raise ValueError(
            f"Expected {_GAMMA_MAP} with missing=True, which is told what is missing. Received: a "
            "network without."
        )
    masks = {kind for view in views for kind in view.observed} & set(PIXEL_KINDS)
    if masks and not takes_it:
        warnings.warn(
            f"The network is not told which pixels are observed ({', '.join(sorted(masks))} of the "
            f"`region`), so that its in-painting will be poor. Give {_GAMMA_MAP}.",
            stacklevel=4,
        )


def distances_from_view(view: View, gamma: np.ndarray) -> np.ndarray:
    """The distances of some states from the nearest trained ones of a view.

    Args:
        view: The view.
        gamma: The states, ``(k, *data_shape)``.

    Returns:
        float64 ``(k,)``.
    """
    # The states of the whole family are most of the work, and the same for all of `gamma`.
    kept = _kept_groups(view.schedule.n_groups)
    paths, index = _paths(view, kept)
    ends = [_gamma_of_groups(view, view.schedule(end), kept).ravel() for end in (0.0, 1.0)]
    return np.array([_distance(view, paths, index, ends, state) for state in gamma])


def _distance(
    view: View, paths: np.ndarray, index: np.ndarray, ends: list[np.ndarray], gamma: np.ndarray
) -> float:
    """The distance of one state from a view.

    Args:
        view: The view.
        paths: Gamma of every kept group on its paths, ``(n, n_kept)``.
        index: Place among the kept groups of every component, `data_shape`; -1: it is not kept.
        ends: Gamma of every kept group at t = 0 and t = 1, ``(n_kept,)`` each.
        gamma: The state, `data_shape`.
    """
    # Components that share group and gamma need to be looked at once; a pair as one number, since
    # numbers are sorted far sooner than rows.
    place = np.round(np.ravel(gamma) / _STEP).astype("int64") + _PAIR // 2
    group, place = np.divmod(np.unique(index.ravel().astype("int64") * _PAIR + place), _PAIR)
    gamma = (place - _PAIR // 2) * _STEP
    group, gamma = group[group >= 0], gamma[group >= 0]
    paths, (first, last) = paths[:, group], (end[group] for end in ends)
    if view.draws_levels:  # between the ends, each group may be anywhere
        return float(np.maximum(np.maximum(first - gamma, gamma - last), 0.0).max())
    if not view.observed:
        return float(np.abs(paths - gamma).max(axis=1).min())
    miss = np.maximum(np.maximum(gamma - paths, first - gamma), 0.0).max(axis=1)
    if not {"noise", "blur"} & set(view.observed):
        # In training all observed components of a sample have the same level of noise.
        held = gamma < paths - _ON_PATH
        level = (gamma - first) / (last - first)
        high = np.where(held, level, -np.inf).max(axis=1)
        low = np.where(held, level, np.inf).min(axis=1)
        spread = np.where(held.any(axis=1), high - low, 0.0)
        miss = np.maximum(miss, 0.5 * spread * (last - first).max())
    return float(miss.min())


def _kept_groups(n_groups: int) -> np.ndarray:
    """The groups that are looked at: all, or `_MOST_GROUPS` of them, ascending."""
    return np.unique(np.linspace(0, n_groups - 1, min(n_groups, _MOST_GROUPS)).astype(int))


def _paths(view: View, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gamma of the kept groups on all paths, and the place among them of every component."""
    ranges = {name: r for name, r in view.schedule.ranges.items() if r[0] < r[1]}
    count = _VALUES.get(len(ranges), 5)
    values = [np.linspace(low, high, count) for low, high in ranges.values()]
    place = np.full(view.schedule.n_groups, -1)
    place[kept] = np.arange(len(kept))
    groups = ops.convert_to_numpy(view.schedule.groups)
    index = np.broadcast_to(place[groups], view.basis.data_shape)
    rows = []
    for chosen in itertools.product(*values):
        state = view.schedule(_TIMES, **dict(zip(ranges, chosen, strict=True)))
        rows.append(_gamma_of_groups(view, state, kept))
    return np.concatenate(rows), index


def _gamma_of_groups(view: View, state: NoisingState, kept: np.ndarray) -> np.ndarray:
    """Gamma of a state in the kept groups, ``(rows, n_kept)``."""
    gamma = ops.convert_to_numpy(state.gamma)
    groups = ops.convert_to_numpy(view.schedule.groups)
    gamma = np.broadcast_to(gamma, (len(gamma), *groups.shape)).reshape(len(gamma), -1)
    _, first = np.unique(groups, return_index=True)
    return gamma[:, first[kept]].astype("float64")


def _token_error(view: View, gamma: np.ndarray) -> float:
    """The largest difference between a component's gamma and its token's."""
    tokens = view.tokens
    token = ops.convert_to_numpy(tokens.token_of).reshape(tokens.group_shape)
    token = np.broadcast_to(token, gamma.shape).ravel()
    mean = np.bincount(token, weights=gamma.ravel()) / np.bincount(token)
    return float(np.abs(gamma.ravel() - mean[token]).max())
