"""The variational bound of an exact model, by mutual information (I-MMSE)."""

import math

import numpy as np
from keras import ops

from keras_gud.core.arguments import check_integer
from keras_gud.diffusion import noised_gaussian
from keras_gud.diffusion.noising_state import NoisingState
from keras_gud.oracle import algebra


def negative_elbo(model, first: NoisingState, last: NoisingState, n: int, seed: int) -> dict:
    """The expected terms in nats, see `Mixture.negative_elbo`.

    Args:
        model: A `Distribution`.
        first: The state at t = 0.
        last: The state at t = 1.
        n: Number of samples.
        seed: Their seed.
    """
    n = check_integer("n", n, 2)
    alpha, sigma = model._amplitudes(last)
    second_moment = model.mean.ravel() ** 2 + np.diag(model.covariance)
    prior = alpha**2 * second_moment + sigma**2 - 1.0 - 2.0 * np.log(sigma)
    gamma = _gamma(first, model.data_shape)
    terms = {
        "prior": 0.5 * float(prior.sum()),
        "diffusion": _given_label(model, first) - _given_label(model, last),
        "reconstruction": 0.5 * float((math.log(2.0 * math.pi * math.e) + gamma).sum()),
    }
    if len(model.weights) > 1:
        of_label = _of_label(model, first, last, n, seed)
        terms["diffusion"] += float(of_label.mean())
        terms["standard_error"] = float(of_label.std(ddof=1) / math.sqrt(n))
    return terms


def _given_label(model, state) -> float:
    """I(z0; z | k): ``1/2 sum_k w_k log det(1 + v C_k)`` with ``v = exp(-gamma)``."""
    root = np.exp(-0.5 * _gamma(state, model.data_shape))
    signal = root[:, None] * model.covariances * root
    return 0.5 * float(model.weights @ np.linalg.slogdet(np.eye(len(root)) + signal)[1])


def _of_label(model, first, last, n, seed) -> np.ndarray:
    """Estimates of I(k; z(0)) - I(k; z(1)), ``(n,)``.

    ``I(z0; z) = I(z0; z | k) + I(k; z)``, as z depends on the label k of the Gaussian through
    z0 alone. The second part, ``E log p(z | k)/p(z)``, is small and varies little; both states
    get the same samples and noise.
    """
    rng = np.random.default_rng(seed)
    labels, z0 = model._draw(n, rng)
    eps = rng.normal(size=z0.shape)

    def at(state):
        alpha, sigma = model._amplitudes(state)
        joint = model._joint(alpha * z0 + sigma * eps, state)
        log_likelihood = joint[labels, np.arange(n)] - np.log(model.weights)[labels]
        return log_likelihood - algebra.log_sum_exp(joint)

    return at(first) - at(last)


def _gamma(state, data_shape) -> np.ndarray:
    """Gamma of every component, float64 ``(d,)``."""
    return ops.convert_to_numpy(noised_gaussian.flatten(state.gamma, data_shape))[0].astype(
        "float64"
    )
