"""What it is worth that every position of the data is told its own gamma.

Two networks learn the paths of the demo from handwritten digits for as many steps: one is told the
noising state by its tokens alone, the other the gamma of every position too. Printed is how bright
pixels are (0 to 255) where digits have nothing: in the empty ends of a hole that was filled in, and
at the left and right border of samples.

    python benchmarks/local_gamma.py --steps 372
"""

import argparse
import os
import time
import warnings

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np

import keras_gud
from keras_gud import backbones, datasets, schedules, tasks

PATHS = {
    "all at once": {"a": 0.0, "b": 0.0},
    "coarse to fine": {"a": 0.7, "b": 0.0},
    "left to right": {"a": 0.0, "b": 0.7},
}
BATCH = 64
HOLE = slice(9, 18)  # rows
# Columns in which digits have next to nothing.
HOLE_ENDS, BORDER = np.r_[:4, 24:28], np.r_[:3, 25:28]


def train(gamma_map, images, steps, seed):
    """A model on the demo's paths, and the seconds of a step."""
    network = backbones.get("small", images.shape[1:], blocks=1, gamma_map=gamma_map)
    model = keras_gud.GUD(
        basis="haar",
        schedule=schedules.Hierarchical(a=(0.0, 0.7), b=(0.0, 0.7)),
        region=["inpaint", "upscale"],
        backbone=network,
        seed=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is not told which pixels are seen: so we want it
        model.fit(images[: 2 * BATCH], batch_size=BATCH, verbose=0)
        start = time.process_time()
        for _ in range(max(1, (steps - 2) * BATCH // len(images))):
            model.fit(images, batch_size=BATCH, verbose=0)
    return model, (time.process_time() - start) / max(1, int(model.ema.count) - 2)


def measure(model, held_out):
    """Held-out loss beside the linear model's, and the grey of what should be black."""
    loss, linear = model.evaluate(held_out, verbose=0)
    mask = np.zeros(held_out.shape[1:], bool)
    mask[HOLE] = True
    filled = tasks.inpaint(model, np.where(mask, 0, held_out), mask, draws=1, steps=60, seed=0)
    row = {"loss / linear": loss / linear, "hole": filled[:, 0, HOLE][:, :, HOLE_ENDS].mean()}
    for name, path in PATHS.items():
        samples = model.sample(len(held_out), steps=60, seed=0, **path)
        row[name] = samples[:, :, BORDER].mean()
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=372)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--held-out", type=int, default=24)
    arguments = parser.parse_args()
    images = datasets.load("mnist-5000", split="train")
    held_out = datasets.load("mnist-5000", split="test", n=arguments.held_out)
    print("digits: hole", held_out[:, HOLE][:, :, HOLE_ENDS].mean().round(2), end=", ")
    print("border", held_out[:, :, BORDER].mean().round(2))
    for seed in range(arguments.seeds):
        for gamma_map in (False, True):
            model, seconds = train(gamma_map, images, arguments.steps, seed)
            row = measure(model, held_out) | {"s/step": seconds}
            found = ", ".join(f"{name} {value:.3g}" for name, value in row.items())
            print(f"seed {seed}, told of every position: {gamma_map}: {found}", flush=True)


if __name__ == "__main__":
    main()
