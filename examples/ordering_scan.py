"""In which order, and how sequential? The paper's sec. 5.1, fig. 5.

One network is trained on linear schedules in the Fourier basis whose order lies between that of
variances (r = 0) and that of frequencies (r = 1), with softness a. Then likelihood and sample
quality over both. Standard diffusion is r = 0, a = 1.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import itertools

import evaluation
import experiment

import keras_gud
from keras_gud import plots, presets

A = (0.6, 0.8, 1.0, 1.2, 1.4)
R = (0.0, 0.5, 1.0)


def main():
    setting, folder = experiment.parse_arguments(__doc__, "ordering_scan")

    def make():
        path = presets.ordering(a=(A[0], A[-1]), r=(R[0], R[-1]))
        return keras_gud.GUD(preset=path, backbone=setting.backbone)

    quick = setting.steps <= experiment.QUICK.steps
    points = [{"r": r, "a": a} for r, a in itertools.product(R, (1.0,) if quick else A)]
    results = evaluation.scan({"fourier": make}, points, setting, folder)
    for name, title in (("bits_per_dim", "bits/dim"), ("frechet", "Frechet distance")):
        figures = [results.over_seeds(name, **point)[0] for point in points]
        r, a = ([point[axis] for point in points] for axis in ("r", "a"))
        figure = plots.plane(r, a, figures, "r", "a", title, marks=[(0.0, 1.0)])
        figure.savefig(folder / f"{name}.png")
        print(f"wrote {folder / name}.png")


if __name__ == "__main__":
    main()
