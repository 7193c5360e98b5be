"""Callbacks for samples during training, and for checkpoints that training resumes from."""

import os
import warnings
from pathlib import Path
from typing import Any

import keras

from keras_gud import plots
from keras_gud.plots.canvas import new_figure
from keras_gud.training.checkpoint import Checkpoint

__all__ = ["Checkpoint", "SampleGrid"]


class SampleGrid(keras.callbacks.Callback):
    """Writes a grid of samples as a PNG every few epochs, always from the same noise.

    Samples are of the averaged weights. A picture that cannot be written, on a full disk for
    example, is a warning; training continues. For example, ``model.fit(x, epochs=20,
    callbacks=[SampleGrid("samples", every=5)])``.

    Args:
        directory: Folder of ``epoch_0001.png``, ...; created if it does not exist.
        n: Number of samples, >= 1.
        every: Epochs between pictures, >= 1; the last epoch always has one.
        seed: Seed of the samples, >= 0.
        **kwargs: Further arguments of `GUDModel.sample`, e.g. ``steps=100``.

    Raises:
        ImportError: without matplotlib (``pip install ".[demo]"``).
        ValueError: for n or every below 1.

    Example:

    >>> SampleGrid("samples", n=9, every=5, steps=100).n
    9
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        n: int = 16,
        every: int = 1,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        for name, value in (("n", n), ("every", every)):
            if value < 1:
                raise ValueError(f"Expected `{name}` >= 1. Received: {name}={value}.")
        new_figure(1, 1)  # a missing matplotlib is an error now, not after an epoch of training
        self.directory, self.n, self.every = Path(directory), n, every
        self.sample_arguments = {"seed": seed} | kwargs

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes a picture; the random state of training is left as it is."""
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
                f"Expected to write {path}. Received: {error}. Training continues without it.",
                stacklevel=2,
            )
