"""How far a noising state lies from those that a network was trained on."""

import itertools
import warnings

import numpy as np
from keras import ops

from keras_gud.regions.paths import View

# Gamma may be this far from trained states before a warning: networks are smooth in gamma.
_TOLERANCE = 0.5
_TIMES = np.linspace(0.0, 1.0, 129, dtype="float32")
# Values of each parameter of a family, by the number of parameters.
_VALUES = {1: 33, 2: 9}
# Components this close to the path are on it.
_ON_PATH = 1e-3


def check_region(views, view: View, gamma, gamma_map: bool):
    """Warns if states are outside the region that the network was trained on, and by how much.

    Args:
        views: All views of the model.
        view: The one in whose components the states are.
        gamma: Some states, ``(k, *data_shape)``.
        gamma_map: Whether the network is given gamma for every pixel.

    Warns:
        UserWarning: with the largest distance in gamma, and the part of it that is due to the
            tokens, which have one gamma for all components of a group.
    """
    told = gamma_map and not view.basis.mixes_space
    states = np.asarray(gamma, "float64")
    untold = 0.0 if told else max(_untold(view, state) for state in states)
    near = [departure(other, states) for other in views if other.basis is view.basis]
    gap = np.min(near, axis=0).max()
    if max(gap, untold) <= _TOLERANCE:
        return
    reasons, advice = [], []
    if gap > _TOLERANCE:
        reasons.append(f"the nearest trained state is {gap:.1f} away in gamma")
        advice.append("the task's name in `region`, e.g. GUD(..., region=['inpaint'])")
    if untold > _TOLERANCE:
        reasons.append(
            f"gamma differs by up to {untold:.1f} within groups of components for which the "
            "network is told the mean alone"
        )
        advice.append(f"more than max_tokens={view.tokens.max_tokens}")
    warnings.warn(
        "This task leaves the noising states that the network was trained on: "
        f"{' and '.join(reasons)} ({type(view.basis).__name__} basis). Train with "
        f"{' and '.join(advice)}.",
        stacklevel=3,
    )


def departure(view: View, gamma: np.ndarray) -> np.ndarray:
    """The distances of some states from the nearest trained ones on a view's paths.

    The distance of two states is the largest difference of gamma over the components.

    Args:
        view: The view.
        gamma: The states, ``(k, *data_shape)``.

    Returns:
        float64 ``(k,)``.
    """
    # Tracing the whole family is most of the work, and the same for all states.
    paths, index = _paths(view)
    ends = [_grid(view, view.schedule(end)).ravel() for end in (0.0, 1.0)]
    return np.array([_distance(view, paths, index, ends, state) for state in gamma])


def _distance(view: View, paths, index, ends, gamma) -> float:
    """Of one state; `paths` and `ends` are gamma of every group, `index` a component's group."""
    # Components that share group and gamma are one.
    pairs = np.stack([index.ravel(), np.ravel(gamma)], axis=1)
    group, gamma = np.unique(np.round(pairs, 4), axis=0).T
    group = group.astype(int)
    paths, (first, last) = paths[:, group], (end[group] for end in ends)
    if not view.observed:
        return float(np.abs(paths - gamma).max(axis=1).min())
    miss = np.maximum(np.maximum(gamma - paths, first - gamma), 0.0).max(axis=1)
    if not {"noise", "blur"} & set(view.observed):
        # What is observed has one level of noise in training.
        held = gamma < paths - _ON_PATH
        level = (gamma - first) / (last - first)
        high = np.where(held, level, -np.inf).max(axis=1)
        low = np.where(held, level, np.inf).min(axis=1)
        spread = np.where(held.any(axis=1), high - low, 0.0)
        miss = np.maximum(miss, 0.5 * spread * (last - first).max())
    return float(miss.min())


def _paths(view: View):
    """Gamma of every group, ``(n, n_groups)``, all over the family; the group of a component."""
    ranges = {name: r for name, r in view.schedule.ranges.items() if r[0] < r[1]}
    count = _VALUES.get(len(ranges), 5)
    values = [np.linspace(low, high, count) for low, high in ranges.values()]
    index = np.broadcast_to(ops.convert_to_numpy(view.schedule.groups), view.basis.data_shape)
    rows = []
    for chosen in itertools.product(*values):
        state = view.schedule(_TIMES, **dict(zip(ranges, chosen, strict=True)))
        rows.append(_grid(view, state))
    return np.concatenate(rows), index


def _grid(view: View, state) -> np.ndarray:
    """Gamma of a state by group, ``(rows, n_groups)``."""
    gamma = ops.convert_to_numpy(state.gamma)
    groups = ops.convert_to_numpy(view.schedule.groups)
    gamma = np.broadcast_to(gamma, (len(gamma), *groups.shape)).reshape(len(gamma), -1)
    _, first = np.unique(groups, return_index=True)
    return gamma[:, first].astype("float64")


def _untold(view: View, gamma: np.ndarray) -> float:
    """The largest difference between a component's gamma and its token's."""
    tokens = view.tokens
    token = ops.convert_to_numpy(tokens.token_of).reshape(tokens.group_shape)
    token = np.broadcast_to(token, gamma.shape).ravel()
    mean = np.bincount(token, weights=gamma.ravel()) / np.bincount(token)
    return float(np.abs(gamma.ravel() - mean[token]).max())
