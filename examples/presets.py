"""Diffusion models of the literature side by side: how each takes one and the same image to noise.

Prints a table of all presets and writes ``out/presets.png``, one row for each. Nothing is trained.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np

import keras_gud
from keras_gud import plots, presets, tasks

TIMES = (0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.0)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=32, help="edge of the image, a multiple of 8")
    parser.add_argument("--seed", type=int, default=2, help="which image")
    parser.add_argument("--out", type=Path, default=Path("out"))
    arguments = parser.parse_args()
    if arguments.size < 8 or arguments.size % 8:
        parser.error("--size must be a multiple of 8, for three levels of wavelets")
    return arguments


def path_of(name, images, image):
    """The states of the image on a preset's path, ``(times, height, width, channels)``."""
    model = keras_gud.GUD(preset=name, backbone="tiny")
    model.adapt(images, verbose=0)
    states = [tasks.noised(model, image, t, seed=0) for t in TIMES]
    return model, np.stack(states)


def row(name, model):
    """A row of the table."""
    first = presets.ALL[name].__doc__.splitlines()[0]
    parts = (type(part).__name__ for part in (model.basis, model.prior, model.schedule))
    return f"| `{name}` | {first} | {' | '.join(parts)} |"


def main():
    arguments = parse_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    images = keras_gud.datasets.load("patches", size=arguments.size, n=1000, seed=arguments.seed)
    print("| preset | what | basis | prior | schedule |\n|---|---|---|---|---|")
    rows = []
    for name in presets.ALL:
        model, states = path_of(name, images, images[0])
        # Each in units of its own spread, as nothing else would show data beside noise of 80.
        centred = states - states.mean(axis=(1, 2), keepdims=True)
        spread = centred.std(axis=(1, 2, 3), keepdims=True)
        rows.append(np.clip(128.0 + 45.0 * centred / np.maximum(spread, 1e-6), 0, 255))
        print(row(name, model), flush=True)
    figure = plots.forward_process(np.stack(rows, axis=1), TIMES, titles=list(presets.ALL))
    path = arguments.out / "presets.png"
    figure.savefig(path)
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
