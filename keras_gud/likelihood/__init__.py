"""Likelihoods of the components under a denoiser, every term by name (DESIGN sec. 3.8)."""

from keras_gud.likelihood.elbo import negative_elbo, prior_kl, reconstruction
from keras_gud.likelihood.ode import FlowLikelihood, check_given, log_prob

__all__ = [
    "FlowLikelihood",
    "check_given",
    "log_prob",
    "negative_elbo",
    "prior_kl",
    "reconstruction",
]
