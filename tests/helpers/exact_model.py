"""A model of Gaussian images with an exact denoiser, and posteriors by linear algebra in NumPy."""

import functools
from types import SimpleNamespace

import keras
import numpy as np

from keras_gud import bases, oracle, priors, samplers, schedules
from keras_gud.conditioning import Conditions
from keras_gud.diffusion.data_scaling import DataScaling
from keras_gud.models.session import Session

SHAPE = (4, 4, 1)
COLOURED = (4, 4, 3)
DRAWS = 2500
FLOW = samplers.DPMSolver(steps=30, order=3)
SDE = samplers.DPMSolver(steps=70, stochastic=True)


def how(noisy) -> dict:
    """Keywords for many draws; the flow, which needs fewer steps, where nothing is noisy."""
    return {"sampler": SDE if noisy else FLOW, "draws": DRAWS, "batch_size": DRAWS, "seed": 1}


def gaussian_images(shape, seed=1):
    """Mean ``shape`` and covariance ``(d, d)`` of smooth, inhomogeneous random images."""
    rng = np.random.default_rng(seed)
    d = int(np.prod(shape))
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), -1).reshape(d, -1)
    distance = np.abs(grid[:, None] - grid[None]) @ np.array([0.4, 0.3, 0.5])[: len(shape)]
    scale = 0.7 + 0.4 * rng.random(d)
    covariance = np.exp(-distance) * scale[:, None] * scale + 0.05 * np.eye(d)
    return rng.normal(size=shape), covariance


class StandIn:
    """What tasks need of any model, whatever its views: `data_shape` is given by a subclass."""

    built = True

    def __init__(self, kind="float"):
        self.checked, self.session = [], Session()
        self.data_space = SimpleNamespace(kind=kind, scaling=DataScaling(kind))

    def view_along(self, schedule, basis=None, params=None):
        assert schedule is None
        return self.views[0]

    def check_region(self, view, gamma):
        assert gamma.shape[1:] == self.data_shape
        self.checked.append((view, gamma))

    @property
    def denoiser(self):
        return SimpleNamespace(in_view=self.denoiser_of)


class ExactModel(StandIn):
    """What tasks need of a model, with the exact denoiser of Gaussian data in each of its bases.

    Mean and covariance are in raw units, those of `kind`.
    """

    def __init__(
        self, names, shape=SHAPE, prior="isotropic", kind="float", gamma_max=6.0, observed=("cap",)
    ):
        super().__init__(kind)
        self.data_shape, self.kind, self.conditions = shape, kind, Conditions({})
        self.factor, self.offset = (128.0, 127.5) if kind == "uint8" else (1.0, 0.0)
        self.mean, self.covariance = gaussian_images(shape)
        self.views = tuple(self._view(name, prior, gamma_max, observed) for name in names)
        self._denoisers = {}
        if kind == "uint8":  # raw units
            self.mean = 30.0 * self.mean + 120.0
            self.covariance = 900.0 * self.covariance

    def _view(self, name, prior, gamma_max, observed):
        mean, covariance = self.mean, self.covariance
        if self.kind == "uint8":
            mean = (30.0 * mean + 120.0 - 127.5) / 128.0
            covariance = covariance * (30.0 / 128.0) ** 2
        basis = bases.get(name) if isinstance(name, str) else name
        if not basis.built:
            basis.build((None, *self.data_shape))
        components = oracle.Gaussian.from_data_space(mean, covariance, basis)
        prior = priors.get(prior)
        variance = np.diag(components.covariance).reshape(self.data_shape)
        prior.adapt(components.mean, basis.symmetrize(variance))
        schedule = schedules.Sequential(b=(0.0, 0.5), over=0, gamma_min=-9.0, gamma_max=gamma_max)
        schedule.adapt(keras.ops.convert_to_numpy(prior.variance))
        truth = oracle.Gaussian.from_data_space(mean, covariance, basis, prior)
        return SimpleNamespace(
            basis=basis, prior=prior, schedule=schedule, tokens=None, observed=observed, truth=truth
        )

    def denoiser_of(self, view):
        return self._denoisers.setdefault(id(view), view.truth)

    def image(self, seed=3):
        """A sample of the model's images, in raw units, float64."""
        rng = np.random.default_rng(seed)
        flat = rng.multivariate_normal(self.mean.ravel(), self.covariance)
        return flat.reshape(self.data_shape)


@functools.cache
def exact_model(names, shape=SHAPE, prior="isotropic") -> ExactModel:
    """The model with these bases, ``"a+b"`` for products; made once, for its compiled loops."""
    made = [bases.Compose(name.split("+")) if "+" in name else name for name in names]
    return ExactModel(made, shape, prior)


def matrix_of(function, shape) -> np.ndarray:
    """The matrix of a linear function of images, by what it makes of unit images."""
    d = int(np.prod(shape))
    return np.stack([np.ravel(function(unit.reshape(shape))) for unit in np.eye(d)], axis=1)


def posterior(mean, covariance, matrix, variance, y):
    """Mean and covariance of x ~ N(mean, covariance) given ``y = matrix x + N(0, variance)``."""
    spread = matrix @ covariance @ matrix.T + np.diag(np.broadcast_to(variance, len(matrix)))
    gain = covariance @ matrix.T @ np.linalg.pinv(spread, rcond=1e-12)
    updated = mean.ravel() + gain @ (np.ravel(y) - matrix @ mean.ravel())
    return updated, covariance - gain @ matrix @ covariance


def assert_distributed(draws, mean, covariance, rounding=2e-3, sigmas=4.5):
    """Draws ``(n, ...)`` have this mean and covariance within sampling error.

    `rounding`: what the noise of gamma(0) and the solver may add, in prior standard deviations.
    """
    flat = draws.reshape(len(draws), -1).astype("float64")
    n, variance = len(flat), np.maximum(np.diag(covariance), 0.0)
    error = np.abs(flat.mean(axis=0) - mean)
    assert (error <= sigmas * np.sqrt(variance / n) + rounding).all(), error.max()
    error = np.abs(np.cov(flat.T) - covariance)
    sampling = np.sqrt((np.outer(variance, variance) + covariance**2) / n)
    assert (error <= sigmas * sampling + rounding).all(), (error - sigmas * sampling).max()
