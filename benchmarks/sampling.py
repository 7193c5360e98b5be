"""How near few evaluations come to the exact marginal: KL in closed form, no network, no noise.

Run with ``KERAS_BACKEND=torch python benchmarks/sampling.py``. The data are Gaussian images with a
1/(|k| + 1)^2 spectrum and mean variance 0.25, the denoiser is exact, so every step of every sampler
is linear in its state and noise. The shipped samplers' own maps are read off, and the KL divergence
of what they make of an exact start is that of two Gaussians.
"""

import argparse
import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
from keras import ops

from keras_gud import backend, bases, oracle, samplers, schedules
from keras_gud.diffusion.prediction import linear_eps

# One network evaluation a step in all of them.
SAMPLERS = {
    "DDIM": samplers.DPMSolver(order=1),
    "2M": samplers.DPMSolver(order=2),
    "2M+C": samplers.DPMSolver(order=2, corrector=True),
    "3M": samplers.DPMSolver(order=3),
    "3M+C": samplers.DPMSolver(order=3, corrector=True),
    "3M+C, cosine": samplers.DPMSolver(order=3, corrector=True, spacing="cosine"),
    "SDE 2M": samplers.DPMSolver(order=2, stochastic=True),
    "Euler-Maruyama": samplers.EulerMaruyama(),
}
STOCHASTIC = ("SDE 2M", "Euler-Maruyama")


class Independent:
    """The exact denoiser of independent components, in one multiplication."""

    def __init__(self, variance):
        self.variance, self.data_shape = variance.astype("float32"), variance.shape

    def __call__(self, z, state):
        return linear_eps(z, state, self.variance)

    def marginal(self, state):
        """Mean and variances of z at a state, as `oracle.Gaussian` has a covariance."""
        variance = np.asarray(state.marginal_variance(self.variance), "float64")
        return np.zeros(self.data_shape), variance.ravel()


def spectrum(size: int):
    """The Fourier basis and the variances of its components."""
    basis = bases.Fourier()
    basis.build((None, size, size, 1))
    variance = 1.0 / (size * np.asarray(basis.coordinates["frequency"]) + 1.0) ** 2
    variance = np.broadcast_to(variance, (size, size, 1))
    return basis, 0.25 * variance / variance.mean()


def linear_path(size: int, a: float, matching: bool):
    """Denoiser and schedule of eqs. 18-20 in the Fourier basis."""
    basis, variance = spectrum(size)
    schedule = schedules.Linear(a=a)
    whitened = np.ones_like(variance) if matching else variance
    schedule.adapt(whitened, variance, basis.coordinates)
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
    variance = np.full((size, size, 1), np.diag(covariance).mean())
    schedule.adapt(variance, coordinates=pixel.coordinates)
    covariance = (covariance + covariance.T) / 2.0
    return oracle.Gaussian(np.zeros((size, size, 1)), covariance), schedule


def gaussian_divergence(got, exact) -> float:
    """KL in nats of N(0, got) from N(0, exact); variances, or covariances."""
    if got.ndim == 1:
        ratio = got / exact
        return 0.5 * float(np.sum(ratio - 1.0 - np.log(ratio)))
    ratio = np.linalg.solve(exact, got)
    return 0.5 * float(np.trace(ratio) - len(ratio) - np.linalg.slogdet(ratio)[1])


def divergence(sampler, denoiser, schedule, steps: int) -> float:
    """KL from a deterministic sampler's output to the marginal at t = 0, from an exact start."""
    first, last = (denoiser.marginal(schedule(t))[1] for t in (1.0, 0.0))
    independent = first.ndim == 1
    n = 1 if independent else 2 * len(first)
    z, path = sampler(denoiser, schedule, n, steps=steps, states=1, start="prior")
    start, end = (x.reshape(n, -1).astype("float64") for x in (path[0], z))
    if independent:
        return gaussian_divergence((end[0] / start[0]) ** 2 * first, last)
    linear = np.linalg.lstsq(start, end, rcond=None)[0]
    return gaussian_divergence(linear.T @ first @ linear, last)


def stochastic_divergence(sampler, denoiser, schedule, steps: int) -> float:
    """The same for samplers with noise: their covariance is carried through the shipped step.

    A step is linear in z, in its memory and in the noise; the rows of one batch are the images of
    unit vectors of all three.
    """
    first, last = (denoiser.marginal(schedule(t))[1] for t in (1.0, 0.0))
    shape, d = denoiser.data_shape, int(np.prod(denoiser.data_shape))
    parts = 1 + len(sampler.initial_memory(ops.zeros((1, *shape))))
    independent = first.ndim == 1
    # For independent components, unit vectors of all components at once, and covariances of the
    # parts of each component.
    unit = np.ones((1, d)) if independent else np.eye(d)
    rows = len(unit)
    units = np.zeros((parts + 1, (parts + 1) * rows, d), "float32")
    for i in range(parts + 1):
        units[i, i * rows : (i + 1) * rows] = unit
    z, *memory, draw = (ops.reshape(ops.convert_to_tensor(u), (-1, *shape)) for u in units)
    covariance = np.zeros((parts, parts, *first.shape))
    covariance[0, 0] = first
    step = backend.compile(lambda i, n: _step(sampler, denoiser, schedule, z, memory, draw, i, n))
    for i in range(steps):
        images = [
            ops.convert_to_numpy(image).reshape(parts + 1, rows, d).astype("float64")
            for image in step(np.int32(i), np.int32(steps))
        ]
        covariance = _carry(covariance, images, independent)
    return gaussian_divergence(covariance[0, 0], last)


def _step(sampler, denoiser, schedule, z, memory, draw, i, n):
    def clock(k):
        left = ops.clip(n - i - k, 0, n)
        return ops.cast(left, "float32") / ops.cast(n, "float32")

    z, memory = sampler.step(denoiser, schedule, z, tuple(memory), clock, lambda: draw)
    return (z, *memory)


def _carry(covariance, images, independent):
    """Covariance of the parts after a step; images[j][k]: of part j, from part k or the noise."""
    parts = len(images)
    after = np.zeros_like(covariance)
    for a in range(parts):
        for b in range(parts):
            left, right = images[a], images[b]
            if independent:
                total = left[-1, 0] * right[-1, 0]
                pairs = ((j, k) for j in range(parts) for k in range(parts))
                total += sum(left[j, 0] * covariance[j, k] * right[k, 0] for j, k in pairs)
            else:
                total = left[-1].T @ right[-1]
                for j in range(parts):
                    carried = sum(covariance[j, k] @ right[k] for k in range(parts))
                    total += left[j].T @ carried
            after[a, b] = total
    return after


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--steps", type=int, nargs="+", default=[20, 32, 50, 1000])
    parser.add_argument("--sequential-steps", type=int, nargs="+", default=[100, 120, 200, 1000])
    parser.add_argument("--longest", type=int, default=200, help="of all but Euler-Maruyama")
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
            cells = []
            for name, sampler in SAMPLERS.items():
                measure = stochastic_divergence if name in STOCHASTIC else divergence
                long = steps > arguments.longest and name != "Euler-Maruyama"
                cells.append("|" if long else f"{measure(sampler, *parts, steps):.1e} |")
            print(f"| {path} | {steps} |", *cells, flush=True)


if __name__ == "__main__":
    main()
