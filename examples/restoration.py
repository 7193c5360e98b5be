"""One network that restores images in many ways, against what one would take instead.

Trained once on natural patches, on noising states in pixels, wavelets, cosines and channels, it
does in-painting, up-scaling, colouring, de-blurring, de-noising and completion. Training takes
about 20 minutes on two CPU cores. Writes to ``out/``.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras

import keras_gud
from keras_gud import schedules

TASKS = ("inpaint", "upscale", "deblur", "colorize", "denoise")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=9000, help="training steps")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--backbone", default="small")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out"))
    return parser.parse_args()


def train(arguments):
    """Trains on crops of the left three quarters of four photographs."""
    keras.utils.set_random_seed(arguments.seed)
    per_epoch = min(400, arguments.steps)
    patches = keras_gud.datasets.load("patches", n=per_epoch * arguments.batch_size, split="train")
    model = keras_gud.GUD(
        basis="pixel",
        schedule=schedules.Sequential(b=(0.0, 0.7), over="column"),
        backbone=arguments.backbone,
        region=TASKS,
        max_tokens=32,
        seed=arguments.seed,
    )
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, arguments.steps))
    )
    path = arguments.out / "restoration.keras"
    model.fit(
        patches,
        batch_size=arguments.batch_size,
        epochs=arguments.steps // per_epoch,
        verbose=2,
        callbacks=[keras.callbacks.ModelCheckpoint(path)],
    )
    return model


if __name__ == "__main__":
    arguments = parse_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    train(arguments)
