"""`fit` stops at a loss or weights that are not finite, says why, and keeps the last good ones."""

import time
import warnings

import keras
import numpy as np

from keras_gud import backend
from keras_gud.training import step_record
from keras_gud.training.weight_snapshot import WeightSnapshot, is_finite

# Looking at the weights and copying them may take this much of the time of training ...
SHARE = 0.01
# ... and is not worth doing more often than this, in seconds.
SHORTEST = 1.0


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
        statistics: Figures of the batch, a dictionary; see `keras_gud.training.step_record.Batch`.
    """

    def __init__(self, message, seen: step_record.Batch, epoch, batch, kept_step, broken=()):
        super().__init__(message)
        self.step, self.loss, self.statistics = seen.step, seen.loss, seen.statistics()
        self.epoch, self.batch, self.kept_step, self.broken = epoch, batch, kept_step, list(broken)


class TerminateOnNonFinite(keras.callbacks.Callback):
    """Looks at losses and weights, keeps copies of the good ones and raises at bad ones.

    It looks at the end of every epoch and, in long ones, as often as `SHARE` allows. What went
    wrong and when comes from the step itself (`health.Record`), so that seldom looking loses none
    of it, and training runs ahead of the host in between.

    Must be the first callback: others may write the weights to disk.

    Args:
        model: A compiled `GUDModel` whose optimizer has been built.

    Raises:
        ValueError: if weights or the learning rate are not finite before training.
    """

    def __init__(self, model):
        super().__init__()
        self.set_model(model)
        self.safe = WeightSnapshot(lambda: [*model.variables, *model.optimizer.variables], True)
        _check_start(model, self.safe)
        self.kept_step = self.first_step = _step_of(model)
        self.epoch, self.begun, self.tested, self.due = 0, False, False, 0.0

    def on_epoch_begin(self, epoch, logs=None):
        """Keeps what other callbacks have changed: all that one restored, later a learning rate."""
        if self.begun:
            self.safe.take_scalars()
        else:
            self.safe.take()
        model = self.model
        self.epoch, self.first_step, self.tested = epoch, _step_of(model), False
        if not self.begun:
            self.kept_step, self.begun = self.first_step, True
            self.due = time.perf_counter() + SHORTEST

    def on_train_batch_begin(self, batch, logs=None):
        """Looks and copies once the last time was long enough ago."""
        # Several processes must agree on when, and clocks do not.
        if backend.process_count() == 1 and time.perf_counter() >= self.due:
            self.look()

    def on_test_begin(self, logs=None):
        """Looks after an epoch's training, before its validation resets the record."""
        self.look()
        self.tested = True

    def on_epoch_end(self, epoch, logs=None):
        """Looks, unless that has been done before validation, and warns of its result."""
        if not self.tested:
            self.look()
        elif not np.isfinite((logs or {}).get("val_loss", 0.0)):
            warnings.warn(
                f"Expected a finite validation loss. Received: {logs['val_loss']} after epoch "
                f"{epoch + 1}, where the training loss and all weights are finite. Look for huge "
                "values or sample weights in the validation data. Training goes on.",
                stacklevel=2,
            )

    def look(self):
        """Copies the state of the model if it is good.

        Raises:
            NonFiniteLossError: if it is not.
        """
        model = self.model  # which on jax gets the variables from the last step
        seen = model.objective.record.read()  # which waits for all steps so far: no cost of looking
        started = time.perf_counter()
        broken = self.safe.take_if_finite() if seen.is_finite else []
        if broken or not seen.is_finite:
            raise self.error(seen, broken)
        self.kept_step = _step_of(model)
        now = time.perf_counter()
        self.due = now + max((now - started) / SHARE, SHORTEST)

    def check(self):
        """Looks, if there have been steps since: what is to be kept elsewhere must be good."""
        if self.begun and _step_of(self.model) != self.kept_step:
            self.look()

    def is_wrong(self) -> bool:
        """Whether the present state of the model is not to be kept."""
        if not self.begun:
            return False
        return not self.model.objective.record.read().is_finite or bool(self.safe.take_if_finite())

    def guard(self):
        """Context of training that puts the last good state back if it ends with an error."""
        return self.safe.guard(self.is_wrong)

    def error(self, seen: step_record.Batch, broken=()) -> NonFiniteLossError:
        """The error for a bad batch, or for weights that a good one has broken."""
        model, batch = self.model, seen.step - self.first_step
        where = f"step {seen.step} (epoch {self.epoch + 1}, batch {batch})"
        if broken:
            what = (
                f"Expected finite weights. Received: NaN or inf in {_some(broken)} at {where}, "
                f"whose loss of {seen.loss:.4g} is finite: a gradient was not, or too large."
            )
        else:
            what = f"Expected a finite loss. Received: {seen.loss} in {where}."
        kept = f"The model has been put back to where it was after step {self.kept_step}."
        advice = "\n".join(f"  - {line}" for line in advise(model, seen, broken))
        message = f"{what}\n{tell(seen)}\n{kept}\nWhat to try:\n{advice}"
        return NonFiniteLossError(message, seen, self.epoch + 1, batch, self.kept_step, broken)


