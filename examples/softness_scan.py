"""How sequential should generation be? The paper's sec. 5.1, figs. 2 and 3.

One network for each prior is trained on linear schedules in principal components, a in [0.4, 1.6]:
from all components at once to large variances first, with standard diffusion at a = 1. Then
likelihood and sample quality over a. The paper has its variant of NCSN++ here, gamma_denoise = -3,
and time warped by 0.5.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import dataclasses
import functools

import evaluation
import experiment

import keras_gud
from keras_gud import plots, presets

A = (0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6)
PRIORS = ("isotropic", "matching")
PAPER = dataclasses.replace(experiment.PAPER, backbone="ncsnpp")


def make(prior, setting):
    """The model for one prior."""
    path = presets.principal_components(a=(A[0], A[-1]), prior=prior)
    return keras_gud.GUD(preset=path, backbone=setting.backbone)


def main():
    setting, folder = experiment.parse_arguments(__doc__, "softness_scan", paper=PAPER)
    scanned = A if setting.steps > experiment.QUICK.steps else (0.4, 1.0)
    variants = {prior: functools.partial(make, prior, setting) for prior in PRIORS}
    results = evaluation.scan(variants, [{"a": a} for a in scanned], setting, folder)
    panels = results.panels(PRIORS, "a", scanned)
    figure = plots.scan(scanned, panels, "a", mark=1.0)
    figure.savefig(folder / "softness.png")
    print(f"wrote {folder / 'softness.png'}")


if __name__ == "__main__":
    main()
