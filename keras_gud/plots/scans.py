"""Figures of merit over the parameters of a family of schedules (paper figs. 3 and 5)."""

import numpy as np

from keras_gud.plots.canvas import FONT, INK, new_figure


def scan(values, panels, xlabel: str, mark=None):
    """Curves with error bars, a panel for each figure of merit (paper fig. 3).

    Args:
        values: The parameter, ``(n,)``.
        panels: Dict from the name of a figure of merit to a dict of curves: by name, pairs of
            arrays ``(n,)``, the figures and their standard errors (or `None`).
        xlabel: Name of the parameter.
        mark: A value of the parameter to mark by a vertical line, such as that of standard
            diffusion, or `None`.

    Returns:
        A `matplotlib.figure.Figure` with one axes for each panel.

    Raises:
        ValueError: for curves of another length than `values`.
        ImportError: where Matplotlib is missing.

    Example:

    >>> from keras_gud import plots
    >>> a = np.array([0.5, 1.0, 1.5])
    >>> figure = plots.scan(a, {"bits/dim": {"whitened": (a, a / 10)}}, "a", mark=1.0)
    >>> len(figure.axes)
    1
    """
    values = np.asarray(values, "float64")
    figure = new_figure(420 * len(panels), 320, layout="constrained")
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (name, curves) in zip(row, panels.items(), strict=True):
        for label, (figures, errors) in curves.items():
            if np.shape(figures) != values.shape:
                raise ValueError(
                    f"Expected {len(values)} figures for {label!r}, as many as `values`. "
                    f"Received: shape {np.shape(figures)}."
                )
            axes.errorbar(values, figures, errors, label=label, marker="o", ms=4, capsize=3, lw=1.2)
        if mark is not None:
            axes.axvline(mark, color="0.7", lw=0.8, zorder=0)
        _finish(axes, name, xlabel)
        axes.legend(fontsize=FONT - 2, frameon=False)
    return figure


def plane(x, y, figures, xlabel: str, ylabel: str, title: str, marks=()):
    """A figure of merit over two parameters, as coloured points with their values (paper fig. 5).

    Args:
        x: The first parameter at every point, ``(n,)``.
        y: The second, ``(n,)``.
        figures: The figure of merit, ``(n,)``.
        xlabel: Name of the first parameter.
        ylabel: Name of the second.
        title: Name of the figure of merit.
        marks: Points ``(x, y)`` to mark by a frame, such as those of standard diffusion.

    Returns:
        A `matplotlib.figure.Figure` with one axes for the points and one for the colours.

    Raises:
        ImportError: where Matplotlib is missing.

    Example:

    >>> from keras_gud import plots
    >>> figure = plots.plane([0.0, 1.0], [0.5, 0.5], [3.0, 3.2], "r", "a", "bits/dim")
    >>> figure.axes[0].get_xlabel()
    'r'
    """
    figure = new_figure(520, 400, layout="constrained")
    axes = figure.subplots()
    points = axes.scatter(x, y, c=figures, s=700, cmap="viridis_r", marker="s")
    how = {"ha": "center", "va": "center", "fontsize": FONT - 3}
    for across, up, value in zip(x, y, figures, strict=True):
        text = f"{value:.3g}" if abs(value) >= 1.0 else f"{value:.2g}"  # no wider than the point
        dark = points.norm(value) > 0.4
        axes.annotate(text, (across, up), color="white" if dark else "black", **how)
    for across, up in marks:
        axes.plot(across, up, marker="s", fillstyle="none", color="black", ms=30, mew=1.5)
    axes.margins(0.15)
    figure.colorbar(points)
    _finish(axes, title, xlabel)
    axes.set_ylabel(ylabel, fontsize=FONT, color=INK)
    return figure


def _finish(axes, title, xlabel):
    axes.set_title(title, fontsize=FONT, color=INK)
    axes.set_xlabel(xlabel, fontsize=FONT, color=INK)
    axes.tick_params(labelsize=FONT - 2, colors=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
