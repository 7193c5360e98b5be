"""A warning after the first epoch, where a model does worse than the best linear one."""

import warnings
from typing import Any

import keras
from keras import ops

# Fewer steps say nothing.
MIN_STEPS = 100
FAR_ABOVE = 1.5


class WarnOfNoProgress(keras.callbacks.Callback):
    """Warns after the first epoch, of at least 100 steps, of a loss far above the linear model's.

    Only in the first 100 steps and more of a model's life; later the user has seen its losses.
    """

    def on_train_begin(self, logs: Any = None) -> None:
        """Notes whether the model is new."""
        self.steps_before = _steps(self.model)
        self.done = self.steps_before >= MIN_STEPS

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Compares the two losses, once."""
        if self.done or _steps(self.model) < MIN_STEPS:
            return
        self.done = True
        loss, linear = (float((logs or {}).get(name, 0.0)) for name in ("loss", "linear_loss"))
        if loss > FAR_ABOVE * linear:
            warnings.warn(
                f"After {_steps(self.model)} steps the loss is {loss:.3g}, where the best linear "
                f"model has {linear:.3g}. The likely reason is the learning rate, too large or "
                "far too small, or a network that cannot represent its output; "
                "`model.diagnose(x)` says more.",
                stacklevel=2,
            )


def _steps(model: Any) -> int:
    return int(ops.convert_to_numpy(model.ema.count))
