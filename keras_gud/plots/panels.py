"""Panels for one array: images or signals in cells, vectors as points."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_gud.plots.canvas import DPI, FONT_SIZE, TEXT_COLOUR, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GAP = 6
_IMAGE_PIXELS = 96
_COLOURS = ("#3b6fb6", "#d1793b", "#4c9a62", "#b4464f", "#7a5ea8")


def value_range(values: np.ndarray) -> tuple[float, float]:
    """The values shown as black and white.

    For uint8 they are 0 and 255. For floats they are the ends of the first of the ranges 0..1,
    -1..1 and 0..255 that contains all finite values, otherwise their minimum and maximum.

    Example:

    >>> value_range(np.array([-0.5, 0.25]))
    (-1.0, 1.0)
    """
    if values.dtype == np.uint8:
        return 0.0, 255.0
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    for a, b in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
        if a <= low and high <= b:
            return a, b
    return low, high if high > low else low + 1.0


def to_rgb(images: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Images as uint8 RGB.

    Args:
        images: `(n, height, width, channels)`; with other than 1 or 3 channels the first is shown.
        limits: The values of black and white; values outside are clipped.

    Returns:
        uint8 `(n, height, width, 3)`; pixels that are not finite are magenta.

    Example:

    >>> to_rgb(np.array([[[[0.5]]]]), (0.0, 1.0)).tolist()
    [[[[128, 128, 128]]]]
    """
    images = images if images.shape[-1] == 3 else images[..., :1]
    finite = np.isfinite(images).all(axis=-1)
    low, high = limits
    unit = (np.where(finite[..., None], images, low) - low) / (high - low)
    rgb = np.round(255 * np.clip(unit, 0, 1)).astype("uint8")
    rgb = np.broadcast_to(rgb, (*images.shape[:-1], 3)).copy()
    rgb[~finite] = (255, 0, 255)
    return rgb


