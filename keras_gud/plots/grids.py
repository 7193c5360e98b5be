"""Grids and tables of images, samples beside real data, and the forward process."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_gud.backend import to_numpy
from keras_gud.core.arguments import names_near_keywords
from keras_gud.core.types import TensorLike
from keras_gud.plots.canvas import Panel, add_panels
from keras_gud.plots.panels import Cells, Points, value_range

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@names_near_keywords
def image_grid(
    images: TensorLike,
    columns: int | None = None,
    title: str | None = None,
    scale: int | None = None,
    smooth: bool = False,
) -> "Figure":
    """One figure of many examples.

    Images are enlarged pixel by pixel (or smoothly). Of volumes the middle slice is shown, of
    signals one line per channel, of vectors a scatter plot of their first two features.

    Args:
        images: uint8 or float array of shape `(n, height, width, channels)`, or the same with one
            or three spatial axes, or `(n, features)`. With other than 1 or 3 channels the first is
            shown. Floats are scaled from the first of the ranges 0..1, -1..1 and 0..255 that
            contains them, or else from their minimum and maximum. Values that are not finite are
            magenta.
        columns: Images per row, >= 1; by default about the square root of their number.
        title: A line above the images, or `None`.
        scale: Screen pixels per image pixel, >= 1; by default an image is about 96 pixels large.
        smooth: Whether to enlarge with a bicubic filter, which makes tiny images easier to see.

    Returns:
        A `matplotlib.figure.Figure` with one axes.

    Raises:
        ValueError: for an empty array, or one that is no batch of examples.
        ImportError: where Matplotlib is missing.

    Example:

    >>> from keras_gud import plots
    >>> figure = plots.image_grid(np.zeros((6, 8, 8, 1), "uint8"), columns=3)
    >>> len(figure.axes[0].images)
    6
    """
    images = _examples(images, "images")
    return add_panels([_panel(images, columns, scale, images, smooth)], title=title)


@names_near_keywords
def side_by_side(
    samples: TensorLike,
    real: TensorLike,
    titles: Sequence[str] = ("samples", "real data"),
    columns: int | None = None,
    scale: int | None = None,
    smooth: bool = False,
) -> "Figure":
    """Samples beside real data, with the same grey levels (those of the real data) or axes.

    Args:
        samples: Generated examples, as in `image_grid`.
        real: Real examples with the shape and units of the samples; their number may differ.
        titles: The two lines above the two grids.
        columns: Images per row of each grid, >= 1.
        scale: Screen pixels per image pixel, >= 1.
        smooth: Whether to enlarge with a bicubic filter.

    Returns:
        A `matplotlib.figure.Figure` with two axes.

    Raises:
        ValueError: if an example of one is not shaped like an example of the other, or as for
            `image_grid`.
        ImportError: where Matplotlib is missing.

    Example:

    >>> from keras_gud import plots
    >>> images = np.zeros((4, 8, 8, 1), "uint8")
    >>> figure = plots.side_by_side(images, images)
    >>> [axes.get_title() for axes in figure.axes]
    ['samples', 'real data']
    """
    samples, real = _examples(samples, "samples"), _examples(real, "real")
    if samples.shape[1:] != real.shape[1:]:
        raise ValueError(
            "Expected `samples` and `real` to hold examples of the same shape. "
            f"Received: samples.shape={samples.shape}, real.shape={real.shape}."
        )
    # Real images set black and white, so that an outlying sample does not; the axes of vectors and
    # signals contain all of both.
    like = real if real.ndim >= 4 else np.concatenate([samples, real])
    panels = [_panel(data, columns, scale, like, smooth) for data in (samples, real)]
    return add_panels(panels, titles=titles)


def forward_process(
    states: TensorLike,
    times: TensorLike,
    row_labels: Sequence[str] | None = None,
    scale: int | None = None,
) -> "Figure":
    """The states of one or several examples over time, one row each (paper fig. 4).

    Args:
        states: Array `(n_times, n_images, height, width, channels)`, or the same with one or three
            spatial axes. Black and white are the ends of the range of the states at the smallest
            time (see `image_grid`); noise beyond it is clipped.
        times: The `n_times` diffusion times, in any order.
        row_labels: A name left of each row, or `None`.
        scale: Screen pixels per image pixel, >= 1.

    Returns:
        A `matplotlib.figure.Figure` with one axes.

    Raises:
        ValueError: if the numbers of states, times and names do not fit together.
        ImportError: where Matplotlib is missing.

    Example:

    >>> from keras_gud import plots
    >>> figure = plots.forward_process(np.zeros((3, 2, 8, 8, 1)), [0.0, 0.5, 1.0])
    >>> len(figure.axes[0].images)
    6
    """
    states, times = _table("states", states, "n_times, n_images"), to_numpy(times)
    n_times, n_images = states.shape[:2]
    if times.shape != (n_times,):
        raise ValueError(
            f"Expected one time for each of the {n_times} states. "
            f"Received: times.shape={times.shape}."
        )
    if row_labels is not None and len(row_labels) != n_images:
        raise ValueError(
            f"Expected `row_labels` to have one entry for each of the {n_images} images. "
            f"Received: row_labels={row_labels!r}."
        )
    panel = Cells(
        np.swapaxes(states, 0, 1).reshape(-1, *states.shape[2:]),
        columns=n_times,
        scale=scale,
        limits=value_range(states[np.argmin(times)]),
        row_labels=row_labels,
        column_labels=[f"t = {time:.2f}" for time in times],
    )
    return add_panels([panel])


def image_table(
    images: TensorLike,
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
    title: str | None = None,
    scale: int | None = None,
    smooth: bool = False,
) -> "Figure":
    """Images in rows and columns that have names (paper figs. 8 and 9).

    In fig. 8 the rows are test images, and the columns the original, the noised image at
    t = 0.5, and samples of `tasks.complete`. In fig. 9 the rows are samplers, and the columns
    values of a.

    Args:
        images: Array `(n_rows, n_columns, height, width, channels)`, or the same with one or three
            spatial axes, all scaled from one range (see `image_grid`).
        row_labels: A name left of each row, or `None`.
        column_labels: A name above each column, or `None`. Some are omitted where there is no
            room for all.
        title: A line above the images, or `None`.
        scale: Screen pixels per image pixel, >= 1.
        smooth: Whether to enlarge with a bicubic filter.

    Returns:
        A `matplotlib.figure.Figure` with one axes.

    Raises:
        ValueError: if the numbers of images and names do not fit together.
        ImportError: where Matplotlib is missing.

    Example:

    >>> from keras_gud import plots
    >>> figure = plots.image_table(np.zeros((2, 3, 8, 8, 1)), ["ODE", "SDE"])
    >>> len(figure.axes[0].images)
    6
    """
    images = _table("images", images, "n_rows, n_columns")
    names = {"row_labels": row_labels, "column_labels": column_labels}
    for (name, values), n in zip(names.items(), images.shape[:2], strict=True):
        if values is not None and len(values) != n:
            raise ValueError(
                f"Expected `{name}` to have {n} entries, as `images` has. "
                f"Received: {name}={values!r}."
            )
    panel = Cells(
        images.reshape(-1, *images.shape[2:]),
        columns=images.shape[1],
        scale=scale,
        row_labels=row_labels,
        column_labels=column_labels,
        smooth=smooth,
    )
    return add_panels([panel], title=title)


def _table(name: str, values: TensorLike, axes: str) -> np.ndarray:
    values = to_numpy(values)
    if not 4 <= values.ndim <= 6 or values.size == 0:
        raise ValueError(
            f"Expected `{name}` of shape ({axes}, *spatial, channels), not empty. "
            f"Received: {name}.shape={values.shape}."
        )
    return values


def _examples(values: TensorLike, name: str) -> np.ndarray:
    values = to_numpy(values)
    if not 2 <= values.ndim <= 5 or values.size == 0:
        raise ValueError(
            f"Expected `{name}` of shape (n, height, width, channels), (n, features), "
            "(n, length, channels) or (n, depth, height, width, channels), not empty. "
            f"Received: {name}.shape={values.shape}."
        )
    return values


def _panel(
    data: np.ndarray, columns: int | None, scale: int | None, like: np.ndarray, smooth: bool
) -> Panel:
    if data.ndim == 2:
        return Points(data, like)
    columns = math.ceil(math.sqrt(len(data))) if columns is None else columns
    return Cells(data, min(columns, len(data)), scale, limits=value_range(like), smooth=smooth)
