"""The noising process against float64 formulas written from DESIGN 3.1 and 3.2."""

import numpy as np
import pytest
from keras import ops
from scipy.special import expit

from keras_gud.diffusion.noising_state import (
    NoisingState,
    probability_flow,
    score_from_eps,
    v_from_eps,
    z0_from_eps,
)

GAMMA = np.concatenate([np.linspace(-20.0, 20.0, 401), [-1e-3, 0.0, 1e-3]])
GAMMA = GAMMA.astype("float32").astype("float64")


def state(gamma, dgamma_dt=None):
    def tensor(values):
        return ops.convert_to_tensor(np.asarray(values, "float32"))

    return NoisingState(tensor(gamma), None if dgamma_dt is None else tensor(dgamma_dt))


def numpy(tensor):
    return ops.convert_to_numpy(tensor).astype("float64")


def test_amplitudes_over_the_whole_range_of_gamma():
    s = state(GAMMA, np.full_like(GAMMA, 3.0))
    np.testing.assert_allclose(numpy(s.alpha), np.sqrt(expit(-GAMMA)), rtol=1e-5)
    np.testing.assert_allclose(numpy(s.sigma), np.sqrt(expit(GAMMA)), rtol=1e-5)
    np.testing.assert_allclose(numpy(s.beta), 3.0 * expit(GAMMA), rtol=1e-5)
    np.testing.assert_allclose(numpy(s.alpha) ** 2 + numpy(s.sigma) ** 2, 1.0, rtol=1e-6)


@pytest.mark.parametrize("gamma", [-60.0, 60.0])
def test_amplitudes_stay_finite_and_positive_far_out(gamma):
    s = state([gamma], [1.0])
    for values in (s.alpha, s.sigma, s.beta):
        assert np.isfinite(numpy(values)).all()
        assert (numpy(values) > 0).all()


@pytest.mark.once
def test_gamma_is_recovered_from_the_amplitudes():
    s = state(GAMMA)
    np.testing.assert_allclose(2 * np.log(numpy(s.sigma) / numpy(s.alpha)), GAMMA, atol=2e-5)


@pytest.mark.once
def test_snr_and_marginal_variance_over_the_whole_range_of_gamma():
    s = state(GAMMA)
    for variance in (1e-4, 0.3, 1.0, 1e3):
        np.testing.assert_allclose(numpy(s.snr(variance)), variance * np.exp(-GAMMA), rtol=1e-5)
        expected = variance * expit(-GAMMA) + expit(GAMMA)
        np.testing.assert_allclose(numpy(s.marginal_variance(variance)), expected, rtol=1e-5)


@pytest.mark.once
def test_marginal_variance_is_the_variance_of_noised_data(rng):
    """Exactly that of z over a sample whose covariance with the noise is taken into account."""
    gamma = np.array([-4.0, -1.0, 0.0, 2.0])
    z0 = rng.normal(size=(500, 4)) * [0.2, 1.0, 2.0, 5.0]
    eps = rng.normal(size=(500, 4))
    # Made uncorrelated and of unit variance, so that the identity holds for this very sample.
    z0 -= z0.mean(axis=0)
    eps -= eps.mean(axis=0)
    eps -= z0 * (z0 * eps).mean(axis=0) / (z0**2).mean(axis=0)
    eps /= eps.std(axis=0)
    s = state(gamma[None])
    z = numpy(s.add_noise(*(ops.convert_to_tensor(v.astype("float32")) for v in (z0, eps))))
    variance = z0.var(axis=0)
    expected = numpy(s.marginal_variance(ops.convert_to_tensor(variance.astype("float32"))))[0]
    np.testing.assert_allclose(z.var(axis=0), expected, rtol=1e-4)
    np.testing.assert_allclose(expected, expit(-gamma) * variance + expit(gamma), rtol=1e-5)


@pytest.mark.once
def test_add_noise_broadcasts_one_state_over_a_batch(rng):
    z0, eps = rng.normal(size=(2, 5, 3, 4, 2)).astype("float32")
    gamma = rng.uniform(-7, 5, size=(5, 1, 4, 1))
    z = numpy(state(gamma).add_noise(ops.convert_to_tensor(z0), ops.convert_to_tensor(eps)))
    expected = np.sqrt(expit(-gamma)) * z0 + np.sqrt(expit(gamma)) * eps
    np.testing.assert_allclose(z, expected, rtol=1e-5, atol=1e-6)


# -- conversions ------------------------------------------------------------------------------


