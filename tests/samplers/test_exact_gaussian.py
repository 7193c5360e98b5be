"""Samplers with the exact denoiser of a correlated Gaussian: mean and covariance must be right.

Every basis, prior and schedule is met at least once; the data live in data space, and the samples
are brought back there before they are judged.
"""

import keras
import numpy as np
import pytest

from keras_gud import bases, oracle, priors, samplers, schedules

SHAPE = (4, 4, 2)
N = 2000

SCHEDULES = {
    "linear a=1": lambda: schedules.Linear(a=1.0),
    "linear a=0": lambda: schedules.Linear(a=0.0),
    "linear a=1.6": lambda: schedules.Linear(a=1.6),
    "columns": lambda: schedules.Sequential(b=0.5, over=1),
    "cosine": lambda: schedules.Cosine(),
    "vp": lambda: schedules.VP(),
    "warped": lambda: schedules.TimeWarp(schedules.Linear(a=0.4), power=0.5),
    "function": lambda: schedules.Function(lambda t: -8.0 + 13.0 * t),
    "frequency": lambda: schedules.Linear(ordering="frequency"),
    "mixed": lambda: schedules.Linear(ordering="mixed", r=0.5, a=0.7),
    "hierarchical": lambda: schedules.Hierarchical(a=0.4, b=0.3),
    "bands": lambda: schedules.Sequential(b=0.6, over="band"),
    "rank": lambda: schedules.Linear(ordering="variance", a=0.7, gamma_noise="paper"),
}

CASES = [
    *(("pixel", "isotropic", s) for s in ("linear a=1", "columns", "cosine", "vp", "function")),
    *(("pixel", "matching", s) for s in ("linear a=0", "columns", "warped")),
    *(("haar", p, "hierarchical") for p in ("isotropic", "matching")),
    ("haar", "matching", "bands"),
    *(("fourier", p, "frequency") for p in ("isotropic", "matching")),
    ("dct", "isotropic", "mixed"),
    ("dct", "matching", "linear a=1.6"),
    *(("pca", p, "rank") for p in ("isotropic", "matching")),
    ("channel_pca", "isotropic", "linear a=1"),
    ("colour", "matching", "frequency"),
    ("fourier", "spectrum", "frequency"),
    ("fourier", "power_law", "cosine"),
    ("dct", "offset", "vp"),
]
# Every other registered basis and prior once, so that new ones are met too.
MET = {name for case in CASES for name in case[:2]} | {"channel"}
CASES += [(n, "isotropic", "linear a=1") for n in sorted(set(bases.registry.factories) - MET)]
CASES += [("fourier", n, "cosine") for n in sorted(set(priors.registry.factories) - MET)]


@pytest.fixture(scope="module")
def data():
    """A smooth, coloured random field: its mean, covariance and enough examples to fit on."""
    rng = np.random.default_rng(1)
    d = int(np.prod(SHAPE))
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"), -1).reshape(d, 3)
    distance = np.abs(grid[:, None] - grid[None]) @ np.array([0.5, 0.6, 1.0])
    scale = 0.5 + 0.5 * rng.random(d)
    covariance = np.exp(-distance) * scale[:, None] * scale + 0.02 * np.eye(d)
    mean = rng.normal(size=d)
    x = rng.multivariate_normal(mean, covariance, size=4000).reshape(-1, *SHAPE)
    return mean, covariance, x.astype("float32")


def make_basis(name):
    if name == "colour":
        return bases.Compose([bases.get("channel_pca"), bases.get("fourier")])
    return bases.get(name, **({"levels": 2} if name == "haar" else {}))


# One case on every backend: what the others add are parts that have contracts of their own.
EVERYWHERE = ("haar", "matching", "hierarchical")
PARAMS = [pytest.param(*case, marks=[pytest.mark.once] * (case != EVERYWHERE)) for case in CASES]


@pytest.mark.parametrize(("basis", "prior", "schedule"), PARAMS)
def test_mean_and_covariance_in_data_space(data, basis, prior, schedule):
    mean, covariance, x = data
    d = mean.size
    basis, prior, schedule = make_basis(basis), priors.get(prior), SCHEDULES[schedule]()
    basis.adapt(x)
    components = oracle.Gaussian.from_data_space(mean.reshape(SHAPE), covariance, basis)
    variance = np.diag(components.covariance).reshape(SHAPE)
    prior.adapt(components.mean, basis.symmetrize(variance), basis.coordinates)
    schedule.adapt(
        keras.ops.convert_to_numpy(prior.variance),
        keras.ops.convert_to_numpy(prior.data_variance),
        basis.coordinates,
    )
    truth = oracle.Gaussian.from_data_space(mean.reshape(SHAPE), covariance, basis, prior)

    z = samplers.DPMSolver(stochastic=True)(truth, schedule, n=N, steps=100, seed=3)
    phi = keras.ops.convert_to_numpy(basis.inverse(prior.inverse(z))).reshape(N, d)

    # U as a matrix, and back to data space by hand.
    u = keras.ops.convert_to_numpy(basis(np.eye(d, dtype="float32").reshape(-1, *SHAPE)))
    u = u.reshape(d, d).T.astype("float64")
    s = keras.ops.convert_to_numpy(prior.scale).astype("float64").ravel()
    expected = u.T @ (truth.marginal(schedule(0.0))[1] * np.outer(s, s)) @ u
    spread = np.sqrt(np.diag(expected) / N)
    assert np.abs(phi.mean(0) - mean).max() < 5 * np.max(spread)
    # Standard error of a covariance of Gaussians: sqrt((K_ii K_jj + K_ij^2)/n).
    variance = np.diag(expected)
    error = np.sqrt((np.outer(variance, variance) + expected**2) / N)
    deviation = (np.cov(phi.T) - expected) / error
    assert np.abs(deviation).max() < 5.5
    assert np.sqrt(np.mean(deviation**2)) < 1.5


@pytest.mark.once
def test_the_mean_is_found_too():
    schedule = schedules.VP()
    schedule.adapt(variance=np.ones(2))
    truth = oracle.Gaussian([3.0, -1.0], [[0.5, 0.3], [0.3, 0.4]])
    sampler = samplers.EulerMaruyama(steps=400)
    z0, path = sampler(truth, schedule, n=N, seed=0, denoise=True, states=1)
    z = path[-1]
    mean, covariance = truth.marginal(schedule(0.0))
    assert np.abs(z.mean(0) - mean).max() < 5 * np.sqrt(covariance.max() / N)
    # The denoised samples are the posterior means of these very states.
    residual = z - z0
    assert 0 < residual.std() < 3 * float(schedule(0.0).sigma[0, 0])
