"""Costs and best paths against closed forms of Gaussians."""

import numpy as np
import pytest
from helpers.marks import once
from keras import ops

from keras_gud import bases, oracle, paths, schedules

D = 6
K = np.arange(1, D + 1.0)


def gaussian(power, gamma_max=5.0):
    """Independent components of a power-law spectrum, a scalar path, and some examples."""
    variance = K**-power
    variance /= variance.mean()
    schedule = schedules.Sequential(b=0.0, over=0, gamma_max=gamma_max)
    schedule.adapt(variance)
    z0 = np.random.default_rng(0).normal(size=(4, D)) * np.sqrt(variance)
    return variance, schedule, oracle.Gaussian(np.zeros(D), np.diag(variance)), z0


def energy(variance, gamma, slope):
    """int sum_i (gamma_i' SNR_i/(1 + SNR_i))^2 dt, by the midpoint rule over the first axis."""
    snr = variance * np.exp(-gamma)
    return ((slope * snr / (1 + snr)) ** 2).sum(axis=1).mean()


def exact_energy(variance, schedule, n=4000):
    state = schedule(((np.arange(n) + 0.5) / n).astype("float32"))
    gamma, slope = (
        ops.convert_to_numpy(v).astype("float64").reshape(n, -1)
        for v in (state.gamma, state.dgamma_dt)
    )
    return energy(variance, gamma, slope)


def shortest(variance):
    """The energy of the geodesic: log(1 + SNR_i) linear in t."""
    ends = (np.log1p(variance * np.exp(-gamma)) for gamma in (-7.0, 5.0))
    return ((next(ends) - next(ends)) ** 2).sum()


@pytest.mark.parametrize("power", once([0, 2, 4], but=[2]))
def test_the_cost_of_a_path_is_that_of_the_closed_form(power):
    variance, schedule, truth, z0 = gaussian(power)
    found = paths.cost(truth, schedule, z0, np.arange(D), times=48)
    assert found.energy == pytest.approx(exact_energy(variance, schedule), rel=0.01)
    share = [energy(v, -7 + 12 * found.times[:, None], 12.0) for v in variance]
    np.testing.assert_allclose(found.share, share / np.sum(share), rtol=0.02)
    assert found.standard_error < 1e-3 * found.energy  # of Gaussians it is the same everywhere
    assert found.gap(steps=8) == pytest.approx(found.energy / 32)


@pytest.mark.once
def test_the_gap_is_that_of_the_discrete_bound():
    """The bound of T ancestral steps, by the information that each of them loses."""
    variance, schedule, truth, z0 = gaussian(2)
    steps = 200
    gamma = -7 + 12 * np.linspace(0, 1, steps + 1)
    v = np.exp(-gamma)
    # A step from t to s costs 1/2 (v_s - v_t) mmse(t), which is more than the integral of mmse/2.
    mmse = variance / (1 + variance * v[:, None])
    discrete = 0.5 * ((v[:-1] - v[1:])[:, None] * mmse[1:]).sum()
    continuous = 0.5 * (np.log1p(variance * v[0]) - np.log1p(variance * v[-1])).sum()
    found = paths.cost(truth, schedule, z0, times=64)
    assert found.gap(steps) == pytest.approx(discrete - continuous, rel=0.05)


@pytest.mark.once
def test_correlated_components_by_a_dense_metric():
    """The energy of two groups of correlated components, against posterior covariances."""
    rng = np.random.default_rng(1)
    root = rng.normal(size=(4, 4))
    covariance = root @ root.T / 4
    schedule = schedules.Sequential(b=0.4, over=0)
    schedule.adapt(np.ones((2, 2)))
    truth = oracle.Gaussian(np.zeros((2, 2)), covariance)
    z0 = rng.multivariate_normal(np.zeros(4), covariance, size=512).reshape(-1, 2, 2)
    found = paths.cost(truth, schedule, z0, np.array([[0, 0], [1, 1]]), times=24)
    exact = []
    for t in found.times:
        state = schedule(np.float32(t))
        gamma, slope = (
            np.broadcast_to(ops.convert_to_numpy(x), (1, 2, 2)).ravel().astype("float64")
            for x in (state.gamma, state.dgamma_dt)
        )
        root_v = np.exp(-gamma / 2)
        posterior = np.linalg.inv(np.linalg.inv(covariance) + np.diag(root_v**2))
        scaled = (root_v[:, None] * posterior * root_v) ** 2
        exact.append(slope @ scaled @ slope)
    assert found.energy == pytest.approx(np.mean(exact), rel=0.05)


