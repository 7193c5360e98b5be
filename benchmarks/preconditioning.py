"""What should the network's output mean? The held-out diffusion term of the ELBO while training.

Run with ``KERAS_BACKEND=torch python benchmarks/preconditioning.py --data patches histology``. All
predictions cost the same per step, so equal steps are equal wall time. Every run sees the same
batches, times and noise as the others of its seed.
"""

import argparse
import math
import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

import keras_gud
from keras_gud import datasets, objective, schedules


@keras.saving.register_keras_serializable(package="keras_gud_benchmarks")
def standard(t):
    """Standard diffusion: one gamma for all components."""
    return -7.0 + 13.0 * t


def diffusion_bits(model, x) -> float:
    """The diffusion term of the negative ELBO in bits per dimension, averaged weights."""
    terms = model.elbo(x, draws=16)
    return float(terms["diffusion"].mean()) / (math.prod(x.shape[1:]) * math.log(2.0))


def run(data: str, prediction: str, seed: int, arguments) -> list[float]:
    """Held-out diffusion term after each number of steps."""
    train = datasets.load(data, size=16, n=8192, split="train")
    held = datasets.load(data, size=16, n=256, split="test")
    keras.utils.set_random_seed(seed)
    model = keras_gud.GUD(
        basis=arguments.basis,
        schedule=schedules.Function(standard),
        backbone=arguments.backbone,
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
        figures.append(diffusion_bits(model, held))
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", default=["patches", "histology"])
    parser.add_argument("--predictions", nargs="+", default=sorted(objective.PREDICTIONS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, nargs="+", default=[0, 100, 300])
    parser.add_argument("--basis", nargs="+", default=["fourier"])
    parser.add_argument("--backbone", default="small")
    arguments = parser.parse_args()
    print("| data | prediction | seed |", *(f"step {s} |" for s in arguments.steps))
    print("|---|---|---|" + "---|" * len(arguments.steps), flush=True)
    for data in arguments.data:
        for seed in arguments.seeds:
            for prediction in arguments.predictions:
                figures = run(data, prediction, seed, arguments)
                cells = (f"{figure:.3f} |" for figure in figures)
                print(f"| {data} | {prediction} | {seed} |", *cells, flush=True)


if __name__ == "__main__":
    main()
