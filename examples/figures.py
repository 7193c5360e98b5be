"""The figures of the paper that need no training, from patches of photographs.

Writes to ``out/``: ``paths.png`` (paper fig. 1), ``schedules.png`` (fig. 2), ``forward.png``
(fig. 4) and ``columns.png`` (fig. 6). Of the others, `softness_scan.py` makes fig. 3,
`ordering_scan.py` fig. 5, `extension.py` fig. 7, `reconstruction.py` fig. 8, and
`celeba_fourier.py` fig. 9.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
import quick

import keras_gud
from keras_gud import bases, plots, schedules, tasks

TIMES = np.linspace(0.0, 1.0, 401, dtype="float32")
RANKS = 8  # principal components shown in fig. 2
COLUMNS = 5  # columns shown in fig. 6


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=32, help="edge of the patches, a multiple of 8")
    parser.add_argument("--images", type=int, default=2048, help="number of patches to measure")
    parser.add_argument("--image", type=int, default=1947, help="which of them is noised in fig. 4")
    parser.add_argument("--out", type=Path, default=Path("out"))
    arguments = quick.parse_arguments(parser, size=8, images=128, image=3)
    if arguments.size < 8 or arguments.size % 8:
        parser.error("--size must be a multiple of 8, for three levels of wavelets")
    if not 0 <= arguments.image < arguments.images:
        parser.error("--image must be from 0 to --images - 1")
    return arguments


class NoNetwork(keras.layers.Layer):
    """In the place of a network, since nothing is trained."""

    def call(self, inputs):
        return inputs[0]


def adapted(images, basis, prior, schedule):
    """A model that has measured the images."""
    parts = {"basis": basis, "prior": prior, "schedule": schedule}
    # Images are in [-1, 1], as in the paper.
    model = keras_gud.GUD(**parts, backbone=NoNetwork(), data_scale="range")
    model.adapt(images, verbose=0)
    return model


def sequential(b, n, reverse=False):
    """The states of `n` columns over time."""
    schedule = schedules.Sequential(b=b, over=0, reverse=reverse)
    schedule.adapt(variance=np.ones(n))
    return schedule(TIMES)


def paths():
    """Two columns, from both at once to one after the other (fig. 1)."""
    gammas = {"both at once, b = 0": sequential(0.0, 2).gamma}
    for order in ("left to right", "right to left"):
        for b in (0.25, 0.5):
            state = sequential(b, 2, reverse=order == "right to left")
            gammas[f"{order}, b = {b:g}"] = state.gamma
    between = ["left to right, b = 0.25", "right to left, b = 0.25"]
    names = ["the left column", "the right column"]
    return plots.paths(gammas, component_labels=names, between=between)


def four_schedules(white, matching):
    """Noise level, gamma and signal-to-noise ratio of principal components (fig. 2)."""
    columns = {
        "(a) standard diffusion": (white, 1.0),
        "(b) no hierarchy": (white, 0.0),
        "(c) whitened, as (a)": (matching, 1.0),
        "(d) whitened, no hierarchy": (matching, 0.0),
    }
    labels = {name: label.ravel() for name, label in white.basis.coordinates.items()}
    last = labels["rank"].max()
    # Evenly spread over the logarithm of the rank, each in the first channel.
    ranks = np.unique(np.geomspace(1, last + 1, RANKS).round().astype(int)) - 1
    first = labels["channel"] == 0
    shown = [np.flatnonzero(first & (labels["rank"] == rank))[0] for rank in ranks]
    return plots.schedule(
        {name: model.schedule(TIMES, a=a) for name, (model, a) in columns.items()},
        TIMES,
        variance={name: model.prior.variance for name, (model, _) in columns.items()},
        component_labels=labels["rank"],
        components=shown,
        levels={"log_snr": (7.0, -3.0), "sigma": (0.99,)},
    )


def forward(white, matching, images, image):
    """One patch on its way to noise in four models (fig. 4)."""
    column_wise = adapted(images, "pixel", "isotropic", schedules.Sequential(b=0.5))
    both = adapted(images, bases.Haar(3), "matching", schedules.Hierarchical(a=0.5, b=0.5))
    rows = {
        "standard": (white, {"a": 1.0}),
        "whitened": (matching, {"a": 1.0}),
        "columns": (column_wise, {}),
        "wavelets and columns": (both, {}),
    }
    times = np.linspace(0.0, 1.0, 11)
    states = [
        [tasks.noised(model, image, float(t), **params) for model, params in rows.values()]
        for t in times
    ]
    grey_levels = np.clip(np.round(128.0 * (np.array(states) + 1.0)), 0, 255).astype("uint8")
    return plots.forward_process(grey_levels, times, row_labels=list(rows))


def columns():
    """Five columns, more and more one after the other (fig. 6)."""
    states = {f"b = {b:g}": sequential(b, COLUMNS) for b in (0.2, 0.5, 0.8)}
    numbers = np.arange(1, COLUMNS + 1)
    show = ("gamma", "beta", "alpha")
    return plots.schedule(states, TIMES, component_labels=numbers, show=show)


def main():
    arguments = parse_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(0)
    images = keras_gud.datasets.load("patches", size=arguments.size, n=arguments.images)
    # For each prior a family of schedules, from no hierarchy (0) to standard diffusion (1).
    models = [
        adapted(images, "pca", prior, schedules.Linear(a=(0.0, 1.0)))
        for prior in ("isotropic", "matching")
    ]
    figures = {
        "paths.png": paths(),
        "schedules.png": four_schedules(*models),
        "forward.png": forward(*models, images, images[arguments.image]),
        "columns.png": columns(),
    }
    for name, figure in figures.items():
        figure.savefig(arguments.out / name)
        print(f"wrote {arguments.out / name}")


if __name__ == "__main__":
    main()
