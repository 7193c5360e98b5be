"""Callbacks for samples during training, checkpoints to resume from, and averages of any width."""

import io
import os
import time
import warnings
from pathlib import Path
from typing import Any

import keras

from keras_gud import plots
from keras_gud.core import optional
from keras_gud.core.arguments import check_integer
from keras_gud.plots.canvas import new_figure
from keras_gud.training.checkpoint import Checkpoint
from keras_gud.training.post_hoc_ema import PostHocEMA

__all__ = ["Checkpoint", "PostHocEMA", "SampleGrid", "TensorBoard"]

_RGBA = 4  # `colorspace` of TensorBoard's images


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
        figure = _grid(self.model, self.n, self.sample_arguments, epoch)
        path = self.directory / f"epoch_{epoch + 1:04d}.png"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            figure.savefig(path)
        except OSError as error:
            warnings.warn(
                f"Expected to write {path}. Received: {error}. Training continues without it.",
                stacklevel=2,
            )


class TensorBoard(keras.callbacks.Callback):
    """Writes what an epoch measured, and grids of samples, for TensorBoard; needs no TensorFlow.

    Keras' callback of this name writes more (graphs, histograms, profiles) by TensorFlow.
    For example, ``model.fit(x, epochs=20, callbacks=[TensorBoard("logs")])``.

    Args:
        directory: Folder of the event file; created if it does not exist.
        samples: Number of images in a grid; 0 writes scalars only, as do data other than images.
        every: Epochs between grids, >= 1; the last epoch always has one.
        seed: Seed of the samples, >= 0.
        **kwargs: Further arguments of `GUDModel.sample`, e.g. ``steps=100``.

    Raises:
        ImportError: without tensorboard or matplotlib (``pip install ".[tensorboard]"``).
        ValueError: for samples below 0 or every below 1.

    Example:

    >>> TensorBoard("logs", samples=9, every=5, steps=100).every
    5
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        samples: int = 16,
        every: int = 1,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.samples = check_integer("samples", samples, 0)
        self.every, self.directory = check_integer("every", every, 1), os.fspath(directory)
        self.sample_arguments = {"seed": seed} | kwargs
        new_figure(1, 1)
        self._open = _event_writer()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Opens the event file."""
        self._write, self._close = self._open(self.directory)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the epoch's numbers, and a grid of samples where it is time for one."""
        values = [{"tag": k, "simple_value": float(value)} for k, value in (logs or {}).items()]
        last = epoch + 1 == self.params.get("epochs")
        drawn = len(self.model.data_shape) == 3 and self.samples > 0
        if drawn and (last or (epoch + 1) % self.every == 0):
            values.append({"tag": "samples", "image": self._image(epoch)})
        self._write(epoch + 1, values)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Closes the event file."""
        self._close()

    def _image(self, epoch: int) -> dict[str, Any]:
        figure = _grid(self.model, self.samples, self.sample_arguments, epoch)
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=figure.dpi)
        width, height = (round(size * figure.dpi) for size in figure.get_size_inches())
        image = {"height": height, "width": width, "colorspace": _RGBA}
        return image | {"encoded_image_string": file.getvalue()}


def _grid(model: keras.Model, n: int, arguments: dict[str, Any], epoch: int) -> Any:
    """A figure of samples; the random state of training is left as it is."""
    samples = model.data_space.without_names(model.sample(n, **arguments))
    return plots.image_grid(samples, title=f"epoch {epoch + 1}")


def _event_writer() -> Any:
    """A function of a folder that opens an event file in it, and returns how to write and close."""
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError as error:
        raise optional.missing("tensorboard", "its event files", "tensorboard") from error

    def open_folder(directory: str) -> Any:
        file = EventFileWriter(directory)

        def write(step: int, values: list[dict[str, Any]]) -> None:
            summary = Summary(value=[Summary.Value(**value) for value in values])
            file.add_event(Event(wall_time=time.time(), step=step, summary=summary))
            file.flush()

        return write, file.close

    return open_folder
