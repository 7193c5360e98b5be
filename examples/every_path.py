"""One network on four paths: all pixels at once, by columns, by rows, and from coarse to fine.

What does it cost to serve four paths with one network? Beside it stand four networks, each trained
on one of the paths alone for as many steps. Then the same network draws the same seeds on each
path, and says how far paths are that it was not trained on.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import functools

import evaluation
import experiment
import numpy as np

import keras_gud
from keras_gud import plots, schedules

PATHS = ("cosine", "columns", "rows", "hierarchical")
TOGETHER = "together"
SMALL = experiment.Setting(sampler_steps=100)
# Drawn with each path for the picture.
SHOWN = 12


def make(path, setting):
    """The model of all paths, or of one alone."""
    if path == TOGETHER:
        return keras_gud.GUD(schedule=PATHS[0], region=list(PATHS[1:]), backbone=setting.backbone)
    basis = schedules.get(path).home or "pixel"
    return keras_gud.GUD(basis=basis, schedule=path, backbone=setting.backbone)


def main():
    setting, folder = experiment.parse_arguments(__doc__, "every_path", default=SMALL)
    scanned = PATHS if setting.steps > experiment.QUICK.steps else PATHS[:1]
    variants = {name: functools.partial(make, name, setting) for name in (TOGETHER, *scanned)}
    points = {name: [{"schedule": name}] for name in scanned}
    points[TOGETHER] = [{"schedule": name} for name in scanned]
    results = evaluation.scan(variants, points, setting, folder)
    for path in scanned:
        one, alone = (
            results.over_seeds("bits_per_dim", variant=variant, schedule=path)[0]
            for variant in (TOGETHER, path)
        )
        print(f"{path}: {one:.3f} bits/dim by one network for all, {alone:.3f} by one of its own")
    model = experiment.train(variants[TOGETHER], setting, folder, TOGETHER, 0)
    rows = [
        model.sample(SHOWN, schedule=path, steps=setting.sampler_steps, seed=0) for path in PATHS
    ]
    plots.image_table(np.stack(rows), PATHS).savefig(folder / "every_path.png")
    print(f"wrote {folder / 'every_path.png'}")
    for other in (schedules.Sequential(over="column", b=0.0), "edm", "linear"):
        print(model.path(other))


if __name__ == "__main__":
    main()
