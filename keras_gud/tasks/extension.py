"""Endless images: a window moves along, and what leaves it is finished (paper sec. 5.2, app. C)."""

import functools
import math

import keras
import numpy as np

from keras_gud.backend import to_numpy
from keras_gud.conditioning.class_labels import sampling_condition
from keras_gud.core.arguments import check_integer, require_built
from keras_gud.diffusion.guidance import Guided
from keras_gud.samplers.run import check_rows
from keras_gud.tasks import inputs, posterior, sides
from keras_gud.tasks.capped import Capped
from keras_gud.tasks.front import Front, smallest_b
from keras_gud.tasks.options import Options
from keras_gud.tasks.restoration import deliver, observe_image
from keras_gud.tasks.rolling import Belt, Rolling

# Mixed into the seed of the strip and of what closes it.
_STRIP, _CLOSING = 0x2C1B3C6D, 0x297A2D39


def extend(
    model,
    image=None,
    columns: int | None = None,
    *,
    direction: str = "right",
    shift: int | None = None,
    wrap: bool = False,
    approximate: bool = False,
    **options,
):
    """Generates images of any width, column by column, in constant memory.

    The model's window moves along with the columns that are being generated: of its columns some
    are finished, some on their way, and the last ones noise. A shift by k columns takes the time
    ``k b/(L - 1)`` of the schedule, so that each column costs ``steps b/(L - 1) + 1/k`` evaluations
    of the network (paper sec. 5.2; DESIGN sec. 3.12).

    Args:
        model: A trained `GUDModel` whose schedule is `schedules.Sequential` over the columns, in
            pixels or a basis that does not mix columns. To extend up or down: over the rows; to
            the left or up: with reverse=True. The data should look alike wherever they are cut.
        image: An image, or a batch of them, in the data's units, of the model's height and any
            width (for up and down: of its width and any height), to be continued; `None` starts
            from nothing. The model should have been trained with some columns observed, as by
            ``region=regions.Paths(observed="column")``.
        columns: Number of new columns (rows for up and down); `None` goes on for ever.
        direction: ``"right"``, ``"left"``, ``"down"`` or ``"up"``. Signals have right and left.
        shift: k, columns that are finished at a time; default: an eighth of the window, or what b
            allows.
        wrap: Whether the image and its new columns continue into their own beginning, so that
            copies of them tile. The last columns, half a window, are then drawn given both sides.
        approximate: Whether a smaller b than the condition allows is taken after all.
        **options: See `Options`; without `return_std` and `batch_size`. `draws` strips are made
            side by side. `b` chooses the schedule's parameter; default: the middle of its range,
            or its end if only that can be extended.

    Returns:
        A generator of arrays ``(draws, height, k, channels)`` of the data's type, in the order in
        which they are finished, without the given image; ``(n, draws, height, k, channels)`` for a
        batch. To the left each array belongs to the left of the one before. The first one from
        nothing is wider, the last one may be narrower, and with `wrap` it is half a window.

    Raises:
        ValueError: for a model without such a schedule, a b that is too small (the message has
            the smallest one), an image of another size, or a sampler without even steps.

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
    view, side = sides.find(model, direction)
    given = _image(model, side, image)
    b = _choose_b(view.schedule, options.pop("b", None), side.length, shift)
    front = Front.of(side.length, b, shift, approximate)
    if columns is not None:
        check_integer("columns", columns, 1)
    if given is not None and not front.finished:
        raise ValueError(
            "Expected image=None with approximate=True: no column is finished when new ones move "
            "in, so that a given image could not be kept."
        )
    extension = _Extension(model, view, side, front, given, b, options)
    if wrap:
        extension.check_wrap(columns)
    return extension.blocks(columns, wrap)  # a generator: everything has been checked before


def _image(model, side, image):
    """`None`, or float64 ``(n, *data_shape)`` of any width, and whether it was one image."""
    if image is None:
        return None
    image, shape = to_numpy(image), list(model.data_shape)
    if image.ndim >= len(shape) and image.shape[side.axis] > 0:
        shape[side.axis] = image.shape[side.axis]
    image, single = inputs.images("image", image, [tuple(shape)], model.data_space.kind)
    inputs.finite("image", image)
    return image, single


def _choose_b(schedule, b, length: int, shift: int | None) -> float:
    """The given one, or the middle of the schedule's range, or its end if the middle is too small.

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


