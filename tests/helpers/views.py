"""Views of Gaussian images, without a model."""

import numpy as np
from keras import ops

from keras_gud import bases, priors, regions, schedules
from keras_gud.conditioning.gamma_tokens import GammaTokens
from keras_gud.diffusion.terminal import NoisedMoments


def make_view(basis="pixel", schedule=None, observed=(), data_shape=(8, 12, 3), max_tokens=16):
    """An adapted `View` of data with mean 0 and variances from 0.5 to 1.5."""
    basis = bases.get(basis)
    basis.build((None, *data_shape))
    variance = np.linspace(0.5, 1.5, int(np.prod(data_shape))).reshape(data_shape)
    prior = priors.Isotropic()
    prior.adapt(np.zeros(data_shape), variance)
    schedule = schedule or schedules.Function(lambda t: -7.0 + 12.0 * t)
    schedule.adapt(variance, coordinates=basis.coordinates)
    view = regions.View(
        basis, prior, schedule, GammaTokens(max_tokens), NoisedMoments(), tuple(observed)
    )
    regions.adapt_tokens([view])
    return view


def uniforms(batch, seed=0):
    """A callable from a shape to new uniforms ``(batch, *shape)``."""
    rng = np.random.default_rng(seed)
    return lambda shape: ops.convert_to_tensor(rng.uniform(size=(batch, *shape)), "float32")


def to_numpy(values):
    return np.array(ops.convert_to_numpy(values))
