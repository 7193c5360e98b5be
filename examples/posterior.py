"""Any conditional of a table from one network: posteriors and likelihoods of two simulators.

The tables hold parameters and what was simulated with them. One network learns their joint
distribution; `sample(given=...)` then draws parameters given an observation (simulation-based
inference), and observations given parameters. Both are compared with exact draws by a classifier
two-sample test: 0.5 is the same, 1 is told apart without error. The simulators are those of the
benchmark of Lueckmann et al. 2021 (arXiv:2101.04653) whose posteriors can be drawn exactly.

With `--missing 0.2` a fifth of the values of the table are missing, at random.
"""

import argparse
import math
import os
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
import quick

import keras_gud
from keras_gud import regions, schedules

# What is observed gets the noise of this gamma: 0.0015 of the spread of its column. That of the
# default paths, 0.01, would be as large as the thickness of the crescents.
GAMMA_MIN = -13.0


class LinearGaussian:
    """Parameters N(0, 0.1) in ten dimensions, observed with noise N(0, 0.1)."""

    size = 10

    def prior(self, n, rng):
        return rng.normal(0.0, 0.1**0.5, (n, self.size))

    def simulate(self, parameters, rng):
        return parameters + rng.normal(0.0, 0.1**0.5, parameters.shape)

    def posterior(self, observed, n, rng):
        return rng.normal(observed / 2.0, 0.05**0.5, (n, self.size))


class TwoMoons:
    """Two parameters in [-1, 1], of which an observation leaves two crescents."""

    size = 2

    def prior(self, n, rng):
        return rng.uniform(-1.0, 1.0, (n, 2))

    def _crescent(self, n, rng):
        angle, radius = rng.uniform(-np.pi / 2, np.pi / 2, n), rng.normal(0.1, 0.01, n)
        return np.stack([radius * np.cos(angle) + 0.25, radius * np.sin(angle)], axis=1)

    def simulate(self, parameters, rng):
        first, second = parameters.T
        place = np.stack([-np.abs(first + second), second - first], axis=1) / 2**0.5
        return self._crescent(len(parameters), rng) + place

    def posterior(self, observed, n, rng):
        """Inverts the simulator; of both signs, those parameters that the prior allows."""
        found = np.zeros((0, 2))
        while len(found) < n:
            place = (observed - self._crescent(n, rng)) * 2**0.5
            total, difference = -place[:, 0] * rng.choice([-1.0, 1.0], n), place[:, 1]
            pair = np.stack([total - difference, total + difference], axis=1) / 2.0
            allowed = (place[:, 0] <= 0.0) & (np.abs(pair) <= 1.0).all(axis=1)
            found = np.concatenate([found, pair[allowed]])
        return found[:n]


TASKS = {"linear Gaussian": LinearGaussian(), "two moons": TwoMoons()}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=int, default=100_000, help="simulations to train on")
    parser.add_argument("--minutes", type=float, default=6.0, help="of training, for each task")
    parser.add_argument("--missing", type=float, default=0.0, help="share of missing values")
    parser.add_argument("--tasks", nargs="*", choices=TASKS, default=list(TASKS))
    parser.add_argument("--draws", type=int, default=1000, help="to compare, for each observation")
    parser.add_argument("--observations", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100, help="sampler steps")
    parser.add_argument("--backbone", default="small")
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--seed", type=int, default=0)
    small = {"train": 256, "minutes": 0.01, "draws": 20, "observations": 1, "steps": 2}
    return quick.parse_arguments(parser, **small, backbone="tiny")


class Decay(keras.callbacks.Callback):
    """Lowers the learning rate to nothing, along a cosine, in the time that there is."""

    def __init__(self, minutes):
        super().__init__()
        self.seconds = 60.0 * minutes

    def on_train_begin(self, logs=None):
        self.begin, self.first = time.monotonic(), float(self.model.optimizer.learning_rate)

    def on_epoch_begin(self, epoch, logs=None):
        done = min(1.0, (time.monotonic() - self.begin) / self.seconds)
        self.model.optimizer.learning_rate = self.first * (0.51 + 0.49 * math.cos(math.pi * done))


def with_gaps(table, share, rng):
    """The rows of a table that have values left when a share of them is missing."""
    table = np.where(rng.random(table.shape) < share, np.nan, table)
    return table[~np.isnan(table).all(axis=1)].astype("float32")


def train(table, arguments):
    """One network for any columns given any others."""
    paths = schedules.Sequential(b=0.0, gamma_min=GAMMA_MIN)
    model = keras_gud.GUD(
        backbone=arguments.backbone,
        region=[regions.Paths(paths, "pixel", "pixels", weight=4.0)],
        missing=True,
        seed=arguments.seed,
    )
    minutes, decay = arguments.minutes, Decay(arguments.minutes)
    model.fit(table, batch_size=256, minutes=minutes, callbacks=[decay], verbose=0)
    return model


def told_apart(a, b):
    """Accuracy of a classifier of two samples, in five-fold cross-validation."""
    from sklearn.model_selection import cross_val_score
    from sklearn.neural_network import MLPClassifier

    x = np.concatenate([a, b])
    x = (x - a.mean(axis=0)) / a.std(axis=0)
    y = np.repeat([0, 1], [len(a), len(b)])
    width = 10 * a.shape[1]
    classifier = MLPClassifier((width, width), max_iter=1000, random_state=0)
    return cross_val_score(classifier, x, y, cv=5).mean()


def compare(task, model, arguments, rng):
    """The two-sample tests of posteriors and likelihoods, one for each observation."""
    how = {"steps": arguments.steps, "seed": arguments.seed}
    n, size, scores = arguments.draws, task.size, {"posterior": [], "likelihood": []}
    for _ in range(arguments.observations):
        parameters = task.prior(1, rng)
        observed = task.simulate(parameters, rng)[0]
        given = {size + i: value for i, value in enumerate(observed)}
        drawn = model.sample(n, given=given, **how)[:, :size]
        scores["posterior"].append(told_apart(task.posterior(observed, n, rng), drawn))
        given = dict(enumerate(parameters[0]))
        drawn = model.sample(n, given=given, **how)[:, size:]
        exact = task.simulate(np.repeat(parameters, n, axis=0), rng)
        scores["likelihood"].append(told_apart(exact, drawn))
    return scores


def main():
    arguments = parse_arguments()
    keras.utils.set_random_seed(arguments.seed)
    for name in arguments.tasks:
        task, rng = TASKS[name], np.random.default_rng(arguments.seed)
        parameters = task.prior(arguments.train, rng)
        table = np.concatenate([parameters, task.simulate(parameters, rng)], axis=1)
        model = train(with_gaps(table, arguments.missing, rng), arguments)
        steps = int(model.ema.count)
        for what, found in compare(task, model, arguments, rng).items():
            print(
                f"{name}, {what}: told apart {np.mean(found):.3f} "
                f"(of {len(found)} observations {min(found):.3f} to {max(found):.3f}); "
                f"{steps} steps",
                flush=True,
            )


if __name__ == "__main__":
    main()
