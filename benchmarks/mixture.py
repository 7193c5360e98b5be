"""Samplers on an exact denoiser that is not linear: a mixture of correlated Gaussians.

Run with ``KERAS_BACKEND=torch python benchmarks/mixture.py``. The data are columns of 4x4 images,
from four Gaussians of unequal weights. Samples are judged against as many exact ones by three
numbers: the energy distance (Szekely and Rizzo 2013) in units of its floor, that between two exact
sets; the difference of the mean log density, in nats; and the largest error of a Gaussian's share.
"""

import argparse
import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
from scipy.spatial.distance import cdist

from keras_gud import oracle, samplers, schedules

SHAPE = (4, 4, 1)
ROWS = [
    ("euler_maruyama", 1000),
    ("euler_maruyama", 100),
    *((name, steps) for steps in (32, 20) for name in ("dpm++sde", "dpm++", "unipc", "3M", "3M+C")),
]
MORE = {
    "3M": samplers.DPMSolver(order=3),
    "3M+C": samplers.DPMSolver(order=3, corrector=True),
}


def mixture() -> oracle.Mixture:
    """Four Gaussians with smooth covariances, apart by two to three standard deviations."""
    rng = np.random.default_rng(0)
    d = int(np.prod(SHAPE))
    place = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"), -1).reshape(d, -1)
    smooth = np.exp(-0.5 * cdist(place, place))
    covariances = [s * smooth + 0.01 * np.eye(d) for s in (0.1, 0.2, 0.1, 0.3)]
    return oracle.Mixture([0.4, 0.3, 0.2, 0.1], 0.7 * rng.normal(size=(4, *SHAPE)), covariances)


def mean_distance(a, b) -> float:
    """Mean Euclidean distance between the points of two sets."""
    return float(np.mean([cdist(a[i : i + 500], b).mean() for i in range(0, len(a), 500)]))


def shares(model, z, state) -> np.ndarray:
    """How much of a set belongs to each Gaussian, by its posterior probability."""
    total = model.log_prob(z, state)
    parts = [
        oracle.Gaussian(m, c).log_prob(z, state) + np.log(w)
        for w, m, c in zip(model.weights, model.means, model.covariances, strict=True)
    ]
    return np.exp(np.array(parts) - total).mean(axis=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=6000)
    parser.add_argument("--b", type=float, nargs="+", default=[0.0, 0.5])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    model = mixture()
    print("| path | sampler | evaluations | energy distance | mean log density | largest share |")
    print("|---|---|---|---|---|---|")
    for b in arguments.b:
        schedule = schedules.Sequential(over=1, b=b, gamma_min=-7.0, gamma_max=5.0)
        schedule.adapt(np.ones(SHAPE))
        state = schedule(0.0)
        a, c = (
            model.sample(arguments.n, state, seed=s).reshape(arguments.n, -1) for s in (101, 102)
        )
        within = mean_distance(a, a)
        floor = 2.0 * mean_distance(a, c) - within - mean_distance(c, c)
        exact = a.reshape(-1, *SHAPE)
        density, share = model.log_prob(exact, state).mean(), np.asarray(model.weights)
        for name, steps in ROWS:
            figures = []
            for seed in arguments.seeds:
                sampler = MORE[name] if name in MORE else samplers.get(name)
                z = sampler(model, schedule, arguments.n, steps=steps, seed=seed)
                flat = z.reshape(len(z), -1)
                energy = 2.0 * mean_distance(flat, a) - within - mean_distance(flat, flat)
                figures.append(
                    (
                        energy / floor,
                        model.log_prob(z, state).mean() - density,
                        np.abs(shares(model, z, state) - share).max(),
                    )
                )
            low, mid, high = np.min(figures, 0), np.median(figures, 0), np.max(figures, 0)
            cells = (
                f"{m:.3g} ({p:.2g} to {q:.2g}) |" for p, m, q in zip(low, mid, high, strict=True)
            )
            print(f"| b={b} | {name} | {steps} |", *cells, flush=True)


if __name__ == "__main__":
    main()
