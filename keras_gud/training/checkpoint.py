"""`Checkpoint`: training that was interrupted goes on where it was."""

import contextlib
import functools
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_gud import backend
from keras_gud.core.arguments import check_integer
from keras_gud.data import skip
from keras_gud.persistence import atomic_write, training_state
from keras_gud.persistence.checkpoint_store import CheckpointStore
from keras_gud.training.resumed_fit import Calls, parts


class Checkpoint(keras.callbacks.Callback):
    """Writes checkpoints; `fit` with the same arguments, started again, goes on from the last one.

    However the process ended, by SIGKILL, SIGTERM, Ctrl-C or an exception, between steps, during
    validation or while a checkpoint was being written: the run ends with bit by bit the same
    weights, average, optimizer, random states, metrics and history as one that was never
    interrupted (on one device). That needs data that come in the same order again: arrays,
    `keras_gud.datasets`, other `keras.utils.PyDataset` without workers, generators that yield the
    same batches again (with ``steps_per_epoch``), torch DataLoaders with a seeded ``generator`` or
    a sampler with ``set_epoch``, and `tf.data` with seeded shuffles and a known number of batches
    (endless ones: ``repeat`` before ``shuffle``). Arrays and PyDatasets are read from the right
    place on; of the others, what comes before it is read once more.

    A checkpoint is a folder ``step-000000001200`` in `directory`, with the weights as Keras saves
    them, ``model.weights.h5``, and a readable ``state.json``. It is complete or not there at all.
    A damaged one (its checksums differ) is reported by a warning, and the one before is taken. The
    first is written before the first step, so that the model need not be adapted again.

    SIGTERM, where nothing else handles it, waits for the end of the step, a checkpoint is written,
    and then the process ends by it. A second SIGTERM ends it at once.

    What Keras' `EarlyStopping`, `ReduceLROnPlateau` and `ModelCheckpoint` have counted is kept too,
    but not the weights of ``restore_best_weights``; other callbacks begin anew.

    Args:
        directory: Where to write them: of one run only; made if it does not exist.
        every: Steps between checkpoints within an epoch. There is always one at the end of every
            epoch; by default there are no others.
        keep: How many of them to keep, at least 1.

    Raises:
        ValueError: for `every` or `keep` below 1; in `fit` for checkpoints of another model or of
            a newer version, or if there are some and none can be read; with `every`, for data of
            unknown length.
        OSError: in `fit`, if a checkpoint cannot be written, e.g. on a full disk. The model in
            memory and the earlier checkpoints are still there.

    Example:

    >>> import tempfile
    >>> import keras_gud, numpy as np
    >>> x = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     for epochs in (1, 3):  # the second goes on after the first
    ...         checkpoint = Checkpoint(directory)
    ...         model = keras_gud.GUD(schedule="cosine", backbone="tiny", seed=0)
    ...         history = model.fit(x, epochs=epochs, callbacks=[checkpoint], verbose=0)
    >>> history.epoch
    [0, 1, 2]
    """

    def __init__(
        self, directory: str | os.PathLike, every: int | None = None, keep: int = 3
    ) -> None:
        super().__init__()
        self.every = None if every is None else check_integer("every", every, 1)
        self.files = CheckpointStore(directory, check_integer("keep", keep, 1))
        self._state: dict[str, Any] | None = None
        self._saved: int | None = None  # step of the last checkpoint
        self._asked = False  # to end, by SIGTERM
        self._check: Callable[[], None] = lambda: None

    def latest(self) -> Path | None:
        """The folder of the last checkpoint that can be read, a `Path`, or `None`."""
        found = self.files.newest()
        return None if found is None else found[0]

    def restore(self, model: keras.Model) -> dict[str, int]:
        """Makes a model what it was in the last checkpoint that can be read, e.g. to sample.

        Args:
            model: A model with the same arguments as the one that was trained.

        Returns:
            Where it was: ``{"epoch": ..., "batch": ..., "step": ...}``, all counted from 0.

        Raises:
            FileNotFoundError: if there is none.
            ValueError: as in `fit`.
        """
        found = self.files.newest()
        if found is None:
            raise FileNotFoundError(
                f"Expected a checkpoint in {self.files.directory}. Received: none."
            )
        training_state.load(model, *found)
        return {name: found[1][name] for name in ("epoch", "batch", "step")}

    def on_train_begin(self, logs: Any = None) -> None:
        """Refuses models that are not of keras_gud, whose `fit` does what else there is to do."""
        raise TypeError(
            "Expected keras_gud.callbacks.Checkpoint in `fit` of a keras_gud model. Received: "
            f"{type(self.model).__name__}."
        )

    # -- what `fit` calls ------------------------------------------------------------------------

    def resume(self, model: keras.Model, verbose: int = 0) -> bool:
        """Restores the last checkpoint, if there is one, and says whether there was."""
        self.set_model(model)
        if not model.compiled:
            model.compile()
        if getattr(model.optimizer, "use_ema", False):
            raise ValueError(
                "Expected an optimizer without `use_ema` beside a Checkpoint: it overwrites the "
                "weights when training ends, and the model keeps an average of its own. "
                "Received: use_ema=True."
            )
        if backend.process_index() == 0:
            self.files.remove_unfinished()
        found = self.files.newest()
        self._check_agreed(found)
        self._asked, self._saved, self._state = False, None, None
        if found is not None:
            path, state = found
            training_state.load(model, path, state)
            self._state, self._saved = state, state["step"]
            if verbose:
                print(f"Going on from {path}")
        return found is not None

    def train(
        self,
        fit: Callable[..., Any],
        source: Any,
        callbacks: list[keras.callbacks.Callback],
        epochs: int,
        kwargs: dict[str, Any],
        check: Callable[[], None],
    ) -> keras.callbacks.History:
        """Calls Keras' `fit` on what is left to do.

        Args:
            fit: Keras' `fit` of the model.
            source: The `data.Source` to train on.
            callbacks: The other callbacks.
            epochs: As in `fit`.
            kwargs: Further arguments of `fit`.
            check: Function without arguments that raises if the model is in no state to be kept.

        Returns:
            The history of the whole run.
        """
        self._check = check
        first, steps = kwargs.get("initial_epoch") or 0, kwargs.get("steps_per_epoch")
        length = steps or skip.batches_per_epoch(source)
        self._check_length(length, steps, source)
        start = self._state or {
            **{"epoch": first, "batch": 0, "step": 0, "stopped": None, "others": []},
            **{"first_epoch": first, "passes": source.passes, "history": {}, "epochs": []},
        }
        params = {"epochs": epochs, "steps": length, "verbose": kwargs["verbose"]}
        calls = Calls(self, start, callbacks, self._model, params)
        with self._deferring_sigterm(useful=length is not None):
            for data, begin, end, count in parts(source, start, epochs, steps):
                kwargs |= {"initial_epoch": begin, "epochs": end, "steps_per_epoch": count}
                fit(data, callbacks=calls, **kwargs)
                if self._model.stop_training:
                    break
            calls.finish()
        return self._model.history

    def _check_agreed(self, found: tuple[Path, dict] | None) -> None:
        step = np.int64(-1 if found is None else found[1]["step"])
        steps = backend.process_allgather(step).tolist()
        if len(set(steps)) > 1:
            raise ValueError(
                "Expected all processes to find the same checkpoint, in a directory that they "
                f"share. Received: steps {steps} (-1 for none) in {self.files.directory}."
            )

    def _check_length(self, length: int | None, steps: int | None, source: Any) -> None:
        known = skip.batches_per_epoch(source)
        if steps and known and steps != known:
            raise ValueError(
                "Expected no `steps_per_epoch` beside a Checkpoint, for data of known length. "
                f"Received: steps_per_epoch={steps}, data of {known} batches."
            )
        if self.every and length is None:
            raise ValueError(
                "Expected data of known length for checkpoints within an epoch: give "
                "`steps_per_epoch`, for a tf.data.Dataset .apply(tf.data.experimental."
                "assert_cardinality(batches)), or leave `every` out. "
                f"Received: every={self.every}."
            )

    def before_step(self, step: int, position: Callable[[], dict[str, Any]]) -> None:
        """Writes a checkpoint where one is due; `position` returns the rest of its state."""
        due = self.every and step // self.every > (self._saved or 0) // self.every
        if self._saved is None or due or self._asked:
            self.write(step, position)

    def write(self, step: int, position: Callable[[], dict[str, Any]]) -> None:
        """Writes a checkpoint, unless there is one of this step; then SIGTERM may come."""
        if step != self._saved:
            self._check()
            model = self.model  # on jax this gives it the weights of the last step
            state = training_state.describe(model) | position() | {"step": step}
            save = functools.partial(training_state.save, model)
            with backend.raise_together("write a checkpoint"):
                if backend.process_index() == 0:
                    self.files.write(step, state, save, atomic_write.estimated_bytes(model))
                else:  # on jax Keras saves what all processes have, with all of them
                    with tempfile.TemporaryDirectory() as nowhere:
                        save(Path(nowhere))
        self._saved = step
        if self._asked:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)

    @contextlib.contextmanager
    def _deferring_sigterm(self, useful: bool) -> Iterator[None]:
        """Lets SIGTERM wait for the next step, where nothing else handles it."""
        ours = threading.current_thread() is threading.main_thread()
        alone = backend.process_count() == 1  # several would have to agree on the step
        if not (useful and ours and alone) or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
            yield
            return
        owner = os.getpid()

        def ask(number, frame):
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the next one ends the process
            if os.getpid() == owner:
                self._asked = True
            else:  # a worker that was forked off
                os.kill(os.getpid(), signal.SIGTERM)

        signal.signal(signal.SIGTERM, ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            if self._asked:
                os.kill(os.getpid(), signal.SIGTERM)


def take(
    callbacks: list[keras.callbacks.Callback],
) -> tuple[Checkpoint | None, list[keras.callbacks.Callback]]:
    """The `Checkpoint` among callbacks, and the others.

    Raises:
        ValueError: for several, or one beside Keras' `BackupAndRestore`.
        TypeError: for anything that is no callback, such as its class.
    """
    for each in callbacks:
        if not isinstance(each, (keras.callbacks.Callback, keras.callbacks.CallbackList)):
            called = f" Call it: {each.__name__}(...)." if isinstance(each, type) else ""
            raise TypeError(f"Expected Keras callbacks. Received: {each!r}.{called}")
    found = [c for c in callbacks if isinstance(c, Checkpoint)]
    others = [c for c in callbacks if not isinstance(c, Checkpoint)]
    backups = [c for c in others if isinstance(c, keras.callbacks.BackupAndRestore)]
    if len(found) > 1 or (found and backups):
        raise ValueError(
            "Expected one Checkpoint, and no keras.callbacks.BackupAndRestore beside it, which "
            "would restore another state. Received: "
            f"{[type(c).__name__ for c in [*found, *backups]]}."
        )
    return (found[0] if found else None), others
