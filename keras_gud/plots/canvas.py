"""Figures measured in screen pixels, so that small images are enlarged by a whole number."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from keras_gud.core import optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 100
FONT_SIZE = 10  # points
TEXT_COLOUR = "0.25"


class Panel(Protocol):
    """What `add_panels` places: axes of a fixed size with room around them."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the axes in pixels."""

    @property
    def margins(self) -> tuple[float, float, float, float]:
        """Room left, below, right of and above the axes for labels, in pixels."""

    def draw(self, axes: "Axes") -> None:
        """Draws everything inside the axes, and their labels."""


def new_figure(width: float, height: float, **kwargs: Any) -> "Figure":
    """An empty Matplotlib `Figure` of `width` x `height` pixels at 100 dots per inch.

    Args:
        width: Width in pixels, > 0.
        height: Height in pixels, > 0.
        **kwargs: Further arguments of `matplotlib.figure.Figure`.

    Raises:
        ImportError: where Matplotlib is missing.

    Example:

    >>> new_figure(320, 200).bbox.size.tolist()
    [320.0, 200.0]
    """
    try:
        import matplotlib.figure  # noqa: F401  (the next import may have been made before)
    except ImportError as error:
        raise optional.missing("matplotlib", "plots") from error
    from keras_gud.plots.shown_figure import ShownFigure

    return ShownFigure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white", **kwargs)


def dark_to_light(n: int) -> np.ndarray:
    """RGBA colours of `n` lines, the first one darkest, float ``(n, 4)`` in 0..1.

    >>> dark_to_light(8).shape
    (8, 4)
    """
    from matplotlib import colormaps

    # The last fifth of viridis is too light on white.
    return colormaps["viridis"](np.linspace(0, 0.8, n))


def style(axes: "Axes") -> None:
    """Sets the grid, ticks and frame of axes with curves."""
    axes.grid(color="0.92", linewidth=0.8)
    axes.tick_params(labelsize=FONT_SIZE - 2, colors=TEXT_COLOUR, length=0)
    axes.spines[:].set_color("0.8")


def text_width(text: str) -> float:
    """Approximate width in pixels of one line of text at the default font size.

    >>> text_width("samples") < text_width("real images")
    True
    """
    # An average letter is 0.55 em wide, a capital one 0.75, and a point is 1/72 inch.
    ems = 0.55 * len(text) + 0.2 * sum(letter.isupper() for letter in text)
    return ems * FONT_SIZE * DPI / 72


def add_panels(
    panels: Sequence[Panel], titles: Sequence[str] | None = None, title: str | None = None
) -> "Figure":
    """A figure with panels side by side, each of exactly its size.

    Args:
        panels: The panels, e.g. `panels.Cells`.
        titles: One line above each panel, or `None`.
        title: One line above all of them, or `None`.

    Returns:
        The figure; its axes are in the order of the panels.

    Raises:
        ImportError: where Matplotlib is missing.
        ValueError: for another number of titles than panels.

    Example:

    >>> from keras_gud.plots.panels import Cells
    >>> images = np.zeros((4, 8, 8, 1))
    >>> figure = add_panels([Cells(images, columns=2), Cells(images, columns=4)], title="images")
    >>> len(figure.axes)
    2
    """
    lines: Sequence[str | None] = [None] * len(panels) if titles is None else titles
    line = 2.2 * FONT_SIZE * DPI / 72
    above = line * ((title is not None) + any(text is not None for text in lines))
    lefts: list[float] = []
    right = 0.0
    for panel, text in zip(panels, lines, strict=True):
        left, _, after, _ = panel.margins
        # A title wider than its panel needs room on both sides.
        overhang = max(0.0, text_width(text or "") - panel.size[0]) / 2
        lefts.append(right + max(left, overhang))
        right = lefts[-1] + panel.size[0] + max(after, overhang)
    width = max(right, text_width(title or "") + line)
    height = above + max(p.size[1] + p.margins[1] + p.margins[3] for p in panels)
    figure = new_figure(round(width), round(height))
    for panel, text, left in zip(panels, lines, lefts, strict=True):
        # Whole pixels: otherwise nearest-neighbour enlargement makes uneven squares.
        x = round((width - right) / 2 + left)
        y = round(height - above - panel.margins[3]) - panel.size[1]
        box = (x / round(width), y / round(height))
        axes = figure.add_axes((*box, panel.size[0] / round(width), panel.size[1] / round(height)))
        panel.draw(axes)
        if text is not None:
            axes.set_title(text, fontsize=FONT_SIZE)
    if title is not None:
        figure.suptitle(title, fontsize=FONT_SIZE + 1, y=1 - 0.5 * line / height, va="center")
    return figure
