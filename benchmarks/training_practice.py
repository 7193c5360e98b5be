"""What networks and trainers could do by default, beside `fit` as it comes.

Run with ``python benchmarks/training_practice.py detail``, ``... weights`` or ``... muon``.

``detail`` trains the network with several numbers of bands of fine detail among its inputs.
``weights`` trains it twice for as many steps, the second time with the loss of every group of
components divided by what it comes to at each gamma, as measured with the first network. That is
where a head that learns the uncertainty of a loss, as in EDM2 (Karras et al., 2024), ends. ``muon``
trains by Adam and by Keras' Muon, which turns the gradients of matrices into orthogonal ones.

Judged are the held-out squared errors, relative to those of the best linear model: of eps, of v,
and weighted as in the bound on the likelihood; noise and times are the same for all.
"""

import argparse
import functools
import os
import time

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
from ema_width import BATCH, fit, load
from keras import ops

import keras_gud
from keras_gud import schedules
from keras_gud.diffusion import linear_eps
from keras_gud.diffusion.weighting import WEIGHTINGS

JUDGED = ("eps", "v", "likelihood")
TIMES, DEGREE = 24, 5
PATHS = {
    "one gamma": dict,
    "haar": lambda: {"basis": "haar", "schedule": schedules.Hierarchical(a=0.5)},
}
# Embeddings and what is not a matrix are Adam's in any case.
MUON = {"exclude_layers": ["head", "position"], "weight_decay": None, "adam_weight_decay": None}


def errors(model, x, rng):
    """Squared errors of eps by the network and by the linear model, and the states.

    Returns:
        Two arrays ``(times, *data_shape)`` and a list of a state for each time.
    """
    z0 = model.prior(model.basis(model.data_space.to_model(x)))
    noise = ops.convert_to_tensor(rng.normal(size=(TIMES, *z0.shape)).astype("float32"))
    found, states = [], []
    for t, eps in zip((np.arange(TIMES) + 0.5) / TIMES, noise, strict=True):
        state = model.schedule(np.float32([t]))
        z = state.add_noise(z0, eps)
        estimates = model.denoiser(z, state), linear_eps(z, state, model.prior.variance)
        found.append([np.square(ops.convert_to_numpy(eps - e)).mean(axis=0) for e in estimates])
        states.append(state)
    return *np.moveaxis(np.array(found), 1, 0), states


def judge(model, x, rng):
    """Errors of the network in units of the linear model's, by the name of a weighting."""
    ours, linear, states = errors(model, x, rng)
    ratios = {}
    for name in JUDGED:
        lambdas = weights_along(name, model, states)
        ratios[name] = float(np.sum(lambdas * ours) / np.sum(lambdas * linear))
    return ratios


def weights_along(name, model, states):
    """The weights of errors of eps in each state, ``(times, ...)``, as the errors' shape."""
    found = [WEIGHTINGS[name](state, model.prior.variance) for state in states]
    return np.array([ops.convert_to_numpy(weight)[0] for weight in found])


class ByUncertainty:
    """The weight of v, divided by what the loss of a group comes to at its gamma."""

    def __init__(self, model, x, rng):
        ours, _, states = errors(model, x, rng)
        shape = ours.shape[1:]
        gamma = np.array(
            [np.broadcast_to(ops.convert_to_numpy(s.gamma)[0], shape).ravel() for s in states]
        )
        loss = (ours * weights_along("v", model, states)).reshape(TIMES, -1)
        _, group = np.unique(gamma, axis=1, return_inverse=True)
        self.fits = np.zeros((DEGREE + 1, gamma.shape[1]), "float32")
        self.low, self.high = float(gamma.min()), float(gamma.max())
        for k in range(group.max() + 1):
            of_group = group == k
            x = self._scaled(gamma[:, of_group][:, 0])
            y = np.log(loss[:, of_group].mean(axis=1))
            self.fits[:, of_group] = np.polynomial.polynomial.polyfit(x, y, DEGREE)[:, None]
        self.fits = self.fits.reshape(DEGREE + 1, 1, *shape)

    def _scaled(self, gamma):
        return 2.0 * (gamma - self.low) / (self.high - self.low) - 1.0

    def __call__(self, state, variance):
        """lambda_i of a state."""
        x = ops.clip(self._scaled(state.gamma), -1.0, 1.0)
        fits = [ops.convert_to_tensor(coefficient) for coefficient in self.fits[::-1]]
        log_loss = functools.reduce(lambda total, c: total * x + c, fits)
        return WEIGHTINGS["v"](state, variance) * ops.exp(-log_loss)


