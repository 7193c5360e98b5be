"""How much sooner training reaches a bound on the likelihood if it learns its curves meanwhile.

The same network is trained with gamma of all wavelet bands linear in time, and with a curve for
each band that is learned from the errors that training sees anyway. Every so many steps the bound
of held-out images is computed along the model's own path.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import itertools

import evaluation
import experiment
import keras
import numpy as np

import keras_gud
from keras_gud import schedules

SETTING = experiment.Setting(steps=3000, seeds=1)
ENDS = {"gamma_min": -7.0, "gamma_max": 5.0}
EVERY = 250
VARIANTS = {
    "fixed": lambda: schedules.Sequential(b=0.0, over="band", **ENDS),
    "information": lambda: schedules.Learned(over="band", criterion="information", **ENDS),
    "variance": lambda: schedules.Learned(over="band", criterion="variance", **ENDS),
}


class Bound(keras.callbacks.Callback):
    """The bound of held-out images after an epoch, each time that so many steps are over."""

    def __init__(self, held_out, every, results, **key):
        super().__init__()
        self.held_out, self.every, self.results, self.key = held_out, every, results, key
        self.step, self.last = 0, 0

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1

    def on_epoch_end(self, epoch, logs=None):
        if self.step - self.last >= self.every:
            self.last = self.step
            self.results.row(self.bound, step=self.step, **self.key)

    def bound(self):
        return {"bits": float(self.model.elbo(self.held_out)["bits_per_dim"].mean())}


def train(setting, data, watch, variant, weighting, seed):
    """Trains one model under the eyes of a callback."""
    keras.utils.set_random_seed(seed)
    model = keras_gud.GUD(
        basis="haar",
        schedule=VARIANTS[variant](),
        weighting=weighting,
        backbone=setting.backbone,
        seed=seed,
    )
    model.compile(keras.optimizers.Adam(setting.rate))
    per_epoch = max(1, len(data) // setting.batch_size)
    model.fit(
        data[: per_epoch * setting.batch_size],
        batch_size=setting.batch_size,
        epochs=-(-setting.steps // per_epoch),
        callbacks=[watch],
        verbose=0,
    )


def steps_to_reach(rows, bits):
    """Steps after which the bound is as good, between the evaluations by interpolation."""
    steps, found = ([row[name] for row in rows] for name in ("step", "bits"))
    if min(found) > bits:
        return np.nan
    i = next(i for i, value in enumerate(found) if value <= bits)
    return float(np.interp(-bits, np.negative(found[: i + 1][-2:]), steps[: i + 1][-2:]))


def report(results, weighting, seed):
    """What was reached when, in words."""
    key = {"weighting": weighting, "seed": seed}
    rows = {name: results.select(variant=name, **key) for name in VARIANTS}
    goal = rows["fixed"][-1]
    for name in list(VARIANTS)[1:]:
        steps = steps_to_reach(rows[name], goal["bits"])
        print(
            f"{weighting}, seed {seed}: fixed curves {goal['bits']:.3f} bits/dim in {goal['step']} "
            f"steps; {name} in {steps:.0f}, {goal['step'] / steps:.2f} times fewer; "
            f"{rows[name][-1]['bits']:.3f} at last"
        )


def main():
    setting, folder = experiment.parse_arguments(__doc__, "learned_paths", SETTING)
    held_out = experiment.images(setting, "test")[: setting.likelihoods]
    results, data = evaluation.Results(folder), experiment.training_images(setting)
    for weighting, seed in itertools.product(("likelihood", "v"), range(setting.seeds)):
        for variant in VARIANTS:
            key = {"weighting": weighting, "variant": variant, "seed": seed}
            if results.select(**key):
                continue  # of an earlier run
            watch = Bound(held_out, min(EVERY, setting.steps), results, **key)
            train(setting, data, watch, **key)
        report(results, weighting, seed)
    results.write_csv()


if __name__ == "__main__":
    main()
