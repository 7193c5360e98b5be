"""How far a noising state is from those that a network was trained on.

The distance of two states is the largest difference of gamma over the components; that of a state
from a view is the least distance from a state of its paths, with observations if it has some.
"""

import itertools
import warnings
from collections.abc import Iterable

import numpy as np
from keras import ops

from keras_gud.core.types import ArrayLike
from keras_gud.diffusion.noising_state import NoisingState
from keras_gud.regions.view import View

# Gamma may be this far from trained states before a warning: networks are smooth in gamma.
_TOLERANCE = 0.5
_TIMES = np.linspace(0.0, 1.0, 129, dtype="float32")
# Values of each parameter of a family, by the number of parameters.
_VALUES = {1: 33, 2: 9}
# Components this close to the path are on it.
_ON_PATH = 1e-3


def check_region(views: Iterable[View], view: View, gamma: ArrayLike, gamma_map: bool) -> None:
    """Warns if states are outside the region that the network was trained on, and by how much.

    Args:
        views: All views of the model.
        view: The one in whose components the states are.
        gamma: Some states, ``(k, *data_shape)``.
        gamma_map: Whether the network is given gamma for every pixel.

    Warns:
        UserWarning: with the largest distance in gamma, and the largest difference between the
            gamma of a component and that of its token, the mean over a group.
    """
    exact = gamma_map and not view.basis.mixes_space
    states = np.asarray(gamma, "float64")
    token_error = 0.0 if exact else max(_token_error(view, state) for state in states)
    near = [distances_from_view(other, states) for other in views if other.basis is view.basis]
    gap = np.min(near, axis=0).max()
    if max(gap, token_error) <= _TOLERANCE:
        return
    reasons, advice = [], []
    if gap > _TOLERANCE:
        reasons.append(f"the nearest trained state is {gap:.1f} away in gamma")
        advice.append("the task's name in `region`, e.g. GUD(..., region=['inpaint'])")
    if token_error > _TOLERANCE:
        reasons.append(
            f"gamma differs by up to {token_error:.1f} within groups of components of which the "
            "network is given the mean alone"
        )
        advice.append(f"more than max_tokens={view.tokens.max_tokens}")
    warnings.warn(
        "This task leaves the noising states that the network was trained on: "
        f"{' and '.join(reasons)} ({type(view.basis).__name__} basis). Train with "
        f"{' and '.join(advice)}.",
        stacklevel=3,
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
    paths, index = _paths(view)
    ends = [_gamma_of_groups(view, view.schedule(end)).ravel() for end in (0.0, 1.0)]
    return np.array([_distance(view, paths, index, ends, state) for state in gamma])


def _distance(
    view: View, paths: np.ndarray, index: np.ndarray, ends: list[np.ndarray], gamma: np.ndarray
) -> float:
    """The distance of one state from a view.

    Args:
        view: The view.
        paths: Gamma of every group on its paths, ``(n, n_groups)``.
        index: Group of every component, `data_shape`.
        ends: Gamma of every group at t = 0 and t = 1, ``(n_groups,)`` each.
        gamma: The state, `data_shape`.
    """
    # Components that share group and gamma need to be looked at once.
    pairs = np.stack([index.ravel(), np.ravel(gamma)], axis=1)
    group, gamma = np.unique(np.round(pairs, 4), axis=0).T
    group = group.astype(int)
    paths, (first, last) = paths[:, group], (end[group] for end in ends)
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


def _paths(view: View) -> tuple[np.ndarray, np.ndarray]:
    """Gamma of every group on all paths, ``(n, n_groups)``, and the group of every component."""
    ranges = {name: r for name, r in view.schedule.ranges.items() if r[0] < r[1]}
    count = _VALUES.get(len(ranges), 5)
    values = [np.linspace(low, high, count) for low, high in ranges.values()]
    index = np.broadcast_to(ops.convert_to_numpy(view.schedule.groups), view.basis.data_shape)
    rows = []
    for chosen in itertools.product(*values):
        state = view.schedule(_TIMES, **dict(zip(ranges, chosen, strict=True)))
        rows.append(_gamma_of_groups(view, state))
    return np.concatenate(rows), index


def _gamma_of_groups(view: View, state: NoisingState) -> np.ndarray:
    """Gamma of a state by group, ``(rows, n_groups)``."""
    gamma = ops.convert_to_numpy(state.gamma)
    groups = ops.convert_to_numpy(view.schedule.groups)
    gamma = np.broadcast_to(gamma, (len(gamma), *groups.shape)).reshape(len(gamma), -1)
    _, first = np.unique(groups, return_index=True)
    return gamma[:, first].astype("float64")


def _token_error(view: View, gamma: np.ndarray) -> float:
    """The largest difference between a component's gamma and its token's."""
    tokens = view.tokens
    token = ops.convert_to_numpy(tokens.token_of).reshape(tokens.group_shape)
    token = np.broadcast_to(token, gamma.shape).ravel()
    mean = np.bincount(token, weights=gamma.ravel()) / np.bincount(token)
    return float(np.abs(gamma.ravel() - mean[token]).max())
