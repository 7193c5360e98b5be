"""Schedules as paths through the space of noising states (paper fig. 1)."""

import numpy as np

from keras_gud.backend import to_numpy
from keras_gud.plots.canvas import FONT, INK, dark_to_light, new_figure, style


def paths(gammas, components=(0, 1), labels=None, between=None):
    """Paths of two components from data to noise, gamma against gamma (paper fig. 1).

    Where both have the same gamma, the path is the diagonal; where one waits for the other, it runs
    along the edges. The first path is drawn through, the others dashed.

    Args:
        gammas: Dict from the name of a schedule to gamma over time, `(n_times, n_components)` or
            `(n_times, *data_shape)`, from data (the first row) to noise (the last). The numbers of
            times may differ.
        components: Indices of the two components: the one along the horizontal axis, the other.
        labels: Names of the two; their indices unless given.
        between: Names of two of the paths: the states that they enclose are shaded, such as those
            that a network has been trained on. Or `None`.

    Returns:
        A `matplotlib.figure.Figure` with one axes.

    Raises:
        ValueError: if there is no path, or for shapes, components or names that do not fit.
        ImportError: where Matplotlib is missing.

    Example:
    >>> from keras_gud import plots
    >>> t = np.linspace(0, 1, 5)
    >>> figure = plots.paths({"at once": np.stack([t, t], axis=1)})
    >>> figure.axes[0].lines[0].get_xydata().shape
    (5, 2)
    """
    first, second = _pair("components", components)
    plane = {name: _plane(name, gamma, (first, second)) for name, gamma in gammas.items()}
    if not plane:
        raise ValueError("Expected `gammas` to hold at least one path. Received: gammas={}.")
    labels = [f"component {i}" for i in (first, second)] if labels is None else labels
    across, up = _pair("labels", labels)
    figure = new_figure(620, 440, layout="constrained")
    axes = figure.subplots()
    if between is not None:
        one, other = (_named(plane, name) for name in _pair("between", between))
        corners = np.concatenate([one, other[::-1]])
        axes.fill(*corners.T, color="0.92", linewidth=0, label="states in between", zorder=0)
    for i, ((name, path), colour) in enumerate(
        zip(plane.items(), dark_to_light(len(plane)), strict=True)
    ):
        axes.plot(*path.T, color=colour, linewidth=1.8, linestyle="--" if i else "-", label=name)
    _mark_ends(axes, list(plane.values()))
    axes.set_xlabel(rf"$\gamma_i(t)$ of {across}", fontsize=FONT, color=INK)
    axes.set_ylabel(rf"$\gamma_i(t)$ of {up}", fontsize=FONT, color=INK)
    axes.margins(0.12)
    axes.set_aspect("equal", adjustable="datalim")
    style(axes)
    figure.legend(loc="outside right center", fontsize=FONT - 2, frameon=False)
    return figure


def _pair(argument: str, values):
    if isinstance(values, str) or len(values) != 2 or values[0] == values[1]:
        raise ValueError(
            f"Expected `{argument}` to be two different ones. Received: {argument}={values!r}."
        )
    return values


def _plane(name, gamma, components) -> np.ndarray:
    """The two components of a path, `(n_times, 2)`."""
    gamma = to_numpy(gamma)
    if gamma.ndim < 2 or len(gamma) == 0:
        raise ValueError(
            "Expected `gammas` to hold arrays of shape (n_times, n_components). "
            f"Received: shape {gamma.shape} for {name!r}."
        )
    gamma = gamma.reshape(len(gamma), -1)
    if min(components) < 0 or max(components) >= gamma.shape[1]:
        raise ValueError(
            f"Expected `components` between 0 and {gamma.shape[1] - 1}, those of {name!r}. "
            f"Received: components={components!r}."
        )
    return gamma[:, list(components)]


def _named(plane, name) -> np.ndarray:
    if name not in plane:
        raise ValueError(
            f"Expected `between` to name two of the paths {sorted(plane)}. Received: {name!r}."
        )
    return plane[name]


def _mark_ends(axes, plane):
    """A dot where each path begins, a square where it ends, named below and above the first."""
    for row, marker, name, side in ((0, "o", "data", -1), (-1, "s", "noise", 1)):
        ends = np.stack([path[row] for path in plane])
        axes.scatter(*ends.T, marker=marker, s=42, color=INK, zorder=3)
        axes.annotate(
            name,
            ends[0],
            xytext=(0, 12 * side),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=FONT,
            color=INK,
        )
