"""Endless images: a network trained on 32 columns draws strips of thousands.

Trained on sections of stained tissue, which look alike wherever they are cut. Uses the network
that ships with the package, that of ``--model``, or with ``--train`` a new one (about 20 minutes on
one CPU core). Prints how the columns far out compare with the data, and writes
``out/extension.png``.
"""

import argparse
import os
import resource
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
import quick

import keras_gud
from keras_gud import plots, regions, schedules, tasks
from keras_gud.tasks.rolling_window import RollingWindow

STEPS = 2400
PARTS = 4  # the strip is looked at in quarters
B = 0.8
OCTAVES = (1, 2, 4, 8)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="file of a trained model")
    parser.add_argument(
        "--train",
        type=int,
        nargs="?",
        const=STEPS,
        help=f"train so many steps, {STEPS} if bare",
    )
    parser.add_argument("--batch-size", type=int, default=32, help="of training")
    parser.add_argument("--backbone", default="small", help="to train")
    parser.add_argument("--seed", type=int, default=0, help="of training and of the strips")
    parser.add_argument("--columns", type=int, default=2048)
    parser.add_argument("--draws", type=int, default=4, help="number of strips")
    parser.add_argument("--steps", type=int, default=50, help="sampler steps")
    parser.add_argument("--out", type=Path, default=Path("out"))
    arguments = quick.parse_arguments(parser, columns=256, draws=1, steps=4)
    if arguments.columns < 128:
        parser.error("--columns must be at least 128: a window in each quarter")
    return arguments


def train(arguments):
    """Trains on crops of the left three quarters of the section, and on their mirror images."""
    keras.utils.set_random_seed(arguments.seed)
    per_epoch = min(200, arguments.train)
    n = per_epoch * arguments.batch_size
    crops = keras_gud.datasets.load("histology", n=n, split="train")
    crops = np.concatenate([crops[::2], crops[1::2, ::-1]])
    model = keras_gud.GUD(
        basis="pixel",
        schedule=schedules.Sequential(b=(0.5, 0.8), over="column"),
        backbone=arguments.backbone,
        # Some columns known in advance: what an image to be extended and the way back to its
        # beginning need.
        region=regions.Paths(observed="column", weight=0.5),
        seed=arguments.seed,
    )
    rate = keras.optimizers.schedules.CosineDecay(1e-3, arguments.train)
    model.compile(keras.optimizers.Adam(rate))
    model.fit(
        crops,
        batch_size=arguments.batch_size,
        epochs=arguments.train // per_epoch,
        verbose=2,
        callbacks=[keras.callbacks.ModelCheckpoint(arguments.out / "extension.keras")],
    )
    return model


def draw_strips(model, arguments):
    """Strips ``(draws, 32, columns, 3)``; prints time and memory, quarter by quarter."""
    blocks, width, quarter = [], 0, arguments.columns // PARTS
    clock = time.perf_counter()
    how = {"draws": arguments.draws, "steps": arguments.steps, "seed": arguments.seed, "b": B}
    for block in tasks.extend(model, columns=arguments.columns, **how):
        blocks.append(block)
        width += block.shape[2]
        if width // quarter > (width - block.shape[2]) // quarter:  # one more quarter is complete
            now = time.perf_counter()
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{width} columns: {now - clock:.1f} s since the last, peak {memory:.0f} MB")
            clock = now
    return np.concatenate(blocks, axis=2)


def print_cost(model, steps):
    """Evaluations of the network per column, against drawing full windows again."""
    length = model.data_shape[1]
    window = RollingWindow.of(length, B)
    rolling = (window.steps(steps) + 1) / window.shift
    print(
        f"Evaluations per column: {rolling:.2f}; windows drawn again given their left half: "
        f"{(steps + 1) / (length // 2):.2f}; given all but {window.shift} columns: "
        f"{(steps + 1) / window.shift:.2f}."
    )


def features(images):
    """Per image ``(height, width, 3)``: mean, spread and spectrum of colours, ``(n, 10)``.

    The spectrum along the columns, in octaves: log mean power of the grey image.
    """
    images = np.asarray(images, "float64")
    grey = images.mean(axis=-1)
    power = np.abs(np.fft.rfft(grey - grey.mean(axis=(1, 2), keepdims=True), axis=2)) ** 2
    power = power.mean(axis=1)
    octaves = [power[:, a : 2 * a].mean(axis=1) for a in OCTAVES]
    numbers = [images.mean(axis=(1, 2)), images.std(axis=(1, 2)), np.log(np.stack(octaves, 1))]
    return np.concatenate(numbers, axis=1)


