"""Schedules as paths through the space of noising states (paper fig. 1)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_gud.backend import to_numpy
from keras_gud.core.types import TensorLike
from keras_gud.plots.canvas import FONT_SIZE, TEXT_COLOUR, dark_to_light, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def paths(
    gammas: Mapping[str, TensorLike],
    components: Sequence[int] = (0, 1),
    component_labels: Sequence[str] | None = None,
    between: Sequence[str] | None = None,
) -> "Figure":
    """Paths of two components from data to noise, gamma against gamma (paper fig. 1).

    Where both components have the same gamma, the path is the diagonal; where one is noised after
    the other, it follows the edges. The first path is a solid line, the others are dashed.

    Args:
        gammas: Dict from the name of a schedule to gamma over time, `(n_times, n_components)` or
            `(n_times, *data_shape)`, from data (the first row) to noise (the last). The numbers of
            times may differ.
        components: Indices of the two components, of the horizontal and of the vertical axis.
        component_labels: Names of the two; by default their indices.
        between: Names of two of the paths, or `None`. The states that they enclose are shaded, such
            as those that a network was trained on.

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
    curves = {name: _two_components(name, gamma, (first, second)) for name, gamma in gammas.items()}
    if not curves:
        raise ValueError("Expected `gammas` to hold at least one path. Received: gammas={}.")
    if component_labels is None:
        component_labels = [f"component {i}" for i in (first, second)]
    x_label, y_label = _pair("component_labels", component_labels)
    figure = new_figure(620, 440, layout="constrained")
    axes = figure.subplots()
    if between is not None:
        one, other = (_named(curves, name) for name in _pair("between", between))
        corners = np.concatenate([one, other[::-1]])
        axes.fill(*corners.T, color="0.92", linewidth=0, label="states in between", zorder=0)
    for i, ((name, path), colour) in enumerate(
        zip(curves.items(), dark_to_light(len(curves)), strict=True)
    ):
        axes.plot(*path.T, color=colour, linewidth=1.8, linestyle="--" if i else "-", label=name)
    _mark_ends(axes, list(curves.values()))
    axes.set_xlabel(rf"$\gamma_i(t)$ of {x_label}", fontsize=FONT_SIZE, color=TEXT_COLOUR)
    axes.set_ylabel(rf"$\gamma_i(t)$ of {y_label}", fontsize=FONT_SIZE, color=TEXT_COLOUR)
    axes.margins(0.12)
    axes.set_aspect("equal", adjustable="datalim")
    style(axes)
    figure.legend(loc="outside right center", fontsize=FONT_SIZE - 2, frameon=False)
    return figure


def _pair(argument: str, values: Sequence[Any]) -> Sequence[Any]:
    if isinstance(values, str) or len(values) != 2 or values[0] == values[1]:
        raise ValueError(
            f"Expected `{argument}` to be two different values. Received: {argument}={values!r}."
        )
    return values


def _two_components(name: str, gamma: TensorLike, components: tuple[int, int]) -> np.ndarray:
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


def _named(curves: dict[str, np.ndarray], name: str) -> np.ndarray:
    if name not in curves:
        raise ValueError(
            f"Expected `between` to name two of the paths {sorted(curves)}. Received: {name!r}."
        )
    return curves[name]


def _mark_ends(axes: "Axes", curves: list[np.ndarray]) -> None:
    """A dot at the start of each path, a square at its end; those of the first path are named."""
    for row, marker, name, side in ((0, "o", "data", -1), (-1, "s", "noise", 1)):
        ends = np.stack([path[row] for path in curves])
        axes.scatter(*ends.T, marker=marker, s=42, color=TEXT_COLOUR, zorder=3)
        axes.annotate(
            name,
            ends[0],
            xytext=(0, 12 * side),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=FONT_SIZE,
            color=TEXT_COLOUR,
        )
