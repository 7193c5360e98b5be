"""Long images, and the window in which their next columns are generated (paper fig. 7)."""

import numpy as np

from keras_gud.backend import to_numpy
from keras_gud.diffusion.noising_state import NoisingState
from keras_gud.plots.canvas import DPI, FONT, INK, add_panels, text_width
from keras_gud.plots.panels import Cells, to_rgb, value_range

_GAP = 10
_STRIP_PIXELS = 64
_WINDOW_PIXELS = 192
# Places on the reversed viridis: yellow, blue, and the greens in between.
_FROZEN, _WAITING, _ACTIVE = 0.0, 0.72, (0.2, 0.5)
_TINT = 0.6
# Below this part of the largest noising rate a component counts as frozen.
_STILL = 1e-3


def strips(
    images, labels=None, marks=None, window=None, state=None, scale=None, smooth: bool = False
):
    """Long images one below the other, and how they are generated (paper fig. 7).

    On the right the window in which columns are generated, at one time, coloured by its noising
    state: yellow where pixels are finished (frozen), green where they are active, from nearly data
    to nearly noise, and blue where they are yet to be generated.

    Args:
        images: Images `(height, width, channels)` of one height and any widths: a list, or an
            array `(n, height, width, channels)`; values as in `image_grid`.
        labels: A name for each image, left of it, or `None`.
        marks: For each image the number of columns left of a mark above it, such as those that
            were given, or `None` for no mark.
        window: One image `(height, width, channels)`, with values like those of `images`, drawn
            larger, on the right; or `None`.
        state: Its `NoisingState`, ``model.schedule(t)`` at one time t, in pixels; together with
            `window`.
        scale: Screen pixels per pixel of `images`, a whole number; about 64 pixels a strip.
        smooth: Whether to enlarge the strips with a bicubic filter.

    Returns:
        A `matplotlib.figure.Figure` with an axes for the strips and one for the window.

    Raises:
        ValueError: for images of other shapes, or another number of labels or marks; for a window
            without its state, or a state that has no rate or another shape.
        ImportError: where Matplotlib is missing.

    Example:
    >>> from keras_gud import plots
    >>> figure = plots.strips(np.zeros((2, 8, 64, 3), "uint8"), labels=["one", "two"])
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
    for name, values in (("labels", labels), ("marks", marks)):
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
    panels = [_Strips(images, limits, labels, marks, scale, smooth)]
    if window is not None:
        panels.append(_Window(to_numpy(window), state, limits))
    return add_panels(panels)


class _Strips(Cells):
    """A panel with one image of its own width a row."""

    def __init__(self, images, limits, labels, marks, scale, smooth):
        height = images[0].shape[0]
        scale = max(1, round(_STRIP_PIXELS / height)) if scale is None else scale
        widest = max(images, key=lambda image: image.shape[1])
        super().__init__(widest[None], 1, scale, limits, row_labels=labels, smooth=smooth)
        self.images, self.scale, self.marks = images, scale, marks
        self.rows = len(images)

    @property
    def size(self):
        """Width and height in pixels."""
        return self.cell[0], self.rows * (self.cell[1] + _GAP) - _GAP

    def corner(self, i):
        """Left and top of strip `i`."""
        return 0, i * (self.cell[1] + _GAP)

    def draw_images(self, axes):
        """The strips, and a short line in the gap above each mark."""
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

    def __init__(self, window, state, limits):
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
    def margins(self):
        """Room below for a line for each part of the legend."""
        left, bottom, right, top = super().margins
        longest = max(map(text_width, self.legend)) + 40
        side = max(0, (longest - self.size[0]) / 2)
        lines = 1.5 * FONT * DPI / 72 * len(self.legend)
        return left + 12 + side, bottom + lines, right + side, top

    def label(self, axes):
        """What the colours mean."""
        from matplotlib.patches import Patch

        super().label(axes)
        axes.legend(
            handles=[Patch(color=colour, label=name) for name, colour in self.legend.items()],
            loc="upper left",
            bbox_to_anchor=(0, 0),
            borderaxespad=0.6,
            borderpad=0,
            fontsize=FONT - 1,
            labelcolor=INK,
            frameon=False,
        )


def _colours(state: NoisingState, shape):
    """RGB in 0 to 1 of every pixel, `(height, width, 3)`, and those of the legend by name."""
    from matplotlib import colormaps

    gamma, beta = _per_pixel(state, shape)
    low, high = gamma.min(), gamma.max()
    noised = (gamma - low) / (high - low) if high > low else np.full_like(gamma, 0.5)
    active = beta > _STILL * beta.max()
    place = np.where(noised < 0.5, _FROZEN, _WAITING)
    place = np.where(active, _ACTIVE[0] + noised * (_ACTIVE[1] - _ACTIVE[0]), place)
    parts = {
        "frozen": (~active & (noised < 0.5), _FROZEN),
        "active": (active, np.mean(_ACTIVE)),
        "to be generated": (~active & (noised >= 0.5), _WAITING),
    }
    colours = colormaps["viridis_r"]
    legend = {name: colours(at)[:3] for name, (where, at) in parts.items() if where.any()}
    return colours(place)[..., :3], legend


def _per_pixel(state, shape):
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
