"""`fit` stops at a loss or weights that are not finite, says why, and keeps the last good ones.

Keras' `TerminateOnNaN` reads the loss on the host after every step, which then cannot run ahead,
and leaves the broken weights in the model; so nothing here builds on it.
"""

import time
import warnings
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np

from keras_gud import backend
from keras_gud.training.weight_snapshot import WeightSnapshot, is_finite

# Looking at the weights and copying them may take this much of the time of training ...
SHARE = 0.01
# ... and is not worth doing more often than this, in seconds.
SHORTEST = 1.0
# Data, or weights of the loss, beyond this are mentioned as a likely cause.
HUGE = 1e4


class NonFiniteLossError(FloatingPointError):
    """Training has met a loss, or made weights, that are not finite.

    The model has been given back its last good state and can be used and trained on.

    Attributes:
        step: Number of the step in the life of the model (the first is 1): the first one whose
            loss is not finite; where only the weights are not, the last one that was taken.
        epoch: Its epoch in this `fit`; the first is 1.
        batch: Its batch in the epoch; the first is 1.
        loss: Its loss.
        kept_step: The step after which the state that has been put back was copied.
        broken: Paths of variables that had ceased to be finite when this was noticed, if the loss
            was still finite.
        statistics: Figures of the batch, a dict; see `keras_gud.training.step_record.Record.read`.
    """

    def __init__(
        self, message: str, seen: dict, epoch: int, batch: int, kept_step: int, broken: list[str]
    ) -> None:
        super().__init__(message)
        self.step, self.loss, self.statistics = seen["step"], seen["loss"], seen
        self.epoch, self.batch, self.kept_step, self.broken = epoch, batch, kept_step, broken


class TerminateOnNonFinite(keras.callbacks.Callback):
    """Looks at losses and weights, keeps copies of the good ones and raises at bad ones.

    It looks at the end of every epoch and, in long ones, as often as `SHARE` allows. What went
    wrong and when is recorded in the step itself (`step_record.Record`): looking seldom loses none
    of it, and the device runs ahead of the host in between.

    Must be the first callback: others may write the weights to disk.

    Args:
        model: A compiled `GUDModel` whose optimizer has been built.

    Raises:
        ValueError: if weights or the learning rate are not finite before training.
    """

    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        self.set_model(model)
        self.snapshot = WeightSnapshot(lambda: [*model.variables, *model.optimizer.variables], True)
        _check_start(model, self.snapshot)
        self.kept_step: int | None = None  # until the first epoch begins
        self.epoch, self.first_step, self.due = 0, 0, 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Copies what callbacks have changed: all that one restored, later a learning rate."""
        self.epoch, self.first_step = epoch, _step_of(self.model)
        if self.kept_step is not None:
            self.snapshot.take_scalars()
        else:
            self.snapshot.take()
            self.kept_step, self.due = self.first_step, time.perf_counter() + SHORTEST

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Looks and copies once the last time was long enough ago."""
        # Several processes must agree on when, and clocks do not.
        if backend.process_count() == 1 and time.perf_counter() >= self.due:
            self.look()

    def on_test_begin(self, logs: Any = None) -> None:
        """Looks after an epoch's training, before its validation resets the record."""
        self.look()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Looks, unless that has been done before validation, and warns of its result."""
        loss = (logs or {}).get("val_loss")
        if loss is None:
            self.look()
        elif not np.isfinite(loss):
            warnings.warn(
                f"Expected a finite validation loss. Received: {loss} after epoch {epoch + 1}, "
                "where the training loss and all weights are finite. Look for huge values or "
                "sample weights in the validation data. Training goes on.",
                stacklevel=2,
            )

    def look(self) -> None:
        """Copies the state of the model if it is good, else raises a `NonFiniteLossError`."""
        model = self.model  # which on jax gets the variables from the last step
        seen = model.objective.record.read()  # which waits for all steps so far: no cost of looking
        started = time.perf_counter()
        broken = self.snapshot.take_if_finite() if np.isfinite(seen["loss"]) else []
        if broken or not np.isfinite(seen["loss"]):
            raise self._error(seen, broken)
        self.kept_step, now = _step_of(model), time.perf_counter()
        self.due = now + max((now - started) / SHARE, SHORTEST)

    def check(self) -> None:
        """Looks, if there have been steps since: what is to be kept elsewhere must be good."""
        if self.kept_step is not None and _step_of(self.model) != self.kept_step:
            self.look()

    def guard(self) -> AbstractContextManager[None]:
        """Context of training that puts the last good state back if it ends with an error."""

        def is_wrong() -> bool:
            try:
                if self.kept_step is not None:
                    self.look()
            except NonFiniteLossError:
                return True
            return False

        return self.snapshot.guard(is_wrong)

    def _error(self, seen: dict[str, Any], broken: list[str]) -> NonFiniteLossError:
        """The error for a bad batch, or for weights that a good one has broken."""
        epoch, batch, kept = self.epoch + 1, seen["step"] - self.first_step, self.kept_step or 0
        where = f"step {seen['step']} (epoch {epoch}, batch {batch})"
        text = f"Expected a finite loss. Received: {seen['loss']} in {where}."
        if broken:
            text = (
                f"Expected finite weights. Received: NaN or inf in {_some(broken)} at {where}, "
                f"whose loss of {seen['loss']:.4g} is finite: a gradient was not, or too large."
            )
        text += "\n" + _BATCH.format(**seen)
        text += _BAD_EXAMPLES.format(**seen) if seen["bad_examples"] else ""
        text += _PREVIOUS.format(**seen) if seen["previous_loss"] else ""
        text += f"\nThe model has been put back to where it was after step {kept}.\nWhat to try:"
        text += "".join(f"\n  - {line}" for line in _advice(self.model, seen, broken))
        return NonFiniteLossError(text, seen, epoch, batch, kept, broken)


_BATCH = """Its batch:
  data, in the model's floats: {x_min:.4g} to {x_max:.4g}, mean {x_mean:.4g}, \
standard deviation {x_std:.4g}
  largest noised component {largest_z:.4g}, network output {largest_output:.4g}, \
