"""Data that end before training does: what was trained on is said, and nothing is trained on twice.

Of a generator that has ended, Keras would train on the first two batches again in each later epoch.
"""

import warnings
from typing import Any

import keras
from keras import ops


class StopWithData(keras.callbacks.Callback):
    """Ends training where a generator has ended; warns where an epoch has fewer steps than asked.

    Args:
        source: The `Source` of the data.
        resumed: Whether the first epoch may have begun in an earlier run.
    """

    def __init__(self, source: Any, resumed: bool = False) -> None:
        super().__init__()
        self.source, self.said, self.partial = source, False, resumed

    def on_train_begin(self, logs: Any = None) -> None:
        """Notes the steps taken before."""
        self.start = self.before = self._steps()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Compares the steps of this epoch with those asked for; looks whether data are left."""
        steps, asked, epochs = self._steps(), self.params["steps"], self.params["epochs"]
        taken, self.before = steps - self.before, steps
        # Of an epoch that began in an earlier run, or was stopped, the rest is not missing.
        partial, self.partial = self.partial or self.model.stop_training, False
        progress = self.source.progress
        if progress.ended and steps - self.start >= progress.read and epoch + 1 < epochs:
            self.model.stop_training = True
            warnings.warn(
                f"The generator has ended: training stops after {epoch + 1} of {epochs} epochs and "
                f"{steps - self.start} steps, one for each batch. Give an array, a PyDataset, or a "
                "generator that goes on.",
                stacklevel=2,
            )
        elif asked is not None and taken < asked and not (self.said or partial):
            self.said = True
            warnings.warn(
                f"Epoch {epoch + 1} had {taken} of the {asked} steps asked for: the data have no "
                "more batches.",
                stacklevel=2,
            )

    def _steps(self) -> int:
        return int(ops.convert_to_numpy(self.model.ema.count))
