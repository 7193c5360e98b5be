"""A model of stationary Gaussian strips with an exact denoiser: columns are a Markov chain."""

import functools
from types import SimpleNamespace

import keras
import numpy as np

from helpers.exact_model import StandIn
from keras_gud import bases, oracle, priors, schedules
from keras_gud.conditioning import Conditions

HEIGHT, LENGTH, MEMORY = 2, 8, 0.8
ROWS = np.array([[1.0, 0.5], [0.5, 0.8]])
MEAN = 0.3


def covariance_of(columns: int) -> np.ndarray:
    """Covariance of a strip in the order of its array ``(HEIGHT, columns, 1)``."""
    index = np.arange(columns)
    return np.kron(ROWS, MEMORY ** np.abs(index[:, None] - index))


class StripModel(StandIn):
    """What `tasks.extend` needs of a model; images lie on their side where `over` is "row"."""

    kind, conditions = "float", Conditions({})

    def __init__(self, b=0.7, over="column", reverse=False, basis="pixel", gamma_max=9.0):
        super().__init__()
        self.data_shape = (HEIGHT, LENGTH, 1)
        covariance = covariance_of(LENGTH)
        if over == "row":
            self.data_shape = (LENGTH, HEIGHT, 1)
            grid = covariance.reshape(HEIGHT, LENGTH, HEIGHT, LENGTH)
            covariance = grid.transpose(1, 0, 3, 2).reshape(covariance.shape)
        basis = bases.get(basis)
        basis.build((None, *self.data_shape))
        mean = np.full(self.data_shape, MEAN)
        components = oracle.Gaussian.from_data_space(mean, covariance, basis)
        prior = priors.get("isotropic", scale=1.5)
        prior.adapt(components.mean, np.diag(components.covariance).reshape(self.data_shape))
        schedule = schedules.Sequential(b, over, reverse, gamma_min=-11.0, gamma_max=gamma_max)
        variance = keras.ops.convert_to_numpy(prior.variance)
        schedule.adapt(variance, coordinates=basis.coordinates)
        self.truth = oracle.Gaussian.from_data_space(mean, covariance, basis, prior)
        self.views = (
            SimpleNamespace(basis=basis, prior=prior, schedule=schedule, tokens=None, observed=()),
        )

    def denoiser_of(self, view):
        return self.truth


@functools.cache
def strip_model(**arguments) -> StripModel:
    """Made once, for its compiled loops."""
    return StripModel(**arguments)
