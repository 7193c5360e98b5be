"""From all columns at once to one after the other: the paper's sec. 5.2.

One network is trained on column-wise schedules, b from 0 (standard diffusion) to 0.7. Then
likelihood and sample quality over b: what sequential generation costs. Beside it networks for
b = 0.3 and b = 0.5 alone, as the paper has them on PCAM: what it costs to be one network for all.
`extension.py` makes the paper's strips (figs. 6 and 7).
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import dataclasses
import functools

import evaluation
import experiment

import keras_gud
from keras_gud import plots, presets

B = (0.0, 0.15, 0.3, 0.5, 0.7)
ALONE = (0.3, 0.5)
SMALL = experiment.Setting(dataset="histology", sampler_steps=100)
PAPER = dataclasses.replace(experiment.PAPER, dataset="pcam")


def make(b, setting):
    """The model for a range of b, or one value."""
    return keras_gud.GUD(preset=presets.columns(b), backbone=setting.backbone)


def main():
    setting, folder = experiment.parse_arguments(
        __doc__, "column_generation", default=SMALL, paper=PAPER
    )
    scanned = B if setting.steps > experiment.QUICK.steps else (0.0, 0.5)
    variants = {"columns": functools.partial(make, (B[0], B[-1]), setting)}
    points = {"columns": [{"b": b} for b in scanned]}
    for b in ALONE if len(scanned) > 2 else ():
        variants[f"b = {b} alone"] = functools.partial(make, b, setting)
        points[f"b = {b} alone"] = [{"b": b}]
    results = evaluation.scan(variants, points, setting, folder)
    panels = results.panels(variants, "b", scanned)
    plots.scan(scanned, panels, "b").savefig(folder / "columns.png")
    print(f"wrote {folder / 'columns.png'}")


if __name__ == "__main__":
    main()
