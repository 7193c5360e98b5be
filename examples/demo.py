"""One network trained on handwritten digits, and what it does without being trained again.

It samples all pixels at once, from coarse to fine and from left to right, fills a hole in a digit
and enlarges one of 7x7 pixels. Five minutes on two CPU cores. Run it with ``make demo``; it writes
to ``out/``.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
# On a CPU jax then has two devices, each for half a batch: a step takes 0.7 times as long on two
# cores as one that XLA is to spread over both.
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=2")

import keras
import numpy as np
import quick

import keras_gud
from keras_gud import plots, schedules, tasks

# Parameters of the schedule: how sequential the Haar levels are, and the columns of each.
PATHS = {
    "all at once": {"a": 0.0, "b": 0.0},
    "coarse to fine": {"a": 0.7, "b": 0.0},
    "left to right": {"a": 0.0, "b": 0.7},
}
STATES = 7


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=4.0, help="of training")
    parser.add_argument("--train", type=int, default=None, help="digits to train on; default: all")
    parser.add_argument("--epochs", type=int, default=1000, help="at most")
    parser.add_argument("--steps", type=int, default=60, help="sampler steps")
    parser.add_argument("--backbone", default="small")
    parser.add_argument("--samples", type=int, default=10, help="of each kind")
    parser.add_argument("--held-out", type=int, default=1000, help="digits to evaluate on")
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--seed", type=int, default=0)
    small = {"epochs": 1, "steps": 3, "samples": 4, "backbone": "tiny", "held_out": 8, "train": 128}
    return quick.parse_arguments(parser, **small)


def samples_of_each_path(model, arguments):
    """Rows of samples from the same network, and rows of one sample on its way."""
    options = {"steps": arguments.steps, "states": STATES - 1, "seed": 0}
    samples, states = zip(
        *(model.sample(arguments.samples, **options, **path) for path in PATHS.values()),
        strict=True,
    )
    return np.stack(samples), np.stack([found[:, 0] for found in states])


def restored(model, held_out, arguments):
    """Rows of digits: held out, what is seen of them, and two draws of what they may be."""
    options = {"draws": 2, "steps": arguments.steps, "seed": 0}
    size = held_out.shape[1]
    mask = np.zeros(held_out.shape[1:], bool)
    mask[size // 3 : 2 * size // 3] = True
    seen = np.where(mask, 0, held_out)
    filled = tasks.inpaint(model, seen, mask, **options)
    blocks = held_out.reshape(-1, size // 4, 4, size // 4, 4, 1)
    small = blocks.mean(axis=(2, 4))
    enlarged = tasks.upscale(model, small, 4, **options)
    shown = np.round(small.repeat(4, axis=1).repeat(4, axis=2)).astype("uint8")
    rows = [held_out, seen, *np.moveaxis(filled, 1, 0), shown, *np.moveaxis(enlarged, 1, 0)]
    return np.stack(rows)


ROWS = ["held out", "seen", "filled in", "again", "7x7 pixels", "enlarged", "again"]


def write_pictures(model, held_out, arguments):
    """The three pictures of the demo; returns their paths."""
    samples, ways = samples_of_each_path(model, arguments)
    real = held_out[None, : arguments.samples]
    rows = restored(model, held_out[: arguments.samples], arguments)
    figures = {
        "samples.png": plots.image_table(
            np.concatenate([samples, real]), [*PATHS, "real digits"], scale=3, smooth=True
        ),
        "paths.png": plots.image_table(ways, list(PATHS), scale=3),
        "tasks.png": plots.image_table(rows, ROWS, scale=3),
    }
    for name, figure in figures.items():
        figure.savefig(arguments.out / name)
    return [arguments.out / name for name in figures]


def main():
    arguments = parse_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(arguments.seed)
    if keras.backend.backend() == "jax" and len(keras.distribution.list_devices()) > 1:
        parallel = keras.distribution.DataParallel(auto_shard_dataset=False)
        keras.distribution.set_distribution(parallel)
    train = keras_gud.datasets.load("mnist-5000", split="train", n=arguments.train)
    held_out = keras_gud.datasets.load("mnist-5000", split="test", n=arguments.held_out)
    print(
        f"{len(train)} handwritten digits to train on, {len(held_out)} held out; backend: "
        f"{keras.backend.backend()}"
    )
    model = keras_gud.GUD(
        basis="haar",
        schedule=schedules.Hierarchical(a=(0.0, 0.7), b=(0.0, 0.7)),
        region=["inpaint", "upscale"],
        # One residual block a level: two make better digits, but not within four minutes.
        backbone=arguments.backbone,
        backbone_options={"blocks": 1},
        seed=arguments.seed,
    )
    print("Training on all paths from all at once to coarse to fine and left to right.")
    print("`linear_loss` is what the best component-wise linear model scores on the same noise.")
    model.fit(train, batch_size=64, epochs=arguments.epochs, minutes=arguments.minutes)
    loss, linear = model.evaluate(held_out, verbose=0)
    print(
        f"Held-out loss {loss:.4f}; best component-wise linear model {linear:.4f} "
        f"(ratio {loss / linear:.3f})."
    )
    paths = write_pictures(model, held_out, arguments)
    model.save(arguments.out / "digits.keras")
    for path in [*paths, arguments.out / "digits.keras"]:
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