def train(data, arguments, seed, optimizer=None, **given):
    """Trains on random batches; yields the model and the processor's seconds after each stage."""
    x = load(data, arguments.size, "train", 4096 if data == "patches" else None)
    given = {"backbone": arguments.backbone, "seed": seed} | given
    model = keras_gud.GUD(**given)
    model.adapt(x, verbose=0)
    if optimizer is not None:
        model.compile(optimizer)
    rng, spent = np.random.default_rng(seed), 0.0
    for part in np.array_split(np.arange(arguments.steps), arguments.stages):
        images = x[rng.integers(len(x), size=len(part) * BATCH)]
        start = time.process_time()
        fit(model, images, [])
        spent += time.process_time() - start
        yield model, spent


def run(data, arguments, seed, path, name, **how):
    """Trains a model and prints a row after each stage; returns it."""
    held_out = load(data, arguments.size, "test", arguments.held_out)
    for model, seconds in train(data, arguments, seed, **how, **PATHS[path]()):
        ratios = judge(model, held_out, np.random.default_rng(1))
        cells = " | ".join(f"{ratio:.4f}" for ratio in ratios.values())
        steps = int(model.ema.count)
        print(
            f"| {data} | {path} | {name} | {seed} | {steps} | {cells} | {seconds:.0f} |", flush=True
        )
    return model


def detail(data, path, seed, arguments):
    """Rows of networks that are given more and more bands."""
    for bands in arguments.bands:
        options = {"detail_bands": bands}
        run(data, arguments, seed, path, f"{bands} bands", backbone_options=options)


def weights(data, path, seed, arguments):
    """Rows of the default weights and of those by uncertainty."""
    first = run(data, arguments, seed, path, "as it comes")
    measured = load(data, arguments.size, "train", 256)
    by = ByUncertainty(first, measured, np.random.default_rng(2))
    run(data, arguments, seed, path, "by uncertainty", weighting=by)


def muon(data, path, seed, arguments):
    """Rows of Adam and of Muon at several rates."""
    run(data, arguments, seed, path, "Adam, as it comes")
    for rate in arguments.rates:
        optimizer = keras.optimizers.Muon(rate, **MUON)
        run(data, arguments, seed, path, f"Muon {rate:g}", optimizer=optimizer)


PARTS = {"detail": detail, "weights": weights, "muon": muon}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--data", nargs="+", default=["digits", "patches"])
    parser.add_argument("--size", type=int, default=8, help="of data other than digits")
    parser.add_argument("--paths", nargs="+", choices=PATHS, default=list(PATHS))
    parser.add_argument("--backbone", default="tiny")
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--stages", type=int, default=4, help="after each of which one looks")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--held-out", type=int, default=512, help="examples to judge by")
    parser.add_argument("--bands", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--rates", type=float, nargs="+", default=[5e-4, 1e-3, 2e-3, 4e-3])
    arguments = parser.parse_args()
    print(f"| data | path | trained | seed | steps | {' | '.join(JUDGED)} | seconds |")
    print("|---" * (6 + len(JUDGED)) + "|")
    for data in arguments.data:
        for path in arguments.paths:
            for seed in arguments.seeds:
                PARTS[arguments.part](data, path, seed, arguments)


if __name__ == "__main__":
    main()
