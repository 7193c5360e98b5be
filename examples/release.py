"""Makes a small file of a trained model, as those that ship with the package are.

    python examples/release.py out/restoration.keras keras_gud/pretrained/patches.keras

Leaves out the optimizer and the raw weights: the averaged weights, with which the model samples,
take their place. The result is an ordinary ``.keras`` file.
"""

import argparse
import io
import os
import tempfile
import zipfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import h5py
import keras
import numpy as np
from keras import ops

import keras_gud  # noqa: F401 (what is loaded is one of its classes)
from keras_gud.training.ema import averaged_weights

_WEIGHTS = "model.weights.h5"


def release(source, target):
    """Writes the model in the file `source` to the file `target`, for use rather than training.

    Args:
        source: Path of a trained ``.keras`` file; it stays as it is.
        target: Path of the file to write, which ends in ``.keras``.

    Raises:
        RuntimeError: if the written model does not sample as the trained one does; nothing is left
            at `target` then.
    """
    model = keras.saving.load_model(source, compile=False)
    samples = model.sample(2, steps=4, seed=0)
    for weight, average in zip(averaged_weights(model.network), model.ema.average, strict=True):
        weight.assign(ops.copy(ops.cast(average, weight.dtype)))
    target = Path(target)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        path = Path(folder) / target.name
        model.save(path)
        _pack(path)
        again = keras.saving.load_model(path, compile=False).sample(2, steps=4, seed=0)
        if not np.array_equal(samples, again):
            raise RuntimeError(f"Expected the samples of {source} from {target}. Received: others.")
        path.replace(target)


def _pack(path):
    """Compresses a ``.keras`` file; weights that are equal are stored once."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts[_WEIGHTS] = _without_copies(parts[_WEIGHTS])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def _without_copies(content: bytes) -> bytes:
    """The same HDF5 file, with one array under several names where those of the names are equal."""
    result, seen = io.BytesIO(), {}
    with h5py.File(io.BytesIO(content)) as old, h5py.File(result, "w") as new:
        new.attrs.update(old.attrs)

        def copy(name, item):
            if isinstance(item, h5py.Group):
                new.require_group(name).attrs.update(item.attrs)
                return
            value = item[()]
            key = item.dtype.str, item.shape, value.tobytes(), str(dict(item.attrs))
            if key in seen:
                new[name] = new[seen[key]]
            else:
                old.copy(item, new, name)
                seen[key] = name

        old.visititems(copy)
    return result.getvalue()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="a trained model, .keras")
    parser.add_argument("target", type=Path, help="the file to write, .keras")
    arguments = parser.parse_args()
    release(arguments.source, arguments.target)
    for path in (arguments.source, arguments.target):
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
    card = arguments.target.with_suffix(".md")
    if not card.exists():
        print(f"To be written: its model card, {card}")


if __name__ == "__main__":
    main()
