"""Images of any width: a window moves along, and the columns that leave it are finished.

Paper sec. 5.2 and app. C. The times of the window are in `rolling_window.py`, its moves in
`rolling.py`, their use for strips in `strips.py`.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_gud.backend import to_numpy
from keras_gud.core.arguments import check_integer, require_built
from keras_gud.core.types import TensorLike
from keras_gud.schedules import ComponentSchedule
from keras_gud.tasks import inputs
from keras_gud.tasks.contract import Model
from keras_gud.tasks.directions import Direction, find_direction
from keras_gud.tasks.rolling_window import RollingWindow, smallest_b
from keras_gud.tasks.strips import Strips


def extend(
    model: Model,
    image: TensorLike | None = None,
    columns: int | None = None,
    *,
    direction: str = "right",
    shift: int | None = None,
    wrap: bool = False,
    approximate: bool = False,
    **options: Any,
) -> Iterator[np.ndarray]:
    """Generates images of any width, column by column, in constant memory.

    The model's window of L columns moves along the image: of its columns some are finished, some
    partly noised, and the last ones noise. A shift by k columns takes the time
    ``k b/(L - 1)`` of the schedule, so that each column costs ``steps b/(L - 1) + 1/k`` evaluations
    of the network (paper sec. 5.2; DESIGN sec. 3.12).

    Args:
        model: A trained `GUDModel` whose schedule is `schedules.Sequential` over the columns, in
            pixels or a basis that does not mix columns. To extend up or down: over the rows; to
            the left or up: with reverse=True. The data should be translation invariant.
        image: An image, or a batch of them, in the data's units, of the model's height and any
            width (for up and down: of its width and any height), to be continued; `None` generates
            from noise alone. The model should have been trained with some columns observed, as by
            ``region=regions.Paths(observed="column")``.
        columns: Number of new columns (rows for up and down), >= 1; `None`: without end.
        direction: ``"right"``, ``"left"``, ``"down"`` or ``"up"``. For signals right or left.
        shift: k, columns that are finished at a time; default: an eighth of the window, or what b
            allows.
        wrap: Whether the last new column is continued by the first column of the image, so that
            copies of the whole tile. The last columns, half a window, are then drawn given both
            sides.
        approximate: Whether a smaller b than the condition allows is taken as well.
        **options: See `Options`; without `return_std` and `batch_size`. `draws` strips are
            generated side by side. `b` is the schedule's parameter; default: the middle of its
            range, or its upper end if the middle is too small.

    Returns:
        A generator of arrays ``(draws, height, k, channels)`` of the data's type, in the order in
        which they are finished, without the given image; ``(n, draws, height, k, channels)`` for a
        batch. To the left each array belongs to the left of the one before. Without an image the
        first one is wider; the last one may be narrower, and with `wrap` it is half a window.

    Raises:
        ValueError: for a model without such a schedule, a b that is too small (the message has
            the smallest one), an image of another size, or a sampler whose steps are not of equal
            length.

    Warns:
        UserWarning: for noising states that the model was not trained on.

    Example:

    >>> import keras_gud
    >>> from keras_gud import schedules, tasks
    >>> x = np.random.default_rng(0).normal(size=(64, 6, 8, 1))
    >>> path = schedules.Sequential(b=0.7)
    >>> model = keras_gud.GUD(schedule=path, backbone="tiny", seed=0)
    >>> history = model.fit(x, epochs=1, verbose=0)
    >>> blocks = list(tasks.extend(model, columns=20, steps=10, seed=0))
    >>> np.concatenate(blocks, axis=-2).shape
    (1, 6, 20, 1)
    """
    require_built(model, "it extends images")
    for name in ("return_std", "batch_size"):
        if name in options:
            raise ValueError(f"Expected no `{name}` for images that are extended.")
    view, along = find_direction(model, direction, options.get("schedule"))
    given = _as_images(model, along, image)
    b = _choose_b(view.schedule, options.pop("b", None), along.length, shift)
    window = RollingWindow.of(along.length, b, shift, approximate)
    if columns is not None:
        check_integer("columns", columns, 1)
    if given is not None and not window.finished:
        raise ValueError(
            "Expected image=None with approximate=True: no column is finished when new ones enter, "
            "so that a given image could not be kept."
        )
    strips = Strips(model, view, along, window, given, b, options)
    if wrap:
        strips.check_wrap(columns)
    return strips.blocks(columns, wrap)  # a generator: everything has been checked before


def _as_images(
    model: Model, direction: Direction, image: TensorLike | None
) -> tuple[np.ndarray, bool] | None:
    """`None`, or float64 ``(n, *data_shape)`` of any width, and whether it was one image."""
    if image is None:
        return None
    image, shape = to_numpy(image), list(model.data_shape)
    if image.ndim >= len(shape) and image.shape[direction.axis] > 0:
        shape[direction.axis] = image.shape[direction.axis]
    images, single = inputs.as_images("image", image, [tuple(shape)], model.data_space.kind)
    inputs.require_finite("image", images)
    return images, single


def _choose_b(schedule: ComponentSchedule, b: Any, length: int, shift: int | None) -> float:
    """The given b, or the middle of the schedule's range, or its end if the middle is too small.

    Raises:
        ValueError: for other than one number.
    """
    if b is None:
        low, high = schedule.ranges["b"]
        middle = 0.5 * (low + high)
        return middle if middle >= smallest_b(length, shift or 1) else high
    if np.size(b) != 1:
        raise ValueError(f"Expected one number `b` for all strips. Received: b={b!r}.")
    return float(np.ravel(b)[0])
