"""Wide images, and the window in which their next columns are generated (paper fig. 7)."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_gud.backend import to_numpy
from keras_gud.core.types import Shape, TensorLike
from keras_gud.diffusion.noising_state import NoisingState
from keras_gud.plots.canvas import DPI, FONT_SIZE, TEXT_COLOUR, Panel, add_panels, text_width
from keras_gud.plots.panels import Cells, to_rgb, value_range

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GAP = 10
_STRIP_PIXELS = 64
_WINDOW_PIXELS = 192
# Positions on the reversed colour map viridis: yellow, blue, and a range of greens in between.
_FROZEN, _TO_GENERATE, _ACTIVE = 0.0, 0.72, (0.2, 0.5)
_TINT = 0.6  # weight of these colours, against those of the image
# A component is active where its noising rate is above this fraction of the largest one.
_ACTIVE_RATE = 1e-3


def strips(
    images: Iterable[TensorLike],
    row_labels: Sequence[str] | None = None,
    marks: Sequence[int | None] | None = None,
    window: TensorLike | None = None,
    state: NoisingState | None = None,
    scale: int | None = None,
    smooth: bool = False,
) -> "Figure":
    """Wide images one below the other, and how they are generated (paper fig. 7).

    On the right is the window in which columns are generated, at one time, coloured by its noising
    state: yellow where pixels are finished (frozen), green where they are active, from nearly data
    to nearly noise, and blue where they are yet to be generated.

    Args:
        images: Images `(height, width, channels)` of equal height and any widths: a list, or an
            array `(n, height, width, channels)`; values as in `image_grid`.
        row_labels: A name left of each image, or `None`.
        marks: For each image the number of columns left of a mark above it, such as the columns
            that it was conditioned on, or `None` for no mark.
        window: One image `(height, width, channels)`, with values like those of `images`, drawn
            larger, on the right; or `None`.
        state: Its `NoisingState`, ``model.schedule(t)`` at one time t, in pixels; together with
            `window`.
        scale: Screen pixels per pixel of `images`, >= 1; by default a strip is about 64 pixels
            high.
        smooth: Whether to enlarge the strips with a bicubic filter.

    Returns:
        A `matplotlib.figure.Figure` with one axes for the strips and one for the window.

    Raises:
        ValueError: for images of other shapes, or another number of labels or marks; for a window
            without its state, or a state that has no rate or another shape.
        ImportError: where Matplotlib is missing.

    Example:

    >>> from keras_gud import plots
    >>> figure = plots.strips(np.zeros((2, 8, 64, 3), "uint8"), ["one", "two"])
    >>> len(figure.axes[0].images)
    2
    """
    images = [to_numpy(image) for image in images]
    shapes = [image.shape for image in images]
    if not images or any(len(s) != 3 or s[::2] != shapes[0][::2] or 0 in s for s in shapes):
        raise ValueError(
            "Expected `images` of shape (height, width, channels), all of one height. "
            f"Received: images of shapes {shapes}."
        )
    for name, values in (("row_labels", row_labels), ("marks", marks)):
        if values is not None and len(values) != len(images):
            raise ValueError(
                f"Expected `{name}` to have one entry for each of the {len(images)} images. "
                f"Received: {name}={values!r}."
            )
    if (window is None) != (state is None):
        raise ValueError(
            "Expected `window` and `state` together, or neither. Received: "
            f"window={'None' if window is None else 'an image'}, state={state!r}."
        )
    limits = value_range(np.concatenate([image.reshape(-1) for image in images]))
    panels: list[Panel] = [_Strips(images, limits, row_labels, marks, scale, smooth)]
    if window is not None and state is not None:
        panels.append(_Window(to_numpy(window), state, limits))
    return add_panels(panels)


class _Strips(Cells):
    """A panel with one image per row, of any widths."""

    def __init__(
        self,
        images: list[np.ndarray],
        limits: tuple[float, float],
        row_labels: Sequence[str] | None,
        marks: Sequence[int | None] | None,
        scale: int | None,
        smooth: bool,
    ) -> None:
        height = images[0].shape[0]
        scale = max(1, round(_STRIP_PIXELS / height)) if scale is None else scale
        widest = max(images, key=lambda image: image.shape[1])
        super().__init__(widest[None], 1, scale, limits, row_labels=row_labels, smooth=smooth)
        self.images, self.scale, self.marks = images, scale, marks
        self.rows = len(images)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.cell[0], self.rows * (self.cell[1] + _GAP) - _GAP

    def corner(self, i: int) -> tuple[int, int]:
        """Left and top of strip `i` in pixels."""
        return 0, i * (self.cell[1] + _GAP)

    def draw_images(self, axes: "Axes") -> None:
        """Draws the strips, and each mark as a short line in the gap above its image."""
        for i, image in enumerate(self.images):
            _, top = self.corner(i)
            extent = (0, image.shape[1] * self.scale, top + self.cell[1], top)
            rgb = to_rgb(image[None], self.limits)[0]
            axes.imshow(rgb, extent=extent, interpolation=self.interpolation)
            mark = None if self.marks is None else self.marks[i]
            if mark is not None:
                x = mark * self.scale
                axes.plot([x, x], [top - _GAP + 2, top - 1], color="black", lw=2, clip_on=False)


class _Window(Cells):
    """A panel with one image whose pixels are coloured by their noising state, and a legend."""

    def __init__(
        self, window: np.ndarray, state: NoisingState, limits: tuple[float, float]
    ) -> None:
        if window.ndim != 3:
            raise ValueError(
                "Expected `window` of shape (height, width, channels). "
                f"Received: window.shape={window.shape}."
            )
        colours, self.legend = _colours(state, window.shape)
        tinted = (1 - _TINT) * to_rgb(window[None], limits) + _TINT * 255 * colours
        scale = max(1, round(_WINDOW_PIXELS / max(window.shape[:2])))
        super().__init__(np.round(tinted).astype("uint8"), 1, scale)

    @property
    def margins(self) -> tuple[float, float, float, float]:
        """Left, bottom, right and top, with the lines of the legend below."""
        left, bottom, right, top = super().margins
        longest = max(map(text_width, self.legend)) + 40
        side = max(0, (longest - self.size[0]) / 2)
        lines = 1.5 * FONT_SIZE * DPI / 72 * len(self.legend)
        return left + 12 + side, bottom + lines, right + side, top

    def label(self, axes: "Axes") -> None:
        """Draws the legend of the colours."""
        from matplotlib.patches import Patch

        super().label(axes)
        axes.legend(
            handles=[Patch(color=colour, label=name) for name, colour in self.legend.items()],
            loc="upper left",
            bbox_to_anchor=(0, 0),
            borderaxespad=0.6,
            borderpad=0,
            fontsize=FONT_SIZE - 1,
            labelcolor=TEXT_COLOUR,
            frameon=False,
        )


def _colours(state: NoisingState, shape: Shape) -> tuple[np.ndarray, dict[str, tuple]]:
    """RGB in 0..1 of every pixel, `(height, width, 3)`, and of the legend's entries by name."""
    from matplotlib import colormaps

    gamma, beta = _per_pixel(state, shape)
    low, high = gamma.min(), gamma.max()
    noised = (gamma - low) / (high - low) if high > low else np.full_like(gamma, 0.5)
    active = beta > _ACTIVE_RATE * beta.max()
    position = np.where(noised < 0.5, _FROZEN, _TO_GENERATE)
    position = np.where(active, _ACTIVE[0] + noised * (_ACTIVE[1] - _ACTIVE[0]), position)
    parts = {
        "frozen": (~active & (noised < 0.5), _FROZEN),
        "active": (active, np.mean(_ACTIVE)),
        "to be generated": (~active & (noised >= 0.5), _TO_GENERATE),
    }
    colours = colormaps["viridis_r"]
    legend = {name: colours(at)[:3] for name, (where, at) in parts.items() if where.any()}
    return colours(position)[..., :3], legend


def _per_pixel(state: NoisingState, shape: Shape) -> list[np.ndarray]:
    """Mean gamma and noising rate over the channels of every pixel, `(height, width)`."""
    if not isinstance(state, NoisingState) or state.dgamma_dt is None:
        raise ValueError(
            f"Expected `state` to be a `NoisingState` with a rate. Received: {state!r}."
        )
    values = [to_numpy(state.gamma), to_numpy(state.beta)]
    try:
        return [np.broadcast_to(v, (1, *shape))[0].mean(axis=-1) for v in values]
    except ValueError:
        raise ValueError(
            f"Expected `state` at one time, for pixels of shape {tuple(shape)}. "
            f"Received: state.gamma.shape={values[0].shape}."
        ) from None
