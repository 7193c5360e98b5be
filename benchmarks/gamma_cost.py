"""What it costs to be told gamma, and how a step grows with the image: one network alone.

Run with ``KERAS_BACKEND=torch python benchmarks/gamma_cost.py``. For every size, two networks are
trained in turn: one is told 32 tokens, the other a single one, i.e. a scalar time, for which there
is no cross-attention. The batch shrinks as the image grows, so that every step sees the same number
of pixels: what is linear in pixels takes the same time in every row.
"""

import argparse
import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
from network import Regression
from timing import time_in_turn

from keras_gud import backbones


def make_step(backbone: str, size: int, batch: int, tokens: int):
    """A function that runs one training step on the same random batch."""
    shape = (size, size, 3)
    network = backbones.get(backbone, data_shape=shape)
    model = Regression(network)
    model.compile("adam", loss="mse")
    rng = np.random.default_rng(0)
    y = rng.normal(size=(batch, *shape)).astype("float32")
    told = rng.normal(size=(batch, tokens, 3)).astype("float32")
    return lambda: model.train_on_batch([y, told], y)


def compare(backbone: str, size: int, batch: int, arguments):
    """Seconds of every round with tokens, and without; after a first step each."""
    steps = {
        "told": make_step(backbone, size, batch, arguments.tokens),
        "plain": make_step(backbone, size, batch, 1),
    }
    times = time_in_turn(steps, arguments.rounds + 1)
    return times["told"][1:], times["plain"][1:]


def plot(path: str, results: dict):
    """Seconds per megapixel against the size of the image."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.2), layout="constrained")
    axes = figure.add_subplot()
    sizes = list(results)
    for i, label in enumerate(("told the whole noising state", "told one time")):
        axes.plot(sizes, [results[s][i] for s in sizes], "o-", label=label)
    axes.set(
        xlabel="edge of the image, pixels", ylabel="training step, s per megapixel", xscale="log"
    )
    axes.set_xticks(sizes, [str(s) for s in sizes])
    axes.minorticks_off()
    axes.set_ylim(0.0, 1.15 * max(max(pair) for pair in results.values()))
    axes.legend()
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="small")
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64, 128, 256])
    parser.add_argument("--megapixels", type=float, default=0.0656, help="pixels per step")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--plot", help="path of a PNG to write")
    arguments = parser.parse_args()
    backend, results = keras.backend.backend(), {}
    print("| backend | backbone | data, batch | step, ms | without gamma, ms | cost (quartiles) |")
    print("|---|---|---|---|---|---|")
    for size in arguments.sizes:
        batch = max(1, round(arguments.megapixels * 1e6 / size**2))
        told, plain = compare(arguments.backbone, size, batch, arguments)
        cost = 100 * (np.percentile(told / plain, [50, 25, 75]) - 1.0)
        told, plain = np.median(told), np.median(plain)
        results[size] = [s / (1e-6 * batch * size**2) for s in (told, plain)]
        print(
            f"| {backend} | {arguments.backbone} | {size}x{size}x3 x {batch} | {1e3 * told:.0f} | "
            f"{1e3 * plain:.0f} | {cost[0]:+.1f}% ({cost[1]:+.1f}% to {cost[2]:+.1f}%) |",
            flush=True,
        )
    if arguments.plot:
        plot(arguments.plot, results)


if __name__ == "__main__":
    main()
