"""Softer or sharper from the same noise: the paper's appendix E, fig. 9.

One network in the Fourier basis, with noise of the data's power spectrum, is trained on a in
[0.7, 1.4]; then samples of one and the same noise over a, by the ODE (first rows) and the SDE. The
paper has faces of CelebA-HQ, here small patches unless `--paper`.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import dataclasses

import experiment
import numpy as np

import keras_gud
from keras_gud import plots, presets

SMALL = experiment.Setting(size=16, seeds=1, sampler_steps=50)
PAPER = dataclasses.replace(experiment.PAPER, dataset="celeb_a_hq", size=256, backbone="ncsnpp")
A = (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4)
SHOWN = 2


def main():
    setting, folder = experiment.parse_arguments(
        __doc__, "celeba_fourier", default=SMALL, paper=PAPER
    )

    def make():
        path = presets.power_spectrum(a=(A[0], A[-1]))
        return keras_gud.GUD(preset=path, backbone=setting.backbone)

    model = experiment.train(make, setting, folder, "spectrum", 0)
    how = {"steps": setting.sampler_steps, "seed": 1}
    samplers = {"ODE": "dpm++", "SDE": "dpm++sde"}
    rows = [
        np.stack([model.sample(SHOWN, a=a, sampler=sampler, **how) for a in A], axis=1)
        for sampler in samplers.values()
    ]
    figure = plots.image_table(
        np.concatenate(rows),
        row_labels=[name for name in samplers for _ in range(SHOWN)],
        column_labels=[f"a = {a:.1f}" for a in A],
    )
    figure.savefig(folder / "celeba_fourier.png")
    print(f"wrote {folder / 'celeba_fourier.png'}")


if __name__ == "__main__":
    main()
