"""Closed-form models: exact denoisers on which samplers, likelihoods and schedules can be tested.

An oracle is a denoiser, a callable ``(z, state) -> eps`` in component space, so whatever takes a
model's denoiser takes an oracle. What it knows of its own distribution (densities, samples,
posteriors, the variational bound) it gives in float64 NumPy arrays.
"""

from keras_gud.oracle.gaussian import Gaussian
from keras_gud.oracle.mixture import Mixture

__all__ = ["Gaussian", "Mixture"]
