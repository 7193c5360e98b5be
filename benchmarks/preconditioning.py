"""What should the network's output mean? Held-out bound and sample quality of short trainings.

Run with ``KERAS_BACKEND=torch python benchmarks/preconditioning.py --data patches histology``. All
predictions cost the same per step, so equal steps are equal wall time. Every run sees the same
batches, times and noise as the others of its seed. The schedule has one gamma for all components,
so that every basis gives the same process and `--basis` only says in which basis the best
component-wise linear model is that ``linear`` and ``wiener`` build on.
"""

import argparse
import math
import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
from frechet import frechet_distance

import keras_gud
from keras_gud import backbones, bases, datasets, schedules
from keras_gud.diffusion.prediction import PREDICTIONS


@keras.saving.register_keras_serializable(package="keras_gud_benchmarks")
def standard(t):
    """Standard diffusion: one gamma for all components."""
    return -7.0 + 13.0 * t


def make_basis(name: str):
    """A basis by name; ``"full_pca"`` is the eigenbasis of the whole covariance."""
    return bases.PCA(mix_channels=True) if name == "full_pca" else bases.get(name)


def diffusion_bits(model, x, draws: int) -> float:
    """The diffusion term of the negative ELBO in bits per dimension, averaged weights."""
    terms = model.elbo(x, draws=draws)
    return float(terms["diffusion"].mean()) / (math.prod(x.shape[1:]) * math.log(2.0))


def run(data: str, basis: str, prediction: str, seed: int, arguments) -> list[float]:
    """Held-out diffusion term after each number of steps, then the Frechet distance of samples."""
    train = datasets.load(data, size=16, n=8192, split="train")
    held = datasets.load(data, size=16, n=arguments.held_out, split="test")
    keras.utils.set_random_seed(seed)
    widths = {} if arguments.widths is None else {"widths": arguments.widths}
    backbone = backbones.get(arguments.backbone, data_shape=train.shape[1:], **widths)
    model = keras_gud.GUD(
        basis=make_basis(basis),
        schedule=schedules.Function(standard),
        backbone=backbone,
        prediction=prediction,
        ema_decay=0.99,
        seed=seed,
    )
    model.adapt(train, verbose=0)
    model.compile(keras.optimizers.Adam(1e-3))
    rng, done, figures = np.random.default_rng(seed), 0, []
    for steps in arguments.steps:
        if steps > done:
            x = train[rng.integers(len(train), size=64 * (steps - done))]
            model.fit(x, batch_size=64, epochs=1, shuffle=False, verbose=0)
            done = steps
        figures.append(diffusion_bits(model, held, arguments.draws))
    if arguments.samples:
        samples = model.sample(arguments.samples, steps=arguments.sampler_steps, seed=seed)
        figures.append(frechet_distance(samples, train[: 4 * arguments.samples]))
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", default=["patches", "histology"])
    parser.add_argument("--predictions", nargs="+", default=sorted(PREDICTIONS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, nargs="+", default=[0, 100, 300])
    parser.add_argument("--basis", nargs="+", default=["fourier"])
    parser.add_argument("--backbone", default="small")
    parser.add_argument("--widths", type=int, nargs="+", help="channels per level")
    parser.add_argument("--held-out", type=int, default=256)
    parser.add_argument("--draws", type=int, default=16, help="network evaluations per example")
    parser.add_argument("--samples", type=int, default=512, help="0 leaves sample quality out")
    parser.add_argument("--sampler-steps", type=int, default=64)
    arguments = parser.parse_args()
    headings = [f"step {s}" for s in arguments.steps]
    headings += ["Frechet distance"] if arguments.samples else []
    print("| data | basis | prediction | seed |", *(f"{h} |" for h in headings))
    print("|---|---|---|---|" + "---|" * len(headings), flush=True)
    for data in arguments.data:
        if arguments.samples:
            half = datasets.load(data, size=16, n=8192, split="train")
            floor = frechet_distance(half[-arguments.samples :], half[: 4 * arguments.samples])
            blanks = "| " * len(arguments.steps)
            print(f"| {data} | | other real crops | {blanks}| {floor:.3f} |", flush=True)
        for seed in arguments.seeds:
            for basis in arguments.basis:
                for prediction in arguments.predictions:
                    figures = run(data, basis, prediction, seed, arguments)
                    cells = (f"{figure:.3f} |" for figure in figures)
                    print(f"| {data} | {basis} | {prediction} | {seed} |", *cells, flush=True)


if __name__ == "__main__":
    main()
