"""Whether memory stays flat: resident size after the first hundred steps and at the end.

Run with ``KERAS_BACKEND=jax python benchmarks/memory.py`` (Linux). Every case runs in a process of
its own, so that none hides in what another has freed. The first figure is taken after the first
hundred steps, whatever is still to be compiled or warmed up then; the one after a tenth of all
steps tells such a settling from a leak.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

import keras_gud

BATCH = 16
FIRST = 100
LIMIT = 5.0  # per cent


def resident() -> float:
    """Resident size of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@keras.saving.register_keras_serializable(package="keras_gud_benchmarks")
class Narrow(keras.layers.Layer):
    """The least network that is told the state: leaks of loops and calls are not its own."""

    def build(self, input_shape):
        """Two dense layers."""
        (_, *shape), (_, *tokens) = input_shape
        self.hidden, self.out = (
            keras.layers.Dense(16, "silu"),
            keras.layers.Dense(int(np.prod(shape))),
        )
        self.hidden.build((None, int(np.prod(shape) + np.prod(tokens))))
        self.out.build((None, 16))

    def call(self, inputs):
        """The shape of y."""
        y, tokens = (keras.ops.reshape(x, (-1, int(np.prod(x.shape[1:])))) for x in inputs)
        h = self.hidden(keras.ops.concatenate([y, 0.1 * tokens], axis=-1))
        return keras.ops.reshape(self.out(h), (-1, *inputs[0].shape[1:]))


class Watch(keras.callbacks.Callback):
    """Counts steps, of training or of anything else, and notes the resident size now and then.

    Args:
        total: Number of steps that are meant to be taken.
    """

    def __init__(self, total: int):
        super().__init__()
        self.total, self.steps, self.sizes = total, 0, []
        self.marks = [FIRST, *range(total // 10, total + 1, total // 10)]

    def add(self, steps: int):
        """Notes that so many steps have been taken."""
        self.steps += steps
        while self.marks and self.steps >= self.marks[0]:
            self.sizes.append(resident())
            self.marks.pop(0)

    def on_train_batch_end(self, batch, logs=None):
        """One step."""
        self.add(1)


def images(n, seed=0):
    """Random 8-bit images, 8x8x1."""
    return np.random.default_rng(seed).integers(0, 256, (n, 8, 8, 1)).astype("uint8")


def build(backbone):
    """A small model that knows its data."""
    backbone = Narrow() if backbone == "narrow" else backbone
    model = keras_gud.GUD(basis="haar", schedule="hierarchical", backbone=backbone, seed=0)
    model.adapt(images(1024), verbose=0)
    return model


# -- cases: functions of a model and a Watch -------------------------------------------------------


def fit_array(model, watch):
    """One fit, 100 steps an epoch."""
    x = images(100 * BATCH)
    epochs = watch.total // 100
    model.fit(x, batch_size=BATCH, epochs=epochs, callbacks=[watch], verbose=0)


def fit_callbacks(model, watch):
    """One fit, 20 steps an epoch, with validation, checkpoints and a log."""
    x, epochs = images(20 * BATCH), watch.total // 20
    with tempfile.TemporaryDirectory() as folder:
        callbacks = [
            watch,
            keras.callbacks.ModelCheckpoint(f"{folder}/model.weights.h5", save_weights_only=True),
            keras.callbacks.CSVLogger(f"{folder}/log.csv"),
        ]
        model.fit(
            x,
            batch_size=BATCH,
            epochs=epochs,
            validation_data=images(2 * BATCH, 1),
            callbacks=callbacks,
            verbose=0,
        )


def fit_stream(model, watch):
    """One epoch of an endless generator."""
    batches = (images(BATCH, seed) for seed in itertools.count())
    model.fit(batches, steps_per_epoch=watch.total, callbacks=[watch], verbose=0)


def fit_again(model, watch):
    """Fits of 50 steps, one after the other, on new arrays."""
    for call in range(watch.total // 50):
        model.fit(images(50 * BATCH, call), batch_size=BATCH, callbacks=[watch], verbose=0)


def sample_long(model, watch):
    """Calls of 100 and then 1000 steps."""
    model.sample(BATCH, steps=100, seed=0)
    watch.add(100)
    while watch.steps < watch.total:
        model.sample(BATCH, steps=1000, seed=watch.steps)
        watch.add(1000)


def sample_short(model, watch):
    """Calls of 5 to 50 steps for 1 to 40 images in batches of several sizes."""
    steps, sizes, batches = (5, 10, 20, 50), (1, 3, 8, 16, 40), (4, 16)
    for call in itertools.count():
        if watch.steps >= watch.total:
            return
        n, batch_size = sizes[call % 5], batches[call % 2]
        model.sample(n, steps=steps[call % 4], seed=call, batch_size=batch_size, a=call % 7 / 10)
        watch.add(-(-n // batch_size) * steps[call % 4])


def judge(model, watch):
    """`evaluate`, `elbo` and `log_prob` in turn on new arrays; a call counts as ten steps."""
    for call in range(watch.total // 30):
        x = images(2 * BATCH, call)
        model.evaluate(x, batch_size=BATCH, verbose=0)
        model.elbo(x, batch_size=BATCH, draws=2)
        model.log_prob(x[:BATCH], batch_size=BATCH, rtol=0.1, atol=0.1)
        watch.add(30)


CASES = {
    "fit: an array in epochs of 100 steps": (fit_array, 5000),
    "fit: validation, checkpoint and log every 20 steps": (fit_callbacks, 5000),
    "fit: an endless generator": (fit_stream, 5000),
    "fit: called every 50 steps": (fit_again, 5000),
    "sample: calls of 1000 steps": (sample_long, 10_000),
    "sample: calls of 5 to 50 steps": (sample_short, 10_000),
    "evaluate, elbo and log_prob: called in turn": (judge, 5000),
}


def run(name, arguments):
    """One case in this process; prints its row of the table."""
    case, total = CASES[name]
    watch = Watch(int(total * arguments.part))
    case(build(arguments.backbone), watch)
    first, tenth, *_, end = watch.sizes
    change, later = (100.0 * (end / size - 1.0) for size in (first, tenth))
    backend = keras.backend.backend()
    print(
        f"| {backend} | {name} | {watch.steps} | {first:.0f} | {tenth:.0f} | {end:.0f} | "
        f"{change:+.1f}% | {later:+.1f}% |",
        flush=True,
    )
    return change <= LIMIT


def main():
    """The table, one process for each row; fails where a row is over the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=CASES, help="run this one here")
    parser.add_argument("--only", default="", help="cases whose names contain this")
    parser.add_argument("--part", type=float, default=1.0, help="fraction of the steps")
    parser.add_argument("--backbone", default="narrow", help="or tiny, small, ...")
    arguments = parser.parse_args()
    if arguments.case:
        sys.exit(0 if run(arguments.case, arguments) else 1)
    print(
        "| backend | case | steps | MiB after 100 | after a tenth | at the end | change | later |"
    )
    print("|---|---|---|---|---|---|---|---|", flush=True)
    options = ["--part", str(arguments.part), "--backbone", arguments.backbone]
    names = [name for name in CASES if arguments.only in name]
    codes = [
        subprocess.run([sys.executable, __file__, "--case", name, *options], check=False).returncode
        for name in names
    ]
    sys.exit(1 if any(codes) else 0)


if __name__ == "__main__":
    main()