@pytest.mark.once
@pytest.mark.parametrize("power", [0, 1, 2, 3, 4])
def test_the_best_path_is_the_geodesic(power):
    variance, schedule, truth, z0 = gaussian(power)
    best, found = paths.optimize(truth, schedule, z0, {"i": K}, over="i", knots=32, rounds=2)
    assert exact_energy(variance, best) == pytest.approx(shortest(variance), rel=0.02)
    assert found.length**2 == pytest.approx(shortest(variance), rel=0.02)
    gamma = ops.convert_to_numpy(best([0.0, 1.0]).gamma)
    np.testing.assert_allclose(gamma, [[-7.0] * D, [5.0] * D], atol=1e-4)


@pytest.mark.once
def test_the_best_speed_along_a_path():
    variance, schedule, truth, z0 = gaussian(2)
    found = paths.cost(truth, schedule, z0, times=64)
    warped = paths.warp(schedule, found)
    after = paths.cost(truth, warped, z0, times=64)
    assert exact_energy(variance, warped) == pytest.approx(found.length**2, rel=0.01)
    assert after.profile.std() < 0.1 * after.profile.mean()
    speed, _ = paths.optimize(truth, schedule, z0, {}, over=(), knots=32, rounds=1)
    assert exact_energy(variance, speed) == pytest.approx(found.length**2, rel=0.02)


@pytest.mark.once
def test_groups_of_a_whitening_prior_and_of_bands():
    """Levels of Haar wavelets, whitened: all alike, so that they move together."""
    basis = bases.Haar(levels=2)
    basis.build((None, 4, 4, 1))
    schedule = schedules.Sequential(b=0.5, over="band")
    schedule.adapt(np.ones((4, 4, 1)), coordinates=basis.coordinates)
    truth = oracle.Gaussian(np.zeros((4, 4, 1)), np.eye(16))
    z0 = np.random.default_rng(0).normal(size=(2, 4, 4, 1))
    best, found = paths.optimize(truth, schedule, z0, basis.coordinates, over="band", knots=32)
    assert best.n_groups == 3
    gamma = ops.convert_to_numpy(best(np.linspace(0, 1, 9, dtype="float32")).gamma)
    assert np.ptp(gamma.reshape(9, -1), axis=1).max() < 0.3
    assert found.gap(8) < paths.cost(truth, schedule, z0).gap(8, best=True)


def ddim_error(schedule, variance, steps):
    """Relative error of DDIM on one Gaussian component, whose flow keeps z over its spread."""
    times = np.linspace(1.0, 0.0, steps + 1).astype("float32")
    gamma = ops.convert_to_numpy(schedule(times).gamma)[:, 0].astype("float64")
    alpha, sigma = 1 / np.sqrt(1 + np.exp(gamma)), 1 / np.sqrt(1 + np.exp(-gamma))
    spread = np.sqrt(alpha**2 * variance + sigma**2)
    z = spread[0]
    for k in range(steps):
        z0 = alpha[k] * variance / spread[k] ** 2 * z
        z = sigma[k + 1] / sigma[k] * (z - alpha[k] * z0) + alpha[k + 1] * z0
    return abs(z / spread[-1] - 1.0)


@pytest.mark.once
@pytest.mark.parametrize("variance", [1.0, 0.05])
def test_the_cost_of_a_solver_is_its_error(variance):
    schedule = schedules.Sequential(b=0.0, over=0)
    schedule.adapt([variance])
    truth = oracle.Gaussian([0.0], [[variance]])
    z0 = np.sqrt(variance) * np.random.default_rng(0).normal(size=(2000, 1))
    kwargs = {"objective": "ode", "variance": [variance]}
    found = paths.cost(truth, schedule, z0, times=64, **kwargs)
    assert found.gap(steps=400) == pytest.approx(ddim_error(schedule, variance, 400), rel=0.05)
    best, _ = paths.optimize(truth, schedule, z0, {}, knots=32, rounds=2, **kwargs)
    gain = ddim_error(schedule, variance, 400) / ddim_error(best, variance, 400)
    assert gain > 1.2
    assert gain == pytest.approx(found.energy / found.length**2, rel=0.05)


