"""What tests of figures have in common: rendering them, and looking at the pixels."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg


def render(figure):
    """The figure as uint8 `(height, width, 3)`."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def cell_pixels(figure, axes, panel_cell, row, column):
    """The rendered pixels of one cell of a grid of cells `panel_cell` = (width, height)."""
    picture = render(figure)
    box = axes.get_window_extent()
    left = round(box.x0) + column * (panel_cell[0] + 6)
    top = picture.shape[0] - round(box.y1) + row * (panel_cell[1] + 6)
    return picture[top : top + panel_cell[1], left : left + panel_cell[0]]


def assert_nothing_is_cut_off(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    box = figure.get_tightbbox(canvas.get_renderer())
    width, height = figure.get_size_inches()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= width
    assert box.y1 <= height
