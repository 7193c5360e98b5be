"""Figures measured in screen pixels, so that small images are enlarged by a whole number."""

import numpy as np

from keras_gud.core import optional

DPI = 100
FONT = 10
INK = "0.25"


def new_figure(width: float, height: float, **kwargs):
    """An empty Matplotlib `Figure` of `width` x `height` pixels at 100 dots per inch.

    Args:
        width: Width in pixels.
        height: Height in pixels.
        **kwargs: Further arguments of `matplotlib.figure.Figure`.

    Raises:
        ImportError: where Matplotlib is missing.

    Example:
    >>> new_figure(320, 200).bbox.size.tolist()
    [320.0, 200.0]
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise optional.missing("matplotlib", "plots") from error
    return Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white", **kwargs)


def dark_to_light(n: int) -> np.ndarray:
    """Colours for `n` lines in their order, the first one darkest, ``(n, 4)``.

    >>> dark_to_light(8).shape
    (8, 4)
    """
    from matplotlib import colormaps

    # The last fifth of viridis is too light on white.
    return colormaps["viridis"](np.linspace(0, 0.8, n))


def style(axes):
    """The grid, ticks and frame of axes with curves."""
    axes.grid(color="0.92", linewidth=0.8)
    axes.tick_params(labelsize=FONT - 2, colors=INK, length=0)
    axes.spines[:].set_color("0.8")


def text_width(text: str) -> float:
    """About how many pixels one line of text takes at the default font.

    >>> text_width("samples") < text_width("real images")
    True
    """
    # An average letter is 0.55 em wide, a capital one 0.75, and a point is 1/72 inch.
    ems = 0.55 * len(text) + 0.2 * sum(letter.isupper() for letter in text)
    return ems * FONT * DPI / 72


def add_panels(panels, titles=None, title=None):
    """A figure with panels side by side, each exactly as large as it asks.

    Args:
        panels: List of objects with `size` (width, height), `margins` (left, bottom, right, top)
            in pixels and `draw(axes)`.
        titles: One line above each panel, or `None`.
        title: One line above all of them, or `None`.

    Returns:
        The figure; its axes are in the order of the panels.
    """
    titles = [None] * len(panels) if titles is None else list(titles)
    line = 2.2 * FONT * DPI / 72
    above = line * ((title is not None) + any(text is not None for text in titles))
    lefts, right = [], 0.0
    for panel, text in zip(panels, titles, strict=True):
        left, _, after, _ = panel.margins
        # A long title needs room on both sides of its panel.
        spare = max(0.0, text_width(text or "") - panel.size[0]) / 2
        lefts.append(right + max(left, spare))
        right = lefts[-1] + panel.size[0] + max(after, spare)
    width = max(right, text_width(title or "") + line)
    height = above + max(p.size[1] + p.margins[1] + p.margins[3] for p in panels)
    figure = new_figure(round(width), round(height))
    for panel, text, left in zip(panels, titles, lefts, strict=True):
        # Whole pixels: otherwise nearest-neighbour enlargement makes uneven squares.
        x = round((width - right) / 2 + left)
        y = round(height - above - panel.margins[3]) - panel.size[1]
        box = (x / round(width), y / round(height))
        axes = figure.add_axes((*box, panel.size[0] / round(width), panel.size[1] / round(height)))
        panel.draw(axes)
        if text is not None:
            axes.set_title(text, fontsize=FONT)
    if title is not None:
        figure.suptitle(title, fontsize=FONT + 1, y=1 - 0.5 * line / height, va="center")
    return figure
