"""Kills a small training run again and again, and compares what it ends with, bit by bit.

    python benchmarks/kills.py                # 100 kills, with the backend of KERAS_BACKEND
    python benchmarks/kills.py --quick

Training is started again after every kill, until it ends; then the next run begins. A kill is
SIGKILL or SIGTERM, after a random time, or at a random step, batch of validation, or file operation
of a checkpoint. Needs `os.fork`, so that not every start has to import everything.
"""

import argparse
import json
import mmap
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

import keras
import numpy as np
from keras import ops

import keras_gud
from keras_gud.persistence import atomic_write, checkpoint_store, training_state

PLACES = ("starting, or starting again", "between steps", "writing a checkpoint", "validation")
STARTING, STEPS, WRITING, VALIDATION = range(len(PLACES))
AT_A_TIME = ("SIGKILL", "SIGTERM")
KINDS = (
    *AT_A_TIME,
    *(f"{name} at {at}" for at in ("step", "write", "validation") for name in AT_A_TIME),
)
EPOCHS, BATCH, EVERY = 5, 16, 2


@keras.saving.register_keras_serializable(package="keras_gud_benchmarks")
class Net(keras.layers.Layer):
    """Two dense layers with dropout between them."""

    def build(self, input_shape):
        """Creates the layers."""
        (_, size), _ = input_shape
        self.hidden = keras.layers.Dense(16, activation="silu")
        self.dropout = keras.layers.Dropout(0.3, seed=1)
        self.out = keras.layers.Dense(size)
        self.hidden.build((None, size))
        self.out.build((None, 16))

    def call(self, inputs, training=None):
        """The network's output for y; it does without the tokens."""
        return self.out(self.dropout(self.hidden(inputs[0]), training=training))


class Trap(keras.callbacks.Callback):
    """Says in shared memory where training is, and ends the process there if it is to."""

    def __init__(self, place, kind: str, countdown: int):
        super().__init__()
        self.place, self.kind, self.countdown = place, kind, countdown

    def pass_by(self, point: str):
        """One of the points at which the process may be ended."""
        name, _, at = self.kind.partition(" at ")
        if point == at:
            self.countdown -= 1
            if self.countdown == -1:
                self.place[1] = self.place[0]
                os.kill(os.getpid(), getattr(signal, name))

    def on_train_batch_end(self, batch, logs=None):
        """Between steps."""
        self.place[0] = STEPS
        self.pass_by("step")

    def on_test_begin(self, logs=None):
        """Validation begins."""
        self.place[0] = VALIDATION

    def on_test_batch_end(self, batch, logs=None):
        """Within validation."""
        self.pass_by("validation")

    def on_test_end(self, logs=None):
        """Validation ends."""
        self.place[0] = STEPS

    def watch_writing(self):
        """Makes every file operation of a checkpoint a point."""

        def watched(function):
            def call(*args, **kwargs):
                self.pass_by("write")
                result = function(*args, **kwargs)
                self.pass_by("write")
                return result

            return call

        for module, name in (
            (atomic_write, "sync"),
            (checkpoint_store, "_seal"),
            (checkpoint_store.os, "replace"),
            (checkpoint_store.shutil, "rmtree"),
            (training_state, "save"),
            (Path, "mkdir"),
            (Path, "write_text"),
        ):
            setattr(module, name, watched(getattr(module, name)))
        write = checkpoint_store.CheckpointStore.write

        def placed(*args, **kwargs):
            self.place[0] = WRITING
            result = write(*args, **kwargs)
            self.place[0] = STEPS
            return result

        checkpoint_store.CheckpointStore.write = placed


def train(folder: Path, out: Path, trap: Trap | None):
    """The training script: what it ends with is written to `out`."""
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(72, 4)) @ rng.normal(size=(4, 4))).astype("float32")
    keras.utils.set_random_seed(2)
    model = keras_gud.GUD(basis="pixel", schedule="linear", backbone=Net(), seed=3)
    callbacks = []
    if trap is not None:
        trap.watch_writing()
        callbacks = [keras_gud.callbacks.Checkpoint(folder, every=EVERY, keep=2), trap]
    kwargs = {"batch_size": BATCH, "epochs": EPOCHS, "validation_data": x[:40], "verbose": 0}
    history = model.fit(x[40:], callbacks=callbacks, **kwargs)
    metrics = {id(v) for v in model.metrics_variables} | {id(model.objective.eval_index)}
    variables = [v for v in [*model.variables, *model.optimizer.variables] if id(v) not in metrics]
    unfinished = out.with_name("unfinished.npz")
    np.savez(
        unfinished,
        *(ops.convert_to_numpy(v.value) for v in variables),
        history=json.dumps([history.epoch, history.history]),
    )
    os.replace(unfinished, out)


