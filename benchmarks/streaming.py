"""Adapting to ten million 8x8 images that are not in memory, against reading them alone.

Run with ``KERAS_BACKEND=jax python benchmarks/streaming.py``. The images (synthetic, 640 MB for one
channel) lie in a file in a temporary folder and are read in several ways. The time of reading is
that of the same iteration when every batch becomes a NumPy array and no more; the file is in the
system's cache, so that reading is as fast as it can be, and the ratio as unfavourable.
"""

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
from memory import Narrow

import keras_gud


def write(path, n, channels):
    """Smooth images with noise, made in blocks; returns the file as a memory-mapped array."""
    x = np.lib.format.open_memmap(path, "w+", "uint8", (n, 8, 8, channels))
    rng = np.random.default_rng(0)
    ramp = np.add.outer(np.arange(8), np.arange(8))[..., None]
    for i in range(0, n, 100_000):
        block = x[i : i + 100_000]
        level = rng.integers(0, 100, (len(block), 1, 1, channels), "uint8")
        block[:] = rng.integers(0, 64, block.shape, "uint8") + level + 4 * ramp.astype("uint8")
    x.flush()
    return np.load(path, mmap_mode="r")


class Shuffled(keras.utils.PyDataset):
    """Batches of examples drawn from all over the file, as training needs them."""

    def __init__(self, x, batch_size, normalise=False):
        super().__init__()
        self.x, self.batch_size, self.normalise = x, batch_size, normalise
        self.rows = np.random.default_rng(1).permutation(len(x)).astype("uint32")

    def __len__(self):
        return -(-len(self.x) // self.batch_size)

    def __getitem__(self, index):
        x = self.x[self.rows[index * self.batch_size : (index + 1) * self.batch_size]]
        return (x.astype("float32") / 127.5 - 1.0,) if self.normalise else (x,)


class InOrder(Shuffled):
    """Batches as they lie in the file: nothing but a copy."""

    def __init__(self, x, batch_size):
        keras.utils.PyDataset.__init__(self)
        self.x, self.batch_size = x, batch_size

    def __getitem__(self, index):
        return (np.array(self.x[index * self.batch_size : (index + 1) * self.batch_size]),)


class Examples:
    """The examples one by one, for loaders that make batches themselves."""

    def __init__(self, x):
        self.x = x

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index]


def of_tf(x, batch_size):
    """`tf.data`, shuffled within a buffer."""
    import tensorflow as tf

    def blocks():
        for i in range(0, len(x), 8192):
            yield x[i : i + 8192]

    spec = tf.TensorSpec((None, *x.shape[1:]), "uint8")
    ds = tf.data.Dataset.from_generator(blocks, output_signature=spec)
    return ds.unbatch().shuffle(10_000, seed=0).batch(batch_size)


def of_grain(x, batch_size):
    """`grain`, shuffled over all examples."""
    import grain

    return grain.MapDataset.source(Examples(x)).shuffle(seed=0).batch(batch_size)


def of_torch(x, batch_size):
    """A torch `DataLoader`, shuffled over all examples."""
    import torch

    return torch.utils.data.DataLoader(Examples(x), batch_size, shuffle=True)


# How the images are read, and whether a reading takes so long that a tenth of them is enough.
READERS = {
    "array, in order": (lambda x, size: x, False),
    "PyDataset, in order": (InOrder, False),
    "PyDataset, shuffled": (Shuffled, False),
    "PyDataset, shuffled, to floats": (lambda x, size: Shuffled(x, size, True), False),
    "tf.data": (of_tf, True),
    "grain": (of_grain, True),
    "DataLoader": (of_torch, True),
}


def read(batches):
    """One pass that does nothing but make NumPy arrays."""
    if isinstance(batches, np.ndarray):
        x = batches
        batches = (np.array(x[i : i + 1024]) for i in range(0, len(x), 1024))
    for batch in batches:
        np.asarray(batch[0] if isinstance(batch, tuple) else batch)


def seconds(function) -> float:
    """Of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main():
    """The table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=10_000_000)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--bases", nargs="*", default=["pixel", "haar", "fourier", "pca"])
    parser.add_argument("--readers", nargs="*", default=list(READERS), choices=READERS)
    arguments = parser.parse_args()
    print("| reading | images | reading, s | " + " | ".join(arguments.bases) + " | peak, MiB |")
    print("|---" * (4 + len(arguments.bases)) + "|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        whole = write(Path(folder, "images.npy"), arguments.n, arguments.channels)
        models = {}
        for basis in arguments.bases:  # built here: that is not what is timed
            models[basis] = keras_gud.GUD(basis=basis, schedule="cosine", backbone=Narrow())
            models[basis].adapt(np.array(whole[:2000]), verbose=0)
        for name in arguments.readers:
            make, slow = READERS[name]
            x = whole[: len(whole) // 10] if slow else whole
            batches = make(x, arguments.batch)
            taken = seconds(lambda batches=batches: read(batches))
            ratios = [
                seconds(lambda m=model, b=batches: m.adapt(b, verbose=0)) / taken
                for model in models.values()
            ]
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            cells = " | ".join(f"{ratio:.2f}" for ratio in ratios)
            print(f"| {name} | {len(x):,} | {taken:.1f} | {cells} | {peak:.0f} |", flush=True)


if __name__ == "__main__":
    main()