class _Extension:
    """One call of `extend`, its arguments checked."""

    def __init__(self, model, view, side, front: Front, given, b: float, options: dict):
        self.model, self.view, self.side, self.front = model, view, side, front
        self.image, self.single = given or (None, True)
        self.n = 1 if given is None else len(self.image)
        self.options, params = Options.split(options)
        self.params = view.schedule.resolve(params | {"b": b}, others=Options.names())
        told = sampling_condition(self.options.labels, self.options.guidance, self.n, model.classes)
        for part in (self.params, told):
            check_rows(part, self.n)
        self.told = told
        self.sampler = model.session.sampler(self.options.sampler)
        if not self.sampler.equal_steps:
            raise ValueError(
                "Expected a `sampler` with steps of the same length, to take as many for each "
                f"column. Received: sampler={type(self.sampler).__name__}."
            )
        self.denoiser = Guided.of(model.denoiser.in_view(view), self.options.guide)
        # Half a window closes a strip that wraps around; this much is known before and after it.
        self.gap = side.length // 2
        self.after = (side.length - self.gap) // 2
        self.before = side.length - self.gap - self.after

    def check_wrap(self, columns: int | None):
        """Raises a `ValueError` if there are too few columns to close a ring."""
        width = 0 if self.image is None else self.side.width(self.image)
        least = max(self.gap, self.side.length - width)
        if columns is None or columns < least:
            raise ValueError(
                f"Expected `columns` to be a number >= {least} with wrap=True, for a model of "
                f"{self.side.length} columns. Received: columns={columns}."
            )

    def blocks(self, columns: int | None, wrap: bool):
        """Yields what is finished, see `extend`."""
        left = math.inf if columns is None else columns - (self.gap if wrap else 0)
        bar = keras.utils.Progbar(columns, unit_name="column") if self.options.progress else None
        ends = [None, None]
        if wrap and self.image is not None:
            image = np.repeat(self.image[:, None], self.options.draws, axis=1)
            ends = self._ends(ends, image[0] if self.single else image)
        for block in self._finished() if left else ():
            block = self.side.cut(block, 0, min(left, self.side.width(block)))
            left -= self.side.width(block)
            if bar:
                bar.add(self.side.width(block))
            if wrap:
                ends = self._ends(ends, block)
            yield block
            if not left:
                break
        if wrap:
            yield self._close(*ends)
            if bar:
                bar.add(self.gap)

    def _finished(self):
        """Yields the columns that each turn finishes, endlessly."""
        done = self.front.finished
        begin = 0 if self.image is None else done
        for z0 in self._rolling().turns():
            yield self.side.cut(self._deliver(z0), begin, done + self.front.shift)
            begin = done

    def _rolling(self) -> Rolling:
        """The strips at the front's begin: drawn given the image's last columns, or nothing."""
        front, shape, schedule = self.front, self.model.data_shape, self.view.schedule
        given = []
        if self.image is not None:
            width = self.side.width(self.image)
            used = min(width, front.finished)
            given = [(self.side.cut(self.image, width - used, width), front.finished - used)]
        steps = self.options.steps or self.sampler.steps
        z = self._draw(
            self._observe(self.n, given),
            self.options.draws,
            self.options.seed,
            condition=self.told,
            denoise=False,
            start="matched" if self.image is None else "estimate",
            until=front.begin,
            steps=math.ceil(steps * (1.0 - front.begin)) or 1,
        )
        capped = Capped.of(schedule)
        side = self.side.axis + len(shape), self.side.reverse, front.shift
        key = (id(self.denoiser), "belt", *side)
        belt = capped.beginnings.get_or_make(key, lambda: Belt(self.denoiser, capped, shape, *side))
        caps = np.full((1, *shape), np.inf, "float32")
        return Rolling(
            self.sampler,
            self.denoiser,
            capped,
            belt,
            front,
            steps=front.steps(steps),
            seed=self.options.seed ^ _STRIP,
            index=posterior.indices(self.n, self.options.draws),
            given=(self.params | {"caps": caps}, self._told_each()),
            z=z.reshape(-1, *shape),
        )

    def _told_each(self) -> dict:
        """What the denoiser is told of every strip."""
        return posterior.repeat(self.told, self.options.draws)

    def _observe(self, n: int, parts) -> posterior.Observation:
        """The observation of some columns of n windows.

        Args:
            n: Number of windows.
            parts: Pairs of raw values ``(n, *data_shape)`` but for their width, and the index of
                their first column, counted in generation.
        """
        shape = self.model.data_shape
        known, seen = np.zeros((n, *shape)), np.zeros((1, *shape), bool)
        for values, begin in parts:
            place = begin, begin + self.side.width(values)
            self.side.cut(known, *place)[...] = values
            self.side.cut(seen, *place)[...] = True
        return observe_image(self.model, self.view, known, seen, 0.0)

    def _draw(self, observation, draws: int, seed: int, **how):
        """Windows ``(n, draws, *data_shape)`` in components, given an observation of n."""
        return posterior.draw(
            self.denoiser,
            self.view.schedule,
            observation,
            draws,
            sampler=self.sampler,
            seed=seed,
            on_path=functools.partial(self.model.check_region, self.view),
            **how,
            **self.params,
        )

    def _deliver(self, z0):
        """Components of the strips to windows in the data's units and type."""
        z0 = z0.reshape(self.n, self.options.draws, *self.model.data_shape)
        return deliver(self.model, self.view, z0, self.options, self.single)

    def _ends(self, ends, block):
        """The first and the last columns of the strips, as many as closing them needs."""
        head, tail = (block if end is None else self.side.join(end, block) for end in ends)
        width = self.side.width(tail)
        head = self.side.cut(head, 0, min(self.after, self.side.width(head)))
        return head, self.side.cut(tail, max(0, width - self.before), width)

    def _close(self, head, tail):
        """The columns between the end of the strips and their beginning."""
        rank = len(self.model.data_shape)
        tail, head = (part.reshape(-1, *part.shape[-rank:]) for part in (tail, head))
        known = [(tail, 0), (head, self.before + self.gap)]
        z0 = self._draw(
            self._observe(self.n * self.options.draws, known),
            1,
            self.options.seed ^ _CLOSING,
            condition=self._told_each(),
            steps=self.options.steps,
        )
        return self.side.cut(self._deliver(z0), self.before, self.before + self.gap)