NAMES = [f"{what} {colour}" for what in ("mean", "spread") for colour in ("red", "green", "blue")]
NAMES += [f"log power, {a} to {2 * a - 1} waves" for a in OCTAVES]


def print_statistics(strips):
    """A table: features of windows in each quarter of the strips, beside those of the data."""
    real = {
        split: features(keras_gud.datasets.load("histology", n=1000, split=split, seed=5))
        for split in ("train", "test")
    }
    quarters = np.split(strips[:, :, : strips.shape[2] // PARTS * PARTS], PARTS, axis=2)
    drawn = []
    for quarter in quarters:
        count = quarter.shape[2] // 32
        windows = np.split(quarter[:, :, : 32 * count], count, axis=2)
        drawn.append(features(np.concatenate(windows)))
    header = ["feature", "data (train)", "data (test)", *(f"quarter {i + 1}" for i in range(PARTS))]
    print("\n| " + " | ".join(header) + " |\n" + "|---" * len(header) + "|")
    for i, name in enumerate(NAMES):
        cells = [f"{part[:, i].mean():.2f}" for part in real.values()]
        errors = [part[:, i].std() / np.sqrt(len(part)) for part in drawn]
        cells += [
            f"{part[:, i].mean():.2f} +- {e:.2f}" for part, e in zip(drawn, errors, strict=True)
        ]
        print(f"| {name} | " + " | ".join(cells) + " |")


def print_seams(model, strips):
    """Mean jump between neighbouring columns, at places where windows were moved and elsewhere."""
    window = RollingWindow.of(model.data_shape[1], B)
    jumps = np.abs(np.diff(strips.astype("float64"), axis=2)).mean(axis=(1, 3))
    first = window.finished + window.shift
    seams = np.zeros(jumps.shape[1], bool)
    seams[first - 1 :: window.shift] = True
    at, elsewhere = jumps[:, seams], jumps[:, ~seams]
    error = np.hypot(*(part.std() / np.sqrt(part.size) for part in (at, elsewhere)))
    data = keras_gud.datasets.load("histology", n=500, split="train", seed=6).astype("float64")
    print(
        f"\nMean jump from column to column: {at.mean():.2f} where the window moved, "
        f"{elsewhere.mean():.2f} elsewhere (difference +- {error:.2f}); in the data "
        f"{np.abs(np.diff(data, axis=2)).mean():.2f}."
    )


def print_ring(model, arguments):
    """Mean jump where strips that wrap around meet their beginning."""
    how = {"steps": arguments.steps, "seed": arguments.seed, "b": B, "draws": 4 * arguments.draws}
    ring = np.concatenate(list(tasks.extend(model, columns=64, wrap=True, **how)), axis=2)
    ring = ring.astype("float64")
    jumps = np.abs(ring - np.roll(ring, 1, axis=2)).mean(axis=(0, 1, 3))
    print(
        f"Rings of 64 columns: mean jump {jumps[0]:.2f} where they close, {jumps[48]:.2f} where "
        f"the columns that close them begin, {np.delete(jumps, [0, 48]).mean():.2f} elsewhere."
    )


def picture(model, strips, arguments):
    """A strip in rows, an image that is continued, and the window on the way (paper fig. 7)."""
    how = {"steps": arguments.steps, "seed": arguments.seed, "b": B}
    wide = min(256, strips.shape[2])
    rows = [strips[0][:, i : i + wide] for i in range(0, min(strips.shape[2], 4 * wide), wide)]
    image = keras_gud.datasets.load("histology", n=3, split="test", seed=3)[0]
    more = np.concatenate([image, *(b[0] for b in tasks.extend(model, image, 96, **how))], axis=1)
    window = tasks.noised(model, rows[0][:, : image.shape[1]], 0.5, seed=arguments.seed, b=B)
    figure = plots.strips(
        [*rows, more],
        row_labels=["from nothing", *["which goes on"] * (len(rows) - 1), "continued"],
        marks=[None] * len(rows) + [image.shape[1]],
        window=np.clip(128.0 * (window + 1.0), 0.0, 255.0),
        state=model.schedule(0.5, b=B),
        scale=3,
        smooth=True,
    )
    figure.savefig(arguments.out / "extension.png")


def main():
    arguments = parse_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.train:
        model = train(arguments)
    elif arguments.model:
        model = keras.saving.load_model(arguments.model)
    else:
        model = keras_gud.load("histology")
    print_cost(model, arguments.steps)
    strips = draw_strips(model, arguments)
    print_statistics(strips)
    print_seams(model, strips)
    print_ring(model, arguments)
    picture(model, strips, arguments)
    print(f"wrote {arguments.out / 'extension.png'}")


if __name__ == "__main__":
    main()
