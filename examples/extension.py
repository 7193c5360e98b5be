"""Endless images: a network trained on 32 columns draws strips of thousands.

Trained on sections of stained tissue, which look alike wherever they are cut. Training takes about
half an hour on one CPU core. Writes to ``out/``.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

import keras_gud
from keras_gud import regions, schedules


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2400, help="training steps")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--backbone", default="small")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out"))
    return parser.parse_args()


def train(arguments):
    """Trains on crops of the left three quarters of the section, and on their mirror images."""
    keras.utils.set_random_seed(arguments.seed)
    per_epoch = min(200, arguments.steps)
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
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, arguments.steps))
    )
    model.fit(
        crops,
        batch_size=arguments.batch_size,
        epochs=arguments.steps // per_epoch,
        verbose=2,
        callbacks=[keras.callbacks.ModelCheckpoint(arguments.out / "extension.keras")],
    )
    return model


if __name__ == "__main__":
    arguments = parse_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    train(arguments)
