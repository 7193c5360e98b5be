"""Diffusion models of the literature side by side: what each forgets of an image, and when.

Prints a table of all presets and writes ``out/presets.png``: a row for each, with the best
component-wise linear estimate of one and the same image from its states. Nothing is trained.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np
import quick
from keras import ops

import keras_gud
from keras_gud import plots, presets, tasks
from keras_gud.diffusion.noising_state import z0_from_eps
from keras_gud.diffusion.prediction import linear_eps

TIMES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=32, help="edge of the image, a multiple of 8")
    parser.add_argument("--image", type=int, default=1947, help="which of 2048 crops")
    parser.add_argument("--out", type=Path, default=Path("out"))
    arguments = quick.parse_arguments(parser, size=8)
    if arguments.size < 8 or arguments.size % 8:
        parser.error("--size must be a multiple of 8, for three levels of wavelets")
    if not 0 <= arguments.image < 2048:
        parser.error("--image must be from 0 to 2047")
    return arguments


def path_of(name, images, image):
    """A preset's model, and what its states still tell of the image, ``(times, *image.shape)``."""
    model = keras_gud.GUD(preset=name, backbone="tiny")
    model.adapt(images, verbose=0)
    estimates = [estimate(model, tasks.noised(model, image, t, seed=0), t) for t in TIMES]
    return model, np.stack(estimates)


def estimate(model, noised, t):
    """The best component-wise linear estimate of the image, in grey levels."""
    view = model.views[0]
    z, state = view.prior(view.basis(noised[None])), view.schedule(t)
    eps = linear_eps(z, state, view.prior.variance)
    z0 = z0_from_eps(z, eps, state)
    phi = ops.convert_to_numpy(view.basis.inverse(view.prior.inverse(z0)))[0]
    return np.clip(128.0 * (phi + 1.0), 0.0, 255.0)


def row(name, model):
    """A row of the table."""
    first = presets.ALL[name].__doc__.splitlines()[0]
    parts = (type(part).__name__ for part in (model.basis, model.prior, model.schedule))
    return f"| `{name}` | {first} | {' | '.join(parts)} |"


def main():
    arguments = parse_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    images = keras_gud.datasets.load("patches", size=arguments.size, n=2048)
    print("| preset | what | basis | prior | schedule |\n|---|---|---|---|---|")
    rows = []
    for name in presets.ALL:
        model, estimates = path_of(name, images, images[arguments.image])
        rows.append(estimates)
        print(row(name, model), flush=True)
    figure = plots.forward_process(np.stack(rows, axis=1), TIMES, row_labels=list(presets.ALL))
    path = arguments.out / "presets.png"
    figure.savefig(path)
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
