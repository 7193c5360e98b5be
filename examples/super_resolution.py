"""Super-resolution: a network trained on pairs beside an up-scaling task of one trained without.

The first is given the small image as a condition, `GUD(condition="image")`. The second has never
seen pairs; the small image is a noising state to it, `GUD(region=["upscale"])` and `tasks.upscale`.
Both are trained for as long. Draws for held-out patches of photographs are compared with the truth.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import measures
import numpy as np
import quick

import keras_gud
from keras_gud import plots, tasks

FACTOR = 4


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=int, default=8000, help="patches to train on")
    parser.add_argument("--minutes", type=float, default=6.0, help="of training, for each network")
    parser.add_argument("--held-out", type=int, default=128)
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--steps", type=int, default=50, help="sampler steps")
    parser.add_argument("--backbone", default="small")
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--seed", type=int, default=0)
    small = {"train": 64, "minutes": 0.01, "held_out": 4, "draws": 2, "steps": 2}
    return quick.parse_arguments(parser, **small, backbone="tiny")


def shrink(images):
    """The means of blocks of `FACTOR` pixels along each axis."""
    n, height, width, channels = images.shape
    blocks = images.reshape(n, height // FACTOR, FACTOR, width // FACTOR, FACTOR, channels)
    return blocks.mean(axis=(2, 4)).astype("float32")


def by_pairs(train, low, arguments):
    """Draws ``(images, draws, ...)`` of a network that is given the small image, and its steps."""
    model = keras_gud.GUD(condition="image", backbone=arguments.backbone, seed=arguments.seed)
    model.fit(train, shrink(train), batch_size=64, minutes=arguments.minutes, verbose=0)
    start = time.perf_counter()
    given = np.repeat(low, arguments.draws, axis=0)
    drawn = model.sample(len(given), condition=given, steps=arguments.steps, seed=arguments.seed)
    drawn = drawn.reshape(len(low), arguments.draws, *drawn.shape[1:])
    return drawn, int(model.ema.count), time.perf_counter() - start


def by_task(train, low, arguments):
    """The same of one to which the small image is a noising state."""
    model = keras_gud.GUD(region=["upscale"], backbone=arguments.backbone, seed=arguments.seed)
    model.fit(train, batch_size=64, minutes=arguments.minutes, verbose=0)
    start = time.perf_counter()
    how = {"draws": arguments.draws, "steps": arguments.steps, "seed": arguments.seed}
    drawn = tasks.upscale(model, low, FACTOR, **how)
    return drawn, int(model.ema.count), time.perf_counter() - start


def row_of(name, found, truth, low):
    """A line of the table."""
    drawn, steps, seconds = found
    draws, everywhere = drawn[None].astype("float64"), np.ones((1, *truth.shape[:-1], 1), bool)
    single = measures.pooled_psnr(draws, truth, everywhere)
    mean = measures.pooled_psnr(draws.mean(axis=2, keepdims=True), truth, everywhere)
    spread = measures.error_over_spread(draws, truth, everywhere)
    distance = measures.frechet(draws, truth)
    off = np.sqrt(np.mean((shrink(drawn[:, 0].astype("float64")) - low) ** 2))
    figures = [f"{value:.2f} +- {error:.2f}" for value, error in (mean, single, spread, distance)]
    per_draw = f"{1e3 * seconds / drawn[..., 0, 0, 0].size:.0f}"
    return "| " + " | ".join([name, str(steps), *figures, f"{off:.1f}", per_draw]) + " |"


def main():
    arguments = parse_arguments()
    train = keras_gud.datasets.load("patches", "train", n=arguments.train)
    truth = keras_gud.datasets.load("patches", "test", n=arguments.held_out)
    low = shrink(truth)
    found = {
        "trained on pairs": by_pairs(train, low, arguments),
        "a task of one network": by_task(train, low, arguments),
    }
    print("| network | steps | PSNR of the mean | of a draw | error / spread ", end="")
    print("| Frechet | off the given | ms a draw |\n" + "|---" * 8 + "|")
    for name, results in found.items():
        print(row_of(name, results, truth.astype("float64"), low))
    shown = np.round(low.repeat(FACTOR, axis=1).repeat(FACTOR, axis=2)).astype("uint8")
    rows = [truth, shown, *(drawn[:, i] for drawn, *_ in found.values() for i in range(2))]
    names = ["held out", "given", *(f"{name}, draw {i}" for name in found for i in (1, 2))]
    arguments.out.mkdir(parents=True, exist_ok=True)
    figure = plots.image_table(np.stack([row[:12] for row in rows]), names, scale=3)
    figure.savefig(arguments.out / "super_resolution.png")


if __name__ == "__main__":
    main()
