"""Coarse to fine and left to right: the paper's sec. 5.3.

Networks are trained on hierarchical schedules in Haar wavelets, with a (between levels) and b
(between the columns of a level) in [0.3, 0.7], for both priors: the paper's table says isotropic,
its fig. 4d matching. Then likelihood and sample quality over both.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import functools
import itertools

import evaluation
import experiment

import keras_gud
from keras_gud import plots, presets

VALUES = (0.3, 0.5, 0.7)
PRIORS = ("isotropic", "matching")
LEVELS = 3
SMALL = experiment.Setting(sampler_steps=50)


def make(prior, setting):
    """The model for one prior."""
    ends = VALUES[0], VALUES[-1]
    path = presets.haar_columns(a=ends, b=ends, levels=LEVELS, prior=prior)
    return keras_gud.GUD(preset=path, backbone=setting.backbone)


def main():
    setting, folder = experiment.parse_arguments(__doc__, "haar_columns", default=SMALL)
    scanned = VALUES if setting.steps > experiment.QUICK.steps else (0.5,)
    points = [{"a": a, "b": b} for a, b in itertools.product(scanned, scanned)]
    variants = {prior: functools.partial(make, prior, setting) for prior in PRIORS}
    results = evaluation.scan(variants, points, setting, folder)
    for prior in PRIORS:
        figures = [results.over_seeds("bits_per_dim", variant=prior, **p)[0] for p in points]
        a, b = ([point[axis] for point in points] for axis in ("a", "b"))
        figure = plots.plane(a, b, figures, "a", "b", f"bits/dim, {prior} prior")
        figure.savefig(folder / f"haar-{prior}.png")
        print(f"wrote {folder}/haar-{prior}.png")


if __name__ == "__main__":
    main()
