"""Over which share of training should the weights be averaged? Held-out loss against the width.

Run with ``KERAS_BACKEND=jax python benchmarks/ema_width.py``. Each run is evaluated after each of
several numbers of steps: with the raw weights, with the model's own average (`ema_decay`), and with
averages of several widths, of which `callbacks.PostHocEMA` keeps two. The noise and the times of an
evaluation are always the same, so that losses differ by the weights alone. Then the processor's
time of a step with and without the two averages, in turn.
"""

import argparse
import functools
import os
import tempfile
import time

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
from timing import time_in_turn

import keras_gud
from keras_gud import backend, datasets

WIDTHS = (0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25)
BATCH = 64
SIZES = {"digits": None, "mnist-5000": None}


def load(data: str, size: int, split: str, n: int | None = None) -> np.ndarray:
    """Images of a data set; those of digits have one size."""
    return datasets.load(data, size=SIZES.get(data, size), split=split, n=n)


def held_out_losses(
    model: keras_gud.GUD, averages: keras_gud.callbacks.PostHocEMA, x: np.ndarray
) -> dict[str, float]:
    """Losses by what the network is evaluated with; the model's average is then what it was."""

    def loss(values=None) -> float:
        for variable, value in zip(model.ema.average, values or (), strict=False):
            variable.assign(value)
        return float(model.evaluate(x, return_dict=True, verbose=0)["loss"])

    own = [np.array(backend.value_of(v)) for v in model.ema.average]
    # The network's weights, in the order of their averages.
    raw = [backend.value_of(v) for v in model.network.weights if "float" in v.dtype]
    found = {"raw": loss(raw), "own": loss(own)}
    for width in WIDTHS:
        averages.use(model, width)
        found[str(width)] = loss()
    loss(own)
    return found


def race(data: str, seed: int, arguments: argparse.Namespace) -> None:
    """One run, a row of the table after each number of steps."""
    x = load(data, arguments.size, "train", None if data in SIZES else 4096)
    held = load(data, arguments.size, "test", None if data in SIZES else 1024)
    model = keras_gud.GUD(backbone=arguments.backbone, seed=seed)
    rng, done = np.random.default_rng(seed), 0
    with tempfile.TemporaryDirectory() as folder:
        averages = keras_gud.callbacks.PostHocEMA(folder)
        for steps in arguments.steps:
            rows = rng.integers(len(x), size=(steps - done) * BATCH)
            if not model.built:
                model.adapt(x, verbose=0)
            fit(model, x[rows], [averages])
            done = steps
            losses = held_out_losses(model, averages, held)
            best = min(losses[str(width)] for width in WIDTHS)
            cells = [
                f"{loss:.4f}" if name in ("raw", "own") else f"{100 * (loss / own - 1):+.2f}%"
                for own in [losses["own"]]
                for name, loss in losses.items()
            ]
            cells = [
                f"**{c}**" if losses[n] == best else c for n, c in zip(losses, cells, strict=True)
            ]
            print(f"| {data} | {steps} | {seed} | {' | '.join(cells)} |", flush=True)


def time_steps(arguments: argparse.Namespace) -> None:
    """Epochs of equal length without, and with two more averages, kept only or stored too."""
    x = load(arguments.data[0], arguments.size, "train")
    x = np.resize(x, (BATCH * arguments.epoch, *x.shape[1:]))
    runs = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("without", "kept", "stored"):
            model = keras_gud.GUD(backbone=arguments.backbone, seed=0)
            callbacks = [keras_gud.callbacks.PostHocEMA(folder)] if name == "stored" else []
            model.adapt(x, verbose=0)
            model.power_averages.keep(model, () if name == "without" else (0.05, 0.1))
            runs[name] = functools.partial(fit, model, x, callbacks=callbacks)
            runs[name]()
        times = time_in_turn(runs, arguments.rounds, time.process_time)
    milliseconds = 1000 * np.median(times["without"]) / arguments.epoch
    shape = "x".join(map(str, x.shape[1:]))
    print(
        f"\n{keras.backend.backend()}, {arguments.backbone}, {shape}: {milliseconds:.1f} ms a step"
    )
    for name in ("kept", "stored"):
        low, middle, high = np.quantile(times[name] / times["without"], (0.25, 0.5, 0.75))
        print(f"two more averages {name}: {middle:.3f} times as long ({low:.3f} to {high:.3f})")


def fit(model: keras_gud.GUD, x: np.ndarray, callbacks: list) -> None:
    """Trains for an epoch without printing anything."""
    model.fit(x, batch_size=BATCH, callbacks=callbacks, verbose=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", default=["digits", "patches"])
    parser.add_argument("--size", type=int, default=8, help="of data other than digits")
    parser.add_argument("--backbone", default="tiny")
    parser.add_argument("--steps", type=int, nargs="*", default=[400, 1600, 6400])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--epoch", type=int, default=100, help="steps of a timed epoch")
    arguments = parser.parse_args()
    if arguments.steps:
        print(f"| data | steps | seed | raw | own average | {' | '.join(map(str, WIDTHS))} |")
        print("|---" * (5 + len(WIDTHS)) + "|")
        for data in arguments.data:
            for seed in arguments.seeds:
                race(data, seed, arguments)
    if arguments.rounds:
        time_steps(arguments)


if __name__ == "__main__":
    main()
