"""Callbacks for looking at a model while it trains, and for going on after an interruption."""

import warnings
from pathlib import Path

import keras

from keras_gud import plots
from keras_gud.plots.canvas import new_figure
from keras_gud.training.checkpoint import Checkpoint

__all__ = ["Checkpoint", "SampleGrid"]


class SampleGrid(keras.callbacks.Callback):
    """Writes a grid of samples as a PNG after every few epochs, always from the same noise.

    A full disk costs the picture, not the run: that is a warning.

    Args:
        directory: Where to write ``epoch_0001.png``, ...; made if it does not exist.
        n: Number of samples.
        every: Epochs between pictures; the last epoch always gets one.
        seed: Seed of the samples.
        **kwargs: Further arguments of `GUDModel.sample`, e.g. ``steps=100``.

    Raises:
        ImportError: on construction, without matplotlib (``pip install "keras-gud[demo]"``).
        ValueError: for n or every below 1.
    """

    def __init__(self, directory, n: int = 16, every: int = 1, seed: int = 0, **kwargs):
        super().__init__()
        for name, value in (("n", n), ("every", every)):
            if value < 1:
                raise ValueError(f"Expected `{name}` >= 1. Received: {name}={value}.")
        new_figure(1, 1)  # without matplotlib it fails here, not after an epoch of training
        self.directory, self.n, self.every = Path(directory), n, every
        self.sample_arguments = {"seed": seed} | kwargs

    def on_epoch_end(self, epoch, logs=None):
        """Samples with the averaged weights; the training stream is not touched."""
        if (epoch + 1) % self.every and epoch + 1 != self.params.get("epochs"):
            return
        figure = plots.image_grid(
            self.model.sample(self.n, **self.sample_arguments), title=f"epoch {epoch + 1}"
        )
        path = self.directory / f"epoch_{epoch + 1:04d}.png"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            figure.savefig(path)
        except OSError as error:
            warnings.warn(
                f"Expected to write {path}. Received: {error}. Training goes on without it.",
                stacklevel=2,
            )