weight of the loss {largest_weight:.4g}"""
_BAD_EXAMPLES = """
  {bad_examples} of {examples} examples are bad; the first one, at index {example}, has \
t = {of_example[t]:.4f}, data {of_example[x_min]:.4g} to {of_example[x_max]:.4g}, \
output {of_example[largest_output]:.4g}"""
_PREVIOUS = "\n  loss of the step before: {previous_loss:.4g}"


def _advice(model: keras.Model, seen: dict[str, Any], broken: list[str]) -> list[str]:
    """What to try, the likeliest cause first."""
    one, every = seen["of_example"], seen["bad_examples"] == seen["examples"]
    overflow = np.isfinite(one["largest_z"]) and not np.isfinite(one["largest_output"])
    # Comparisons with NaN are false: `not <` counts it as huge.
    table = {
        'data with smaller values: divide them by their size, or prior="matching"': (
            not np.abs([seen["x_min"], seen["x_max"]]).max() < HUGE
        ),
        "a weighting that stays small at all times of the schedule, e.g. "
        f'weighting="eps" or "min_snr" (here {seen["largest_weight"]:.4g} in a batch)': (
            not seen["largest_weight"] < HUGE
        ),
        "finite sample weights and added losses: the loss of every example is finite by itself": (
            not (broken or seen["bad_examples"])
        ),
        '"mixed_bfloat16" for the network in place of float16, whose numbers end at 65504': (
            getattr(model.network, "compute_dtype", "") == "float16"
        ),
        "(the network fails on every example: most likely its weights were spoilt by the gradient "
        f"of step {seen['step'] - 1})": overflow and every and seen["step"] > 1,
        f"a lower learning rate (it is {_learning_rate(model):.4g}), or one that warms up": True,
        "clipped gradients: keras.optimizers.Adam(..., global_clipnorm=1.0)": True,
    }
    return [line for line, applies in table.items() if applies]


def _check_start(model: keras.Model, snapshot: WeightSnapshot) -> None:
    """Refuses to train what is broken already."""
    weights = {id(w) for w in model.weights}
    bad = [v.path for v, value in snapshot.copies if id(v) in weights and not is_finite(value)]
    if bad:
        raise ValueError(
            f"Expected finite weights to start from. Received: NaN or inf in {_some(bad)}. "
            "Load an earlier file, or make the model anew."
        )
    rate = _learning_rate(model)
    if not np.isfinite(rate):
        raise ValueError(f"Expected a finite `learning_rate`. Received: learning_rate={rate}.")


def _learning_rate(model: keras.Model) -> float:
    rate = model.optimizer.learning_rate
    known = isinstance(rate, keras.Variable)  # a schedule's is a tensor
    return float(backend.value_of(rate) if known else keras.ops.convert_to_numpy(rate))


def _step_of(model: keras.Model) -> int:
    """How many training steps the model has taken in its life."""
    return int(backend.value_of(model.ema.count))


def _some(paths: list[str]) -> str:
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(repr(path) for path in paths[:3]) + more
