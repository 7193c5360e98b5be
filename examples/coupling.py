"""A lattice field conditioned on its coupling: one network between couplings that it has not seen.

Fields of phi^4 theory on both sides of its phase transition, with the coupling as a condition.
Samples at couplings half-way between those of training are held against Metropolis sampling: the
mean magnetisation, the mean square, and the product of neighbours, across the border too.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
import quick
from matplotlib.figure import Figure

import keras_gud
from keras_gud.datasets.lattice import phi4_fields

SIZE = 16
TRAINED = np.linspace(0.22, 0.30, 9)
BETWEEN = (TRAINED[1:] + TRAINED[:-1]) / 2
# Of fields ``(n, size, size)``: a number for each.
OBSERVABLES = {
    "magnetisation": lambda phi: np.abs(phi.mean(axis=(1, 2))),
    "mean of phi^2": lambda phi: (phi**2).mean(axis=(1, 2)),
    "mean of phi times its neighbour": lambda phi: (phi * np.roll(phi, 1, 2)).mean(axis=(1, 2)),
}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=int, default=9000, help="fields to train on")
    parser.add_argument("--minutes", type=float, default=8.0, help="of training")
    parser.add_argument("--draws", type=int, default=500, help="for each coupling")
    parser.add_argument("--steps", type=int, default=50, help="sampler steps")
    parser.add_argument("--backbone", default="small")
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--seed", type=int, default=0)
    small = {"train": 36, "minutes": 0.01, "draws": 2, "steps": 2}
    return quick.parse_arguments(parser, **small, backbone="tiny")


def measure(phi):
    """Mean and standard error of every observable over fields ``(n, size, size, 1)``."""
    values = [observe(phi[..., 0].astype("float64")) for observe in OBSERVABLES.values()]
    return np.array([(v.mean(), v.std(ddof=1) / len(v) ** 0.5) for v in values])


def sampled(model, kappa, arguments):
    """The observables of samples at a coupling."""
    condition = np.full((arguments.draws, 1), kappa, "float32")
    how = {"steps": arguments.steps, "seed": arguments.seed}
    return measure(model.sample(arguments.draws, condition=condition, **how))


def draw(found, exact):
    """The observables over the coupling, with two standard errors: a Matplotlib figure."""
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    axes = figure.subplots(1, len(OBSERVABLES))
    for i, (axis, name) in enumerate(zip(axes, OBSERVABLES, strict=True)):
        axis.plot(BETWEEN, exact[:, i, 0], "k-", label="Metropolis")
        values, errors = found[:, i].T
        axis.errorbar(BETWEEN, values, 2 * errors, fmt="o", capsize=3, label="network")
        axis.set(title=name, xlabel="kappa, none of those of training")
        axis.legend()
    return figure


def main():
    arguments = parse_arguments()
    rng = np.random.default_rng(arguments.seed)
    fields, which = phi4_fields(SIZE, arguments.train, rng, TRAINED)
    model = keras_gud.GUD(
        condition="vector",
        backbone=arguments.backbone,
        backbone_options={"boundary": "periodic"},
        seed=arguments.seed,
    )
    coupling = TRAINED[which, None].astype("float32")
    model.fit(fields, coupling, batch_size=64, minutes=arguments.minutes, verbose=0)
    print(f"{int(model.ema.count)} steps of 64.")
    reference, which = phi4_fields(SIZE, arguments.draws * len(BETWEEN), rng, BETWEEN)
    exact = np.array([measure(reference[which == i]) for i in range(len(BETWEEN))])
    found = np.array([sampled(model, kappa, arguments) for kappa in BETWEEN])
    print(f"| kappa | {' | '.join(OBSERVABLES)} |\n|---{'|---' * len(OBSERVABLES)}|")
    for kappa, row, truth in zip(BETWEEN, found, exact, strict=True):
        cells = [
            f"{x:.3f} +- {dx:.3f} ({y:.3f} +- {dy:.3f})"
            for (x, dx), (y, dy) in zip(row, truth, strict=True)
        ]
        print(f"| {kappa:.3f} | {' | '.join(cells)} |")
    arguments.out.mkdir(parents=True, exist_ok=True)
    draw(found, exact).savefig(arguments.out / "coupling.png")


if __name__ == "__main__":
    main()
