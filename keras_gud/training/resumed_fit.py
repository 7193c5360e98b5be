"""`fit` in two parts that look like one: what is left of an epoch, and the epochs after it."""

from collections.abc import Iterator
from typing import Any

import keras

from keras_gud.data import skip
from keras_gud.persistence import training_state

_COUNTERS = {
    keras.callbacks.EarlyStopping: ("best", "best_epoch", "wait", "stopped_epoch"),
    keras.callbacks.ReduceLROnPlateau: ("best", "wait", "cooldown_counter"),
    keras.callbacks.ModelCheckpoint: ("best",),
}


def parts(
    source: Any, start: dict[str, Any], epochs: int, steps: int | None
) -> Iterator[tuple[Any, int, int, int | None]]:
    """The calls of Keras' `fit` that are left to do: data, first epoch, end, `steps_per_epoch`.

    Keras cannot begin within an epoch, so what is left of an interrupted one is an epoch to it.

    Args:
        source: The `data.Source`.
        start: Where training goes on.
        epochs: As in `fit`.
        steps: `steps_per_epoch` as in `fit`.
    """
    epoch, batch, data = start["epoch"], start["batch"], source.keras_data
    if epoch >= epochs or start["stopped"] == epochs:
        return
    once = start["step"] > 0 and skip.continues_across_epochs(source, steps)
    skip.advance_shuffle(source, start["passes"], 0 if once else epoch - start["first_epoch"])
    if once:
        data = skip.stream_from(source, start["step"])
    if batch:
        if once:  # Keras may read ahead, but not what is for the next epoch
            left = skip.first_batches(data, steps - batch), steps - batch
        else:
            left = skip.batches_from(source, epoch, batch)
        yield left[0], epoch, epoch + 1, left[1]
        epoch += 1
    if epoch < epochs:
        yield data, epoch, epochs, steps


class Calls(keras.callbacks.CallbackList):
    """The callbacks of a run, to which several calls of Keras' `fit` look like one.

    It begins and ends once, batches are counted from the beginning of their epoch, and the history
    is that of the whole run. The checkpoint is written after all others have done their work of an
    epoch, and before they do that of a step.

    Args:
        checkpoint: The `checkpoint.Checkpoint`, whose `before_step` and `write` are called.
        start: Where training goes on, as `position` returns it, and the step.
        callbacks: The others.
        model: The model.
        params: What Keras sets as `params` of callbacks: epochs, steps of an epoch, verbose.
    """

    def __init__(
        self,
        checkpoint: Any,  # `checkpoint` imports this file
        start: dict[str, Any],
        callbacks: list[keras.callbacks.Callback],
        model: keras.Model,
        params: dict[str, Any],
    ) -> None:
        show = params["verbose"] != 0
        super().__init__(callbacks, add_history=True, add_progbar=show, model=model, **params)
        self.checkpoint, self.start, self.others = checkpoint, start, list(callbacks)
        self.offset = self.batches = start["batch"]  # not seen by Keras; done in this epoch
        self.before = start["step"] - start["batch"]  # steps before this epoch
        self.epoch, self.begun = start["epoch"], False
        self.logs: Any = None

    def position(self) -> dict[str, Any]:
        """Where training is, its history, and the state of other callbacks, for JSON."""
        stopped = self._model.stop_training and not self.batches
        return {
            "epoch": self.epoch,
            "batch": self.batches,
            "stopped": self.params["epochs"] if stopped else None,
            "history": self._history.history,
            "epochs": self._history.epoch,
            "others": [_counters(callback) for callback in self.others],
        } | {name: self.start[name] for name in ("first_epoch", "passes")}

    def on_train_begin(self, logs: Any = None) -> None:
        """Begins once; restores the history and the state of other callbacks."""
        if self.begun:
            return
        self.begun = True
        super().on_train_begin(logs)
        self._history.history = {k: list(v) for k, v in self.start["history"].items()}
        self._history.epoch = list(self.start["epochs"])
        for callback, counters in zip(self.others, self.start["others"], strict=False):
            if counters.keys() == _counters(callback).keys():  # the same kind of callback
                vars(callback).update(counters)
        self._model.stop_training = False
        self.checkpoint.before_step(self.start["step"], self.position)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Restores the metrics of an epoch that was interrupted."""
        self.epoch = epoch
        super().on_epoch_begin(epoch, logs)
        if self.offset:
            training_state.load_metrics(self._model, self.start)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Writes a checkpoint if one is due."""
        self.batches = batch + self.offset
        self.checkpoint.before_step(self.before + self.batches, self.position)
        super().on_train_batch_begin(self.batches, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Counts the batches of this epoch."""
        batch += self.offset
        self.batches = min(batch + 1, self.params["steps"] or batch + 1)
        super().on_train_batch_end(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Writes a checkpoint."""
        super().on_epoch_end(epoch, logs)
        self.before += self.batches
        self.epoch, self.batches, self.offset = epoch + 1, 0, 0
        self.checkpoint.write(self.before, self.position)

    def on_train_end(self, logs: Any = None) -> None:
        """Keeps the logs for `finish`, which ends the run."""
        self.logs = logs

    def finish(self) -> None:
        """Ends the run; begins it first, if there was nothing left to do."""
        self.on_train_begin()
        super().on_train_end(self.logs)


def _counters(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """The counters of a callback of Keras that decides by what it has seen before."""
    names = (names for kind, names in _COUNTERS.items() if isinstance(callback, kind))
    return {name: getattr(callback, name) for name in next(names, ())}