@pytest.mark.once
def test_for_a_solver_the_speed_alone_changes():
    """The states of a path of several groups stay the same, but not when they are met."""
    variance, _, truth, z0 = gaussian(2)
    schedule = schedules.Sequential(b=0.5, over=0)
    schedule.adapt(variance)
    best, found = paths.optimize(
        truth, schedule, z0, {"i": K}, "i", objective="ode", variance=variance, rounds=2
    )
    t = np.linspace(0.0, 1.0, 2001).astype("float32")
    states, moved = (ops.convert_to_numpy(path(t).gamma) for path in (schedule, best))
    nearest = np.abs(moved[:, None] - states[None, ::2]).max(axis=2).min(axis=1)
    assert nearest.max() < 0.3
    assert np.abs(moved - states).max() > 1.0
    before = paths.cost(truth, schedule, z0, objective="ode", variance=variance)
    assert found.energy < 0.95 * before.energy


@pytest.mark.once
def test_a_network_that_knows_one_path_is_led_along_it():
    """Independent components have no order of their own; the denoiser is wrong off its path."""
    family = schedules.Sequential(b=(0.0, 0.8), over=0)
    family.adapt(np.ones(2))
    z0 = np.random.default_rng(0).normal(size=(64, 2))

    def denoiser(z, state):
        apart = ops.abs(state.gamma[:, 1:] - state.gamma[:, :1])
        return state.sigma * z + ops.exp(-apart)

    measured = [paths.cost(denoiser, family, z0, b=b).nats for b in (0.0, 0.4, 0.8)]
    assert measured[0] > measured[1] > measured[2]
    kwargs = {"knots": 12, "rounds": 1, "steps": 32}
    chosen, found = paths.optimize(
        denoiser, family, z0, {"i": np.arange(2)}, "i", objective="model", **kwargs
    )

    def apart(path):
        gamma = ops.convert_to_numpy(path(np.linspace(0, 1, 65, dtype="float32")).gamma)
        return np.ptp(gamma, axis=1).max()

    together = paths.cost(denoiser, family, z0, b=0.0).bound(32, best=True)
    assert found.bound(32) < 0.5 * together
    # The gap alone does not see it.
    plain, _ = paths.optimize(denoiser, family, z0, {"i": np.arange(2)}, "i", **kwargs)
    assert apart(plain) < apart(chosen)
    assert paths.cost(denoiser, plain, z0).bound(32) > found.bound(32) + 1.0
    held, _ = paths.optimize(
        denoiser, family, z0, {"i": np.arange(2)}, "i", objective="model", b=0.0, **kwargs
    )
    assert apart(held) < apart(plain)


@pytest.mark.once
def test_of_an_exact_denoiser_the_loss_is_the_same_along_all_paths():
    variance, _, truth, _ = gaussian(2)
    z0 = np.random.default_rng(0).normal(size=(512, D)) * np.sqrt(variance)
    expected = 0.5 * np.log1p(variance * np.exp(7.0)) - 0.5 * np.log1p(variance * np.exp(-5.0))
    for b in (0.0, 0.6):
        schedule = schedules.Sequential(b=b, over=0)
        schedule.adapt(variance)
        found = paths.cost(truth, schedule, z0, times=64)
        assert found.nats == pytest.approx(expected.sum(), rel=0.02)


@pytest.mark.once
def test_what_cannot_be_measured():
    _, schedule, truth, z0 = gaussian(1)
    with pytest.raises(ValueError, match="`times` to be an integer >= 2"):
        paths.cost(truth, schedule, z0, times=1)
    with pytest.raises(ValueError, match="at least one example"):
        paths.cost(truth, schedule, iter(()))
    with pytest.raises(ValueError, match="`steps` to be an integer >= 1"):
        paths.cost(truth, schedule, z0, times=2).gap(0)
    apart = schedules.Sequential(b=0.5, over=0)
    apart.adapt(np.ones(D))
    with pytest.raises(ValueError, match="groups within which gamma differs by"):
        paths.optimize(truth, apart, z0, {}, over=())
    with pytest.raises(ValueError, match="coordinate of the basis"):
        paths.optimize(truth, schedule, z0, {"i": K}, over="j")
    variance = np.arange(300) + 1.0
    with pytest.raises(ValueError, match=r"at most 256 groups"):
        paths.optimize(truth, schedule, variance[None], {}, over="rank", variance=variance)
    with pytest.raises(ValueError, match=r"objective='elb'.*elbo"):
        paths.cost(truth, schedule, z0, objective="elb")
    with pytest.raises(ValueError, match="`steps` to be an integer >= 2"):
        paths.optimize(truth, schedule, z0, {}, objective="model", steps=1)
