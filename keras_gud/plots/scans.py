"""Metrics over the parameters of a family of schedules (paper figs. 3 and 5)."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from keras_gud.core.types import ArrayLike
from keras_gud.plots.canvas import FONT_SIZE, TEXT_COLOUR, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def scan(
    x: ArrayLike,
    panels: Mapping[str, Mapping[str, tuple[ArrayLike, ArrayLike | None]]],
    xlabel: str,
    mark: float | None = None,
) -> "Figure":
    """Curves of metrics over one parameter, with error bars, one panel per metric (paper fig. 3).

    Args:
        x: The values of the parameter, ``(n,)``.
        panels: Dict from the name of a metric to a dict of curves: by name, pairs of arrays
            ``(n,)``, the metric and its standard error (or `None`).
        xlabel: Name of the parameter.
        mark: A value of the parameter to mark by a vertical line, such as that of standard
            diffusion, or `None`.

    Returns:
        A `matplotlib.figure.Figure` with one axes for each panel.

    Raises:
        ValueError: for curves of another length than `x`.
        ImportError: where Matplotlib is missing.

    Example:

    >>> from keras_gud import plots
    >>> a = np.array([0.5, 1.0, 1.5])
    >>> figure = plots.scan(a, {"bits/dim": {"whitened": (a, a / 10)}}, "a", mark=1.0)
    >>> len(figure.axes)
    1
    """
    x = np.asarray(x, "float64")
    figure = new_figure(420 * len(panels), 320, layout="constrained")
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (name, curves) in zip(row, panels.items(), strict=True):
        for label, (values, errors) in curves.items():
            if np.shape(values) != x.shape:
                raise ValueError(
                    f"Expected {len(x)} values for {label!r}, as many as in `x`. "
                    f"Received: shape {np.shape(values)}."
                )
            axes.errorbar(x, values, errors, label=label, marker="o", ms=4, capsize=3, lw=1.2)
        if mark is not None:
            axes.axvline(mark, color="0.7", lw=0.8, zorder=0)
        _finish(axes, name, xlabel)
        axes.legend(fontsize=FONT_SIZE - 2, frameon=False)
    return figure


def plane(
    x: ArrayLike,
    y: ArrayLike,
    values: ArrayLike,
    xlabel: str,
    ylabel: str,
    title: str,
    marks: Iterable[tuple[float, float]] = (),
) -> "Figure":
    """A metric over two parameters, as coloured points with their values (paper fig. 5).

    Args:
        x: The first parameter at every point, ``(n,)``.
        y: The second, ``(n,)``.
        values: The metric, ``(n,)``.
        xlabel: Name of the first parameter.
        ylabel: Name of the second.
        title: Name of the metric.
        marks: Points ``(x, y)`` to mark by a frame, such as those of standard diffusion.

    Returns:
        A `matplotlib.figure.Figure` with one axes for the points and one for the colours.

    Raises:
        ImportError: where Matplotlib is missing.
        ValueError: for `x`, `y` and `values` of different lengths.

    Example:

    >>> from keras_gud import plots
    >>> figure = plots.plane([0.0, 1.0], [0.5, 0.5], [3.0, 3.2], "r", "a", "bits/dim")
    >>> figure.axes[0].get_xlabel()
    'r'
    """
    figure = new_figure(520, 400, layout="constrained")
    axes = figure.subplots()
    points = axes.scatter(x, y, c=values, s=700, cmap="viridis_r", marker="s")
    how = {"ha": "center", "va": "center", "fontsize": FONT_SIZE - 3}
    for *position, value in zip(*map(np.asarray, (x, y, values)), strict=True):
        text = f"{value:.3g}" if abs(value) >= 1.0 else f"{value:.2g}"  # no wider than the point
        dark = points.norm(value) > 0.4
        axes.annotate(text, position, color="white" if dark else "black", **how)
    for mark_x, mark_y in marks:
        axes.plot(mark_x, mark_y, marker="s", fillstyle="none", color="black", ms=30, mew=1.5)
    axes.margins(0.15)
    figure.colorbar(points)
    _finish(axes, title, xlabel)
    axes.set_ylabel(ylabel, fontsize=FONT_SIZE, color=TEXT_COLOUR)
    return figure


def _finish(axes: "Axes", title: str, xlabel: str) -> None:
    axes.set_title(title, fontsize=FONT_SIZE, color=TEXT_COLOUR)
    axes.set_xlabel(xlabel, fontsize=FONT_SIZE, color=TEXT_COLOUR)
    axes.tick_params(labelsize=FONT_SIZE - 2, colors=TEXT_COLOUR)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