def tell(seen: step_record.Batch) -> str:
    """The statistics of a batch in words."""
    lines = [
        f"  data, in the model's floats: {seen.x_min:.4g} to {seen.x_max:.4g}, mean "
        f"{seen.x_mean:.4g}, standard deviation {seen.x_std:.4g}",
        f"  largest noised component {seen.largest_z:.4g}, network output "
        f"{seen.largest_output:.4g}, weight of the loss {seen.largest_weight:.4g}",
    ]
    if seen.bad_examples:
        one = seen.of_example
        lines.append(
            f"  {seen.bad_examples} of {seen.examples} examples are bad; the first one, at index "
            f"{seen.example}, has t = {one['t']:.4f}, data {one['x_min']:.4g} to "
            f"{one['x_max']:.4g}, output {one['largest_output']:.4g}"
        )
    if seen.previous_loss:
        lines.append(f"  loss of the step before: {seen.previous_loss:.4g}")
    return "\n".join(["Its batch:", *lines])


HUGE = 1e4  # data or weights of the loss beyond this deserve a word


def advise(model, seen: step_record.Batch, broken=()) -> list[str]:
    """What to try, the likeliest cause first."""
    lines, one = [], seen.of_example
    scale = np.abs([seen.x_min, seen.x_max]).max()
    if not scale < HUGE:
        lines.append('data with smaller values: divide them by their size, or prior="matching"')
    if not seen.largest_weight < HUGE:
        lines.append(
            "a weighting that stays small at all times of the schedule, e.g. "
            f'weighting="eps" or "min_snr" (here {seen.largest_weight:.4g} in a batch)'
        )
    if not (broken or seen.bad_examples):
        lines.append(
            "finite sample weights and added losses: the loss of every example is finite by itself"
        )
    overflow = np.isfinite(one["largest_z"]) and not np.isfinite(one["largest_output"])
    if getattr(model.network, "compute_dtype", "") == "float16":
        lines.append(
            '"mixed_bfloat16" for the network in place of float16, whose numbers end at 65504'
        )
    if overflow and seen.bad_examples == seen.examples and seen.step > 1:
        lines.append(
            f"(the network fails on every example: most likely its weights were spoilt by the "
            f"gradient of step {seen.step - 1})"
        )
    rate = _learning_rate(model)
    lines.append(f"a lower learning rate (it is {rate:.4g}), or one that warms up")
    lines.append("clipped gradients: keras.optimizers.Adam(..., global_clipnorm=1.0)")
    return lines


def _check_start(model, safe: WeightSnapshot):
    """Refuses to train what is broken already."""
    weights = {id(w) for w in model.weights}
    bad = [v.path for v, value in safe.copies if id(v) in weights and not is_finite(value)]
    if bad:
        raise ValueError(
            f"Expected finite weights to start from. Received: NaN or inf in {_some(bad)}. "
            "Load an earlier file, or make the model anew."
        )
    rate = _learning_rate(model)
    if not np.isfinite(rate):
        raise ValueError(f"Expected a finite `learning_rate`. Received: learning_rate={rate}.")


def _learning_rate(model) -> float:
    rate = model.optimizer.learning_rate
    known = isinstance(rate, keras.Variable)  # a schedule's is a tensor
    return float(backend.value_of(rate) if known else keras.ops.convert_to_numpy(rate))


def _step_of(model) -> int:
    """How many training steps the model has taken in its life."""
    return int(backend.value_of(model.ema.count))


def _some(paths) -> str:
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(repr(path) for path in paths[:3]) + more
