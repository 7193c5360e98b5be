"""Images noised to t = 0.5 column by column, and reconstructed in many ways: the paper's fig. 8."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import dataclasses

import experiment
import numpy as np

import keras_gud
from keras_gud import plots, tasks

SMALL = experiment.Setting(dataset="histology", size=16, seeds=1, sampler_steps=100)
PAPER = dataclasses.replace(experiment.PAPER, dataset="pcam")
SHOWN, DRAWS = 6, 6
T, B = 0.5, 0.5


def main():
    setting, folder = experiment.parse_arguments(
        __doc__, "reconstruction", default=SMALL, paper=PAPER
    )

    def make():
        return keras_gud.GUD(preset="columns", backbone=setting.backbone)

    model = experiment.train(make, setting, folder, "columns", 0)
    truth = experiment.images(setting, "test", n=SHOWN)
    noised = tasks.noised(model, truth, T, b=B)
    draws = tasks.complete(model, noised, T, draws=DRAWS, steps=setting.sampler_steps, b=B)
    shown = np.clip(128.0 * (noised + 1.0), 0, 255).astype("uint8")
    columns = np.concatenate([truth[:, None], shown[:, None], draws], axis=1)
    names = ["original", f"t = {T:g}", *(f"draw {i + 1}" for i in range(DRAWS))]
    figure = plots.image_table(columns, column_labels=names)
    figure.savefig(folder / "reconstruction.png")
    error = np.abs(draws.astype("float64") - truth[:, None]).mean(axis=(0, 1, 2, 4))
    print("Mean error in grey levels, column by column:", " ".join(f"{e:.0f}" for e in error))
    print(f"wrote {folder / 'reconstruction.png'}")


if __name__ == "__main__":
    main()