def start(folder: Path, out: Path, trap: Trap | None) -> int:
    """Forks a process that trains; returns its id."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        with open(out.with_name("log.txt"), "a") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            train(folder, out, trap)
        code = 0
    finally:
        os._exit(code)


def one_start(folder: Path, out: Path, kind: str, seconds: float, rng) -> tuple[int, int]:
    """Starts training and kills it; returns how it ended (0: by itself) and the place.

    The place is where training was when the signal was sent: SIGTERM ends it some time later.
    """
    place = mmap.mmap(-1, 2)  # now, and when it was killed
    process = start(folder, out, Trap(place, kind, rng.randrange(30 if "write" in kind else 8)))
    ended, status = 0, 0
    if kind in AT_A_TIME:
        if rng.random() < 0.8:  # most of the time passes before the first step
            while not ended and place[0] == STARTING:
                time.sleep(0.005)
                ended, status = os.waitpid(process, os.WNOHANG)
            seconds /= 4
        time.sleep(rng.uniform(0.0, seconds))
        if not ended:
            place[1] = place[0]
            os.kill(process, getattr(signal, kind))
    if not ended:
        _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status), place[1]


def same(out: Path, expected: Path) -> bool:
    """Whether two runs ended with the same weights, average, optimizer, states and history."""
    with np.load(out) as a, np.load(expected) as b:
        return a.files == b.files and all(np.array_equal(a[name], b[name]) for name in a.files)


def run(kills: int, kinds, seed: int, rehearsals: int = 2) -> tuple[Counter, int, int]:
    """Kills as often as asked.

    Args:
        kills: How often.
        kinds: The kinds of kills to choose from at random.
        seed: Seed of the choice.
        rehearsals: How often to train without being killed; the last time counts.

    Returns:
        Kills by signal and place, how many runs were compared, and how many of them differed.
    """
    rng, counts, runs, divergences = random.Random(seed), Counter(), 0, 0
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        expected = top / "expected.npz"
        for _ in range(rehearsals):  # the second time, compiled code may come from a cache
            begin = time.monotonic()
            _, status = os.waitpid(start(top, expected, None), 0)
            seconds = time.monotonic() - begin
            if status:
                raise RuntimeError((top / "log.txt").read_text())
        print(f"uninterrupted: {seconds:.1f} s")
        while sum(counts.values()) < kills:
            folder = Path(tempfile.mkdtemp(dir=top))
            code, starts = None, 0
            while code != 0:
                enough = sum(counts.values()) >= kills
                kind = "none" if enough or starts == 8 else rng.choice(kinds)
                out = folder / "out.npz"
                code, place = one_start(folder / "run", out, kind, seconds, rng)
                starts += 1
                if code > 0:
                    raise RuntimeError((folder / "log.txt").read_text())
                if code < 0:
                    counts[signal.Signals(-code).name, place] += 1
            runs, divergences = runs + 1, divergences + (not same(out, expected))
            print(f"{sum(counts.values())} kills, {runs} runs, {divergences} of them differ")
            shutil.rmtree(folder)
    return counts, runs, divergences


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="3 kills of those that never miss")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.quick:
        counts, runs, divergences = run(
            3, ("SIGKILL at write", "SIGKILL at step"), args.seed, rehearsals=1
        )
    else:
        counts, runs, divergences = run(args.kills, args.kinds, args.seed)
    print(f"\n| place ({keras.backend.backend()}) | SIGKILL | SIGTERM |\n|---|---|---|")
    for place, name in enumerate(PLACES):
        print(f"| {name} | {counts['SIGKILL', place]} | {counts['SIGTERM', place]} |")
    print(f"\n{sum(counts.values())} kills, {runs} runs, {divergences} divergences")
    raise SystemExit(divergences > 0)


if __name__ == "__main__":
    main()
