"""`PostHocEMA`: over which share of training the weights are averaged, decided when it is over."""

import math
import os
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_gud import backend
from keras_gud.core.arguments import check_integer, check_numbers, require_built
from keras_gud.persistence.average_store import AverageStore, Stored
from keras_gud.training.changed_network import follow_network
from keras_gud.training.power_profile import exponent
from keras_gud.training.stored_average import stored_average

# Beyond this error of the profile, averages are off by a few per cent of their distances.
_INACCURATE = 0.05


class PostHocEMA(keras.callbacks.Callback):
    """Keeps what averages of the weights over any share of training are made of, once it is over.

    How long an average should be is not known before, and depends on how long training was. This
    callback keeps two averages of the weights, each over a fixed share of the training so far, and
    stores them from time to time; `use` makes that of any other width out of them, and `best`
    finds out which is best (Karras et al. 2024, section 3). The model's own average (`ema_decay`)
    is kept as without it, and is what the model samples with until `use` is called.

    The width of an average is the standard deviation of the steps that it is over, as a share of
    all steps so far, and about their mean age: at 0.1 they are 11% of the training old, at 0.05 5%.
    Averages of widths from 0.03 to 0.2, of a run of 24 snapshots or more, differ from those that
    were kept directly by less than 1% of the distance between the two that are kept.

    Costs: two more copies of the weights on the device, and in files of `model.save` and
    checkpoints, until ``model.power_averages.keep(model, ())`` ends them; each stored snapshot has
    8 bytes for each weight (7 MB for 0.9 million), of which there are at most about `keep`. A
    snapshot that cannot be written, on a full disk for example, is a warning; training continues.

    Interrupted runs that a `Checkpoint` resumes go on with them. What was stored before an
    interruption can be used in any case, with a model of the same network.

    Args:
        directory: Where to store them: of one run only; made if it does not exist.
        widths: The widths that are kept, from 0 to 0.2887, the plain mean of all steps.
        every: Steps between two snapshots at first, >= 1; there is always one when `fit` ends.
        keep: The most snapshots, >= 2; at more, every second is removed and the distance doubles.

    Raises:
        ValueError: for arguments out of range; in `fit`, for a directory with snapshots of another
            run, or a model that keeps averages of other widths.

    Example:

    >>> import tempfile
    >>> import keras_gud, numpy as np
    >>> x = np.random.default_rng(0).normal(size=(200, 4)).astype("float32")
    >>> model = keras_gud.GUD(backbone="tiny", seed=0)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     averages = PostHocEMA(directory, every=1)
    ...     history = model.fit(x[:128], epochs=8, batch_size=16, callbacks=[averages], verbose=0)
    ...     losses = averages.best(model, x[128:])  # which is now in use
    ...     averages.use(model, 0.08)  # or any other
    >>> sorted(losses)
    [0.03, 0.05, 0.075, 0.1, 0.15, 0.2]
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        widths: Sequence[float] = (0.05, 0.10),
        every: int = 20,
        keep: int = 48,
    ) -> None:
        super().__init__()
        self.widths = _checked(widths)
        self.every, self.keep = check_integer("every", every, 1), check_integer("keep", keep, 2)
        self.files = AverageStore(directory)
        self._attached = False

    # -- after training --------------------------------------------------------------------------

    @property
    def steps(self) -> list[int]:
        """After how many steps there are snapshots, in order."""
        return self.files.steps()

    def use(self, model: keras.Model, width: float, step: int | None = None) -> None:
        """Makes the model's average, which it samples and is evaluated with, one of this width.

        Args:
            model: The model that was trained, or another of the same network that knows its data.
            width: Of the average, in (0, 0.2887].
            step: After how many steps, one of `steps`; default: the last.

        Raises:
            ValueError: for other values, and for snapshots of another run or of another network.
            FileNotFoundError: if there are none.

        Warns:
            UserWarning: where the snapshots are too few, or their widths too different, for it.
        """
        require_built(model, "its average is replaced")
        follow_network(model)
        values, about, error = stored_average(self.files, width, step)
        self._check_run(model, about)
        if about.shapes != _shapes(model):
            raise ValueError(
                f"Expected averages of the weights of this model's network in "
                f"{self.files.directory}, of shapes {_shapes(model)}. Received: {about.shapes}."
            )
        if error > _INACCURATE:
            warnings.warn(
                f"The snapshots up to step {about.step}, of widths {about.widths}, give an average "
                f"of width {width} only roughly: its profile is off by {error:.0%}. Keep more "
                "(`every`, `keep`) or others (`widths`).",
                stacklevel=2,
            )
        ends = np.cumsum([math.prod(average.shape) for average in model.ema.average])
        parts = np.split(values.astype("float32"), ends[:-1])
        for average, part in zip(model.ema.average, parts, strict=True):
            average.assign(part.reshape(average.shape))

    def best(
        self,
        model: keras.Model,
        x: Any,
        y: Any = None,
        widths: Sequence[float] = (0.03, 0.05, 0.075, 0.1, 0.15, 0.2),
        **kwargs: Any,
    ) -> dict[float, float]:
        """Uses the width with the least loss on held-out data.

        Args:
            model: As in `use`.
            x: Held-out data, in any form that `model.evaluate` takes more than once.
            y: Their conditions.
            widths: The widths to try, each in (0, 0.2887].
            **kwargs: Further arguments of `model.evaluate`.

        Returns:
            The loss of each width, all with the same noise.

        Raises:
            ValueError: as in `use`.
        """
        losses = {}
        kwargs |= {"return_dict": True, "verbose": 0}
        for width in _checked(widths):
            self.use(model, width)
            losses[width] = float(model.evaluate(x, y, **kwargs)["loss"])
        self.use(model, min(losses, key=lambda width: losses[width]))
        return losses

    def _check_run(self, model: keras.Model, about: Stored) -> None:
        averages = model.power_averages
        if averages.widths and int(backend.value_of(averages.run)) != about.run:
            raise ValueError(
                f"Expected snapshots of this model's run in {self.files.directory}. Received: "
                f"those of another run, up to step {about.step}. Take another directory, or "
                "remove them."
            )

    # -- in training -----------------------------------------------------------------------------

    def attach(self, model: keras.Model) -> None:
        """Lets a built model keep the averages; `fit` calls it."""
        averages = model.power_averages
        if averages.widths and averages.widths != self.widths:
            raise ValueError(
                f"Expected `widths` to be those that the model keeps, {averages.widths}. Received: "
                f"widths={self.widths}."
            )
        with backend.raise_together("keep averages"):
            if backend.process_index() == 0:  # which writes them
                self._check_directory(model)
        averages.keep(model, self.widths)
        averages.number_run()
        self._written = self._step = int(backend.value_of(averages.count))
        self._attached = True

    def _check_directory(self, model: keras.Model) -> None:
        self.files.remove_unfinished()
        newest = self.files.newest()
        if newest is None:
            return
        self._check_run(model, newest)
        if not model.power_averages.widths:
            raise ValueError(
                f"Expected a directory without snapshots for a new run. Received: "
                f"{self.files.directory}, with some up to step {newest.step}. Take another "
                "directory, or remove them."
            )

    def on_train_begin(self, logs: Any = None) -> None:
        """Refuses models that are not of keras_gud, whose `fit` does what else there is to do."""
        if not self._attached:
            raise TypeError(
                "Expected keras_gud.callbacks.PostHocEMA in `fit` of a keras_gud model. Received: "
                f"{type(self.model).__name__}."
            )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Steps are counted here, not read from the device, which so can run ahead."""
        self._first: int | None = None

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Notes the first batch of an epoch, which is a later one where training goes on."""
        if self._first is None:
            self._first, self._before = batch, self._step

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stores the averages where it is time for that."""
        before, self._step = self._step, self._before + batch + 1 - (self._first or 0)
        distance = self._distance(self._step)
        if self._step // distance > before // distance:
            self._write()

    def on_train_end(self, logs: Any = None) -> None:
        """Stores the last averages."""
        self._attached = False
        self._write()

    def _distance(self, step: int) -> int:
        """Steps between snapshots, of a run that has come so far."""
        distance = self.every
        while step // distance > self.keep:
            distance *= 2
        return distance

    def _write(self) -> None:
        averages = self.model.power_averages  # on jax this gives it the values of the last step
        step, run = (int(backend.value_of(v)) for v in (averages.count, averages.run))
        values = backend.value_of(averages.averages)
        if not np.isfinite(values).all():
            return  # `fit` will say so
        about = Stored(step, run, self.widths, _shapes(self.model))
        if backend.process_index() == 0:
            try:
                self.files.write(about, values)
            except OSError as error:
                warnings.warn(
                    f"Expected to store averages in {self.files.directory}. Received: {error}. "
                    "Training continues without those of this step.",
                    stacklevel=2,
                )
                return
            self._remove(step)
        self._written = step

    def _remove(self, step: int) -> None:
        """Removes what is too dense now, and what an interrupted run had stored of later steps."""
        distance, seen = self._distance(step), set()
        for each in self.steps:
            place = each // distance
            stale = each > step or self._written < each < step
            if each != step and (stale or place in seen or place == 0):
                self.files.remove(each)
            seen.add(place)


def _checked(widths: Sequence[float]) -> tuple[float, ...]:
    """Different widths in range."""
    given = tuple(widths) if isinstance(widths, (tuple, list)) else (widths,)
    for width in given:
        check_numbers(widths=width)
        exponent(width)
    if not given or len(set(given)) < len(given):
        raise ValueError(f"Expected `widths` to be different numbers. Received: widths={widths!r}.")
    return tuple(float(width) for width in given)


def _shapes(model: keras.Model) -> str:
    return str([tuple(average.shape) for average in model.ema.average])


def attach_averages(model: keras.Model, callbacks: Sequence[Any]) -> None:
    """Lets a built model keep the averages that a `PostHocEMA` among the callbacks asks for.

    Raises:
        ValueError: for several.
    """
    found = [each for each in callbacks if isinstance(each, PostHocEMA)]
    if len(found) > 1:
        raise ValueError(f"Expected one PostHocEMA. Received: {len(found)}.")
    for each in found:
        each.attach(model)
