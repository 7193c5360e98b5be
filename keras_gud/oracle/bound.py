"""The variational bound of an exact model, by mutual information.

The diffusion term of the bound is ``1/2 int sum_i dgamma_i/dt E(eps_i - eps_hat_i)^2 dt``. For an
exact denoiser it is I(z0; z(0)) - I(z0; z(1)), the same for all paths between equal ends (I-MMSE;
Guo, Shamai and Verdu, 2005, component by component). With k the index of the Gaussian that a
sample of a mixture comes from, ``I(z0; z) = I(z0; z | k) + I(k; z)``, since z depends on k through
z0 alone; the first part has a closed form.
"""

import math

import numpy as np
from keras import ops

from keras_gud.core.arguments import check_integer
from keras_gud.core.types import Shape
from keras_gud.diffusion import noised_gaussian
from keras_gud.diffusion.noising_state import NoisingState
from keras_gud.oracle import algebra
from keras_gud.oracle.distribution import Distribution


def negative_elbo(
    model: Distribution, first: NoisingState, last: NoisingState, n: int, seed: int
) -> dict[str, float]:
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
        "diffusion": _information_given_index(model, first) - _information_given_index(model, last),
        "reconstruction": 0.5 * float((math.log(2.0 * math.pi * math.e) + gamma).sum()),
    }
    if len(model.weights) > 1:
        information = _index_information(model, first, last, n, seed)
        terms["diffusion"] += float(information.mean())
        terms["standard_error"] = float(information.std(ddof=1) / math.sqrt(n))
    return terms


def _information_given_index(model: Distribution, state: NoisingState) -> float:
    """I(z0; z | k): ``1/2 sum_k w_k log det(1 + v C_k)`` with ``v = exp(-gamma)``."""
    root = np.exp(-0.5 * _gamma(state, model.data_shape))
    signal = root[:, None] * model.covariances * root
    return 0.5 * float(model.weights @ np.linalg.slogdet(np.eye(len(root)) + signal)[1])


def _index_information(
    model: Distribution, first: NoisingState, last: NoisingState, n: int, seed: int
) -> np.ndarray:
    """Monte Carlo estimates of I(k; z(0)) - I(k; z(1)), ``(n,)``.

    ``I(k; z) = E log p(z | k)/p(z)`` is small and varies little; both states get the same samples
    and noise.
    """
    rng = np.random.default_rng(seed)
    index, z0 = model._draw(n, rng)
    eps = rng.normal(size=z0.shape)

    def at(state):
        alpha, sigma = model._amplitudes(state)
        joint = model._joint(alpha * z0 + sigma * eps, state)
        log_likelihood = joint[index, np.arange(n)] - np.log(model.weights)[index]
        return log_likelihood - algebra.log_sum_exp(joint)

    return at(first) - at(last)


def _gamma(state: NoisingState, data_shape: Shape) -> np.ndarray:
    """Gamma of every component, float64 ``(d,)``."""
    return ops.convert_to_numpy(noised_gaussian.flatten(state.gamma, data_shape))[0].astype(
        "float64"
    )
