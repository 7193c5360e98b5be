"""How near few evaluations come to the exact marginal: KL in closed form, no network, no noise.

Run with ``KERAS_BACKEND=torch python benchmarks/sampling.py``. The data are Gaussian images with a
1/(|k| + 1)^2 spectrum and mean variance 0.25, the denoiser is exact, so every deterministic sampler
is a linear map of its start. The map is read off the shipped sampler's own start and end states,
and the KL divergence of what it makes of an exact start is that of two Gaussians.
"""

import argparse
import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np

from keras_gud import bases, objective, oracle, samplers, schedules

SAMPLERS = {
    "DDIM": {"order": 1},
    "2M": {"order": 2},
    "2M+C": {"order": 2, "corrector": True},
    "3M": {"order": 3},
    "3M+C": {"order": 3, "corrector": True},
}


class Independent:
    """The exact denoiser of independent components, in one multiplication."""

    def __init__(self, variance):
        self.variance, self.data_shape = variance.astype("float32"), variance.shape

    def __call__(self, z, state):
        return objective.linear_eps(z, state, self.variance)

    def marginal(self, state):
        """Mean and variances of z at a state, as `oracle.Gaussian` has a covariance."""
        variance = np.asarray(state.marginal_variance(self.variance), "float64")
        return np.zeros(self.data_shape), variance.ravel()


def spectrum(size: int):
    """The Fourier basis and the variances of its components."""
    basis = bases.Fourier()
    basis.build((None, size, size, 1))
    variance = 1.0 / (size * np.asarray(basis.labels["frequency"]) + 1.0) ** 2
    variance = np.broadcast_to(variance, (size, size, 1))
    return basis, 0.25 * variance / variance.mean()


def linear_path(size: int, a: float, matching: bool):
    """Denoiser and schedule of eqs. 18-20 in the Fourier basis."""
    basis, variance = spectrum(size)
    schedule = schedules.Linear(a=a)
    whitened = np.ones_like(variance) if matching else variance
    schedule.adapt(whitened, variance, basis.labels)
    return Independent(whitened), schedule


def column_path(size: int, b: float):
    """Denoiser and schedule of eq. 21 on the columns of the images."""
    basis, variance = spectrum(size)
    unit = np.eye(size * size, dtype="float32").reshape(-1, size, size, 1)
    u = np.asarray(basis(unit), "float64").reshape(size * size, -1)
    covariance = u.T @ (variance.ravel()[:, None] * u)
    schedule = schedules.Sequential(over="column", b=b, gamma_min=-7.0, gamma_max=5.0)
    pixel = bases.Pixel()
    pixel.build((None, size, size, 1))
    schedule.adapt(np.full((size, size, 1), np.diag(covariance).mean()), labels=pixel.labels)
    covariance = (covariance + covariance.T) / 2.0
    return oracle.Gaussian(np.zeros((size, size, 1)), covariance), schedule


def divergence(sampler, denoiser, schedule, steps: int) -> float:
    """KL in nats from the sampler's output to the marginal at t = 0, from an exact start."""
    moments = [denoiser.marginal(schedule(t))[1] for t in (1.0, 0.0)]
    independent = moments[0].ndim == 1
    n = 1 if independent else 2 * len(moments[0])
    z, path = sampler(denoiser, schedule, n, steps=steps, states=1, start="prior")
    start, end = (x.reshape(n, -1).astype("float64") for x in (path[0], z))
    if independent:
        ratio = (end[0] / start[0]) ** 2 * moments[0] / moments[1]
        return 0.5 * float(np.sum(ratio - 1.0 - np.log(ratio)))
    linear = np.linalg.lstsq(start, end, rcond=None)[0]
    ratio = np.linalg.solve(moments[1], linear.T @ moments[0] @ linear)
    return 0.5 * float(np.trace(ratio) - len(ratio) - np.linalg.slogdet(ratio)[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--steps", type=int, nargs="+", default=[10, 20, 32, 50])
    parser.add_argument("--sequential-steps", type=int, nargs="+", default=[60, 100, 120, 200])
    arguments = parser.parse_args()
    size = arguments.size
    paths = {
        f"linear a={a}, {'matching' if matching else 'isotropic'}": linear_path(size, a, matching)
        for a, matching in ((0.4, False), (1.0, False), (1.0, True), (1.6, False))
    }
    paths |= {f"columns b={b}": column_path(size, b) for b in (0.3, 0.5, 0.9)}
    print("| path | evaluations |", *(f"{name} |" for name in SAMPLERS))
    print("|---|---|" + "---|" * len(SAMPLERS))
    for path, parts in paths.items():
        counts = arguments.sequential_steps if "0.9" in path else arguments.steps
        for steps in counts:
            figures = [
                divergence(samplers.DPMSolver(**settings), *parts, steps)
                for settings in SAMPLERS.values()
            ]
            print(f"| {path} | {steps} |", *(f"{x:.1e} |" for x in figures), flush=True)


if __name__ == "__main__":
    main()