class Cells:
    """A grid of images, middle slices of volumes, or line plots, in one panel.

    Args:
        data: `(n, *spatial, channels)` with one to three spatial axes.
        columns: Images per row, >= 1.
        scale: Screen pixels per image pixel, >= 1; by default images are about 96 pixels wide or
            high.
        limits: The values of black and white, or of the lower and upper edge of a line plot; by
            default `value_range`.
        row_labels: A name left of each row, or `None`.
        column_labels: A name above each column, or `None`; some are omitted where space is short.
        smooth: Whether images are enlarged with a bicubic filter, not pixel by pixel.

    Raises:
        ValueError: for columns or a scale that are not positive whole numbers.

    Example:

    >>> Cells(np.zeros((6, 8, 8, 1)), columns=3, scale=4).size
    (108, 70)
    """

    def __init__(
        self,
        data: np.ndarray,
        columns: int,
        scale: int | None = None,
        limits: tuple[float, float] | None = None,
        row_labels: Sequence[str] | None = None,
        column_labels: Sequence[str] | None = None,
        smooth: bool = False,
    ) -> None:
        for name, value in (("columns", columns), ("scale", 1 if scale is None else scale)):
            if not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(
                    f"Expected `{name}` to be a whole number, at least 1. Received: {name}={value}."
                )
        if data.ndim == 5:
            data = data[:, data.shape[1] // 2]
        self.data = data
        self.columns = columns
        self.interpolation = "bicubic" if smooth else "nearest"
        self.rows = math.ceil(len(data) / columns)
        self.limits = value_range(data) if limits is None else limits
        self.row_labels = row_labels
        self.column_labels = column_labels
        if data.ndim == 3:
            self.cell = (128, 72) if scale is None else (data.shape[1] * scale, 72)
        else:
            height, width = data.shape[1:3]
            scale = max(1, round(_IMAGE_PIXELS / max(height, width))) if scale is None else scale
            self.cell = (width * scale, height * scale)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        width, height = self.cell
        return (
            self.columns * (width + _GAP) - _GAP,
            self.rows * (height + _GAP) - _GAP,
        )

    @property
    def margins(self) -> tuple[float, float, float, float]:
        """Left, bottom, right and top, in pixels."""
        rows = max((text_width(text) for text in self.row_labels or ()), default=0)
        columns = max((text_width(text) for text in self.column_labels or ()), default=0)
        # Names may be wider than the outer columns that they stand above.
        side = 12 + max(0, (columns - self.cell[0]) / 2)
        line = FONT_SIZE * DPI / 72
        top = 12 + (2 * line if self.column_labels else 0)
        bottom = 12 + (2.4 * line if self.data.ndim == 3 else 0)
        return (max(12 + rows, side), bottom, side, top)

    def corner(self, i: int) -> tuple[int, int]:
        """Left and top of cell `i` in pixels, from the upper left."""
        row, column = divmod(i, self.columns)
        return column * (self.cell[0] + _GAP), row * (self.cell[1] + _GAP)

    def draw(self, axes: "Axes") -> None:
        """Draws every cell; one unit of the axes is one screen pixel."""
        if self.data.ndim == 3:
            self.draw_signals(axes)
        else:
            self.draw_images(axes)
        axes.set_xlim(0, self.size[0])
        axes.set_ylim(self.size[1], 0)
        axes.set_aspect("auto")
        axes.spines[:].set_visible(False)
        self.label(axes)

    def draw_images(self, axes: "Axes") -> None:
        """Draws one enlarged image per cell."""
        for i, image in enumerate(to_rgb(self.data, self.limits)):
            left, top = self.corner(i)
            extent = (left, left + self.cell[0], top + self.cell[1], top)
            axes.imshow(image, extent=extent, interpolation=self.interpolation)

    def draw_signals(self, axes: "Axes") -> None:
        """Draws one line per channel, all cells with the same vertical scale."""
        width, height = self.cell
        low, high = self.limits
        for i, signal in enumerate(self.data):
            left, top = self.corner(i)
            axes.fill_between([left, left + width], top, top + height, color="0.95", linewidth=0)
            x = left + (np.arange(len(signal)) + 0.5) * width / len(signal)
            y = top + height * (1 - (np.clip(signal, low, high) - low) / (high - low))
            for channel, line in enumerate(y.T):
                axes.plot(x, line, linewidth=1, color=_COLOURS[channel % len(_COLOURS)])
        axes.set_xlabel(
            f"each frame: {low:.3g} to {high:.3g}", fontsize=FONT_SIZE - 1, color=TEXT_COLOUR
        )

    def label(self, axes: "Axes") -> None:
        """Writes the names of the rows and columns."""
        axes.set(xticks=[], yticks=[])
        if self.row_labels is not None:
            ticks = [self.corner(r * self.columns)[1] + self.cell[1] / 2 for r in range(self.rows)]
            axes.set_yticks(ticks, self.row_labels, fontsize=FONT_SIZE)
        if self.column_labels is not None:
            widest = max(text_width(text) for text in self.column_labels) + _GAP
            every = math.ceil(widest / (self.cell[0] + _GAP))
            shown = range(0, self.columns, every)
            ticks = [self.corner(c)[0] + self.cell[0] / 2 for c in shown]
            axes.set_xticks(ticks, [self.column_labels[c] for c in shown], fontsize=FONT_SIZE - 1)
            axes.xaxis.tick_top()
        axes.tick_params(length=0, colors=TEXT_COLOUR)


class Points:
    """Vectors as a scatter plot of their first two features, a histogram if there is only one.

    Args:
        data: `(n, features)`.
        like: Array `(m, features)` whose finite rows set the limits of the axes.

    Raises:
        ValueError: if no row of `like` is finite.

    Example:

    >>> Points(np.eye(2), like=np.eye(2)).limits.round(2).tolist()
    [[-0.06, 1.06], [-0.06, 1.06]]
    """

    size = (300, 300)
    margins = (64.0, 48.0, 20.0, 12.0)

    def __init__(self, data: np.ndarray, like: np.ndarray) -> None:
        self.data = data
        like = like[np.isfinite(like).all(axis=1)]
        if len(like) == 0:
            raise ValueError("Expected at least one vector of finite numbers. Received: none.")
        low, high = like.min(axis=0), like.max(axis=0)
        pad = np.where(high > low, 0.06 * (high - low), 0.5)
        self.limits = np.stack([low - pad, high + pad], axis=-1)

    def draw(self, axes: "Axes") -> None:
        """Draws the points."""
        if self.data.shape[1] == 1:
            axes.hist(self.data[:, 0], bins=40, range=self.limits[0], color=_COLOURS[0])
            axes.set_ylabel("count", fontsize=FONT_SIZE)
        else:
            axes.scatter(self.data[:, 0], self.data[:, 1], s=6, alpha=0.5, color=_COLOURS[0], lw=0)
            axes.set_ylim(*self.limits[1])
            axes.set_ylabel("feature 2", fontsize=FONT_SIZE)
        axes.set_xlim(*self.limits[0])
        axes.set_xlabel("feature 1", fontsize=FONT_SIZE)
        axes.tick_params(labelsize=FONT_SIZE - 2, colors=TEXT_COLOUR)
        axes.ticklabel_format(scilimits=(-3, 4))  # long numbers would not fit the margin
        axes.spines[["top", "right"]].set_visible(False)