@pytest.fixture
def sample(rng):
    gamma = np.linspace(-8.0, 8.0, 33)
    z0, eps = rng.normal(size=(2, 6, 33))
    s = state(gamma[None])
    z0, eps = (ops.convert_to_tensor(v.astype("float32")) for v in (z0, eps))
    return gamma, s, z0, eps, s.add_noise(z0, eps)


@pytest.mark.once
def test_z0_from_the_true_noise_is_the_data(sample):
    gamma, s, z0, eps, z = sample
    # Rounding of z is magnified by 1/alpha.
    error = np.abs(numpy(z0_from_eps(z, eps, s)) - numpy(z0))
    assert (error <= 2e-6 / np.sqrt(expit(-gamma)) * (1 + np.abs(numpy(z)))).all()


@pytest.mark.once
def test_conversions_follow_their_definitions(sample):
    gamma, s, z0, eps, z = sample
    alpha, sigma = np.sqrt(expit(-gamma)), np.sqrt(expit(gamma))
    score = numpy(score_from_eps(eps, s))
    np.testing.assert_allclose(score, -numpy(eps) / sigma, rtol=1e-5)
    v = numpy(v_from_eps(z, eps, s))
    np.testing.assert_allclose(v, alpha * numpy(eps) - sigma * numpy(z0), atol=3e-4)


@pytest.mark.once
def test_conversions_agree_with_each_other(sample):
    """Tweedie: z0 = (z + sigma^2 score)/alpha; and from v, z0 = alpha z - sigma v."""
    gamma, s, _, eps, z = sample
    inner = np.abs(gamma) <= 4.0
    alpha, sigma = np.sqrt(expit(-gamma)), np.sqrt(expit(gamma))
    z0 = numpy(z0_from_eps(z, eps, s))
    tweedie = (numpy(z) + sigma**2 * numpy(score_from_eps(eps, s))) / alpha
    np.testing.assert_allclose(tweedie[:, inner], z0[:, inner], atol=3e-5)
    v = numpy(v_from_eps(z, eps, s))
    np.testing.assert_allclose((alpha * numpy(z) - sigma * v)[:, inner], z0[:, inner], atol=3e-5)
    np.testing.assert_allclose(
        (sigma * numpy(z) + alpha * v)[:, inner], numpy(eps)[:, inner], atol=3e-5
    )


@pytest.mark.once
def test_score_is_the_gradient_of_the_gaussian_marginal():
    """Of one Gaussian component the score is -z/Var(z), and eps = sigma z/Var(z) gives that."""
    variance, z = 0.7, np.float32(1.3)
    s = state(GAMMA)
    marginal = variance * expit(-GAMMA) + expit(GAMMA)
    eps = ops.convert_to_tensor((np.sqrt(expit(GAMMA)) * z / marginal).astype("float32"))
    np.testing.assert_allclose(numpy(score_from_eps(eps, s)), -z / marginal, rtol=1e-5)


@pytest.mark.once
def test_the_probability_flow_scales_a_gaussian_with_its_standard_deviation():
    """The exact one of data N(0, v) moves z as the marginal's standard deviation s: dz/dt = z s'/s.

    By finite differences in float64; gamma rises at another rate in each component.
    """
    gamma, slope, v, z = (
        np.array([-3.0, 0.5, 4.0]),
        np.array([0.5, 2.0, 7.0]),
        np.array([0.3, 1.0, 5.0]),
        np.array([1.5, -0.7, 2.0]),
    )

    def std(t):
        sigma_squared = expit(gamma + slope * t)
        return np.sqrt((1.0 - sigma_squared) * v + sigma_squared)

    eps = z * np.sqrt(expit(gamma)) / std(0.0) ** 2  # E[eps | z]
    expected = z * (std(1e-5) - std(-1e-5)) / 2e-5 / std(0.0)
    z, eps = (ops.convert_to_tensor(x.astype("float32")) for x in (z, eps))
    found = probability_flow(z, eps, state(gamma, slope))
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, rtol=1e-4, atol=1e-6)


def test_capped_components_are_frozen_at_their_cap_and_others_untouched():
    state = NoisingState(ops.convert_to_tensor([[-3.0, 1.0, 4.0]]), ops.ones((1, 3)))
    held = state.capped(ops.convert_to_tensor([[-1.0, 1.0, -7.0], [np.inf, 0.5, np.inf]]))
    np.testing.assert_array_equal(held.gamma, [[-3.0, 1.0, -7.0], [-3.0, 0.5, 4.0]])
    np.testing.assert_array_equal(held.dgamma_dt, [[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
