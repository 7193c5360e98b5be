"""Strips of columns that `extend` generates: their first window, those after it, and their closing.

The first window is drawn given the end of the image; then the window moves (`rolling.py`). A strip
that wraps around is closed by columns that are drawn given its end and its beginning.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keras_gud.conditioning.given import sampling_condition
from keras_gud.core.progress import Progress
from keras_gud.diffusion.guidance import Guided
from keras_gud.regions import View
from keras_gud.samplers.run import check_rows
from keras_gud.tasks import posterior
from keras_gud.tasks.capped import Capped
from keras_gud.tasks.contract import Model
from keras_gud.tasks.directions import Direction
from keras_gud.tasks.observation import Observation
from keras_gud.tasks.options import Options
from keras_gud.tasks.restoration import observe_image, to_data
from keras_gud.tasks.rolling import CompiledShift, RollingGeneration
from keras_gud.tasks.rolling_window import RollingWindow

# Combined with the seed, for the noise of the moving window and that of the columns that close a
# strip: other numbers than those of the first window.
_STRIP, _CLOSING = 0x2C1B3C6D, 0x297A2D39


class Strips:
    """The strips of one call of `extend`, `draws` for each of n images.

    Args:
        model: The model.
        view: The view whose schedule generates the columns one after the other.
        direction: The direction of the columns.
        window: The times of the moving window.
        given: `None`, or the images, float64 ``(n, *data_shape)`` of any width, and whether it was
            one image without a batch axis.
        b: The schedule's parameter.
        keywords: `Options` and further parameters of the schedule.

    Raises:
        ValueError: for a sampler whose steps are not of equal length, or another number of labels.
    """

    def __init__(
        self,
        model: Model,
        view: View,
        direction: Direction,
        window: RollingWindow,
        given: tuple[np.ndarray, bool] | None,
        b: float,
        keywords: dict[str, Any],
    ) -> None:
        self.model, self.view, self.direction, self.window = model, view, direction, window
        self.image: np.ndarray | None = None
        self.n, self.single = 1, True
        if given is not None:
            self.image, self.single = given
            self.n = len(self.image)
        options, params = Options.split(keywords)
        self.options = options
        self.seed = int(options.seed or 0)  # `Options` has drawn one for `None`
        others = Options.names()
        self.params: dict[str, Any] = view.schedule.resolve(params | {"b": b}, others)
        condition = sampling_condition(model.conditions, self.n, **options.conditioning())
        for part in (self.params, condition):
            check_rows(part, self.n)
        self.condition = condition
        self.sampler = model.session.sampler(self.options.sampler)
        if not self.sampler.equal_steps:
            raise ValueError(
                "Expected a `sampler` with steps of the same length, to take as many for each "
                f"column. Received: sampler={type(self.sampler).__name__}."
            )
        self.denoiser = Guided.of(model.denoiser.in_view(view), self.options.guide)
        # Half a window closes a strip that wraps around; this much is known before and after it.
        self.gap = direction.length // 2
        self.after = (direction.length - self.gap) // 2
        self.before = direction.length - self.gap - self.after

    def check_wrap(self, columns: int | None) -> None:
        """Raises a `ValueError` if there are too few columns to close a ring."""
        width = 0 if self.image is None else self.direction.width(self.image)
        least = max(self.gap, self.direction.length - width)
        if columns is None or columns < least:
            raise ValueError(
                f"Expected `columns` to be a number >= {least} with wrap=True, for a model of "
                f"{self.direction.length} columns. Received: columns={columns}."
            )

    def blocks(self, columns: int | None, wrap: bool) -> Iterator[np.ndarray]:
        """Yields the finished columns, see `extend`."""
        left = math.inf if columns is None else columns - (self.gap if wrap else 0)
        progress = Progress(columns, "column", self.options.progress)
        ends: tuple[Any, Any] = None, None
        if wrap and self.image is not None:
            image = np.repeat(self.image[:, None], self.options.draws, axis=1)
            ends = self._ends(ends, image[0] if self.single else image)
        for block in self._finished() if left else ():
            block = self.direction.cut(block, 0, int(min(left, self.direction.width(block))))
            left -= self.direction.width(block)
            progress.add(self.direction.width(block))
            if wrap:
                ends = self._ends(ends, block)
            yield block
            if not left:
                break
        if wrap:
            yield self._close(*ends)
            progress.add(self.gap)

    def _finished(self) -> Iterator[np.ndarray]:
        """Yields the columns that are finished at each shift, without end."""
        done = self.window.finished
        begin = 0 if self.image is None else done
        for z0 in self._rolling().windows():
            yield self.direction.cut(self._to_data(z0), begin, done + self.window.shift)
            begin = done

    def _rolling(self) -> RollingGeneration:
        """The generation from `window.begin` on, where the state is drawn given the image."""
        window, shape = self.window, self.model.data_shape
        given = []
        if self.image is not None:
            width = self.direction.width(self.image)
            used = min(width, window.finished)
            given = [(self.direction.cut(self.image, width - used, width), window.finished - used)]
        steps = self.options.steps or self.sampler.steps
        z = self._draw(
            self._observe(self.n, given),
            self.options.draws,
            self.seed,
            condition=self.condition,
            denoise=False,
            start="matched" if self.image is None else "estimate",
            until=window.begin,
            steps=math.ceil(steps * (1.0 - window.begin)) or 1,
        )
        capped = Capped.of(self.view.schedule)
        caps = np.full((1, *shape), np.inf, "float32")
        return RollingGeneration(
            self.sampler,
            self.denoiser,
            capped,
            self._compiled_shift(capped),
            window,
            steps=window.steps(steps),
            seed=self.seed ^ _STRIP,
            index=posterior.draw_indices(self.n, self.options.draws),
            params=self.params | {"caps": caps},
            condition=self._condition_of_draws(),
            z=z.reshape(-1, *shape),
        )

    def _compiled_shift(self, capped: Capped) -> CompiledShift:
        """Made once for this denoiser, direction and shift."""
        shape = self.model.data_shape
        arguments = self.direction.axis + len(shape), self.direction.reverse, self.window.shift
        return capped.compiled.get_or_make(
            (id(self.denoiser), "shift", *arguments),
            lambda: CompiledShift(self.denoiser, capped, shape, *arguments),
        )

    def _condition_of_draws(self) -> dict[str, np.ndarray]:
        """What the denoiser is conditioned on in every strip."""
        return posterior.repeat_rows(self.condition, self.options.draws)

    def _observe(self, n: int, parts: Sequence[tuple[np.ndarray, int]]) -> Observation:
        """The observation of some columns of n windows.

        Args:
            n: Number of windows.
            parts: Pairs of raw values ``(n, *data_shape)`` but for their width, and the index of
                their first column, counted in generation.
        """
        shape = self.model.data_shape
        images, observed = np.zeros((n, *shape)), np.zeros((1, *shape), bool)
        for values, begin in parts:
            place = begin, begin + self.direction.width(values)
            self.direction.cut(images, *place)[...] = values
            self.direction.cut(observed, *place)[...] = True
        return observe_image(self.model, self.view, images, observed, 0.0)

    def _draw(
        self, observation: Observation, draws: int, seed: int, **arguments: Any
    ) -> np.ndarray:
        """Windows ``(n, draws, *data_shape)`` in components, given an observation of n."""
        return posterior.draw(
            self.denoiser,
            self.view.schedule,
            observation,
            draws,
            sampler=self.sampler,
            seed=seed,
            on_path=functools.partial(self.model.check_region, self.view),
            **arguments,
            **self.params,
        )

    def _to_data(self, z0: np.ndarray) -> Any:
        """Components of the strips to windows in the data's units and type."""
        z0 = z0.reshape(self.n, self.options.draws, *self.model.data_shape)
        return to_data(self.model, self.view, z0, self.options, self.single)

    def _ends(self, ends: tuple[Any, Any], block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The first and the last columns of the strips, as many as closing them needs."""
        head, tail = (block if end is None else self.direction.join(end, block) for end in ends)
        width = self.direction.width(tail)
        head = self.direction.cut(head, 0, min(self.after, self.direction.width(head)))
        return head, self.direction.cut(tail, max(0, width - self.before), width)

    def _close(self, head: np.ndarray, tail: np.ndarray) -> np.ndarray:
        """The columns between the end of the strips and their beginning."""
        rank = len(self.model.data_shape)
        tail, head = (part.reshape(-1, *part.shape[-rank:]) for part in (tail, head))
        known = [(tail, 0), (head, self.before + self.gap)]
        z0 = self._draw(
            self._observe(self.n * self.options.draws, known),
            1,
            self.seed ^ _CLOSING,
            condition=self._condition_of_draws(),
            steps=self.options.steps,
        )
        return self.direction.cut(self._to_data(z0), self.before, self.before + self.gap)
