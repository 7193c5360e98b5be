"""Log-likelihoods of data under a model, noise that stands for data, and metrics of both."""

import math

import keras
import numpy as np
import pytest
from helpers.tiny_model import COVARIANCE, MEAN, as_numpy, images, make, vectors

import keras_gud
from keras_gud import bases, metrics, oracle, schedules


@pytest.fixture(scope="module")
def trained():
    """A network that has learned four correlated numbers."""
    keras.utils.set_random_seed(0)
    schedule = schedules.Linear(a=(0.5, 1.5))
    kwargs = {"ema_decay": 0.99, "start_covariance": True, "data_scale": "range"}
    model = make(units=64, schedule=schedule, **kwargs)
    epochs, x = 40, vectors(2048)
    rate = keras.optimizers.schedules.CosineDecay(5e-3, epochs * len(x) // 128)
    model.compile(keras.optimizers.Adam(rate))
    model.fit(x, epochs=epochs, verbose=0)
    return model


def true_bits(x):
    return -oracle.Gaussian(MEAN, COVARIANCE).log_prob(x) / (4 * math.log(2))


@pytest.mark.once
def test_bits_per_dim_are_near_those_of_the_data(trained):
    held = vectors(300, seed=1)
    bits, bound = trained.bits_per_dim(held), trained.predict(held, verbose=0)
    assert bits.shape == (300,)
    error = bits - true_bits(held)
    assert -0.05 < error.mean() < 0.3
    # The bound is never below it by more than the noise of both.
    gap = bound - bits
    assert gap.mean() > -4 * gap.std() / math.sqrt(300)


def test_every_term_by_name(trained):
    held = vectors(20, seed=2)
    terms = trained.log_prob(held, a=0.7)
    parts = ("start", "divergence", "log_alpha", "log_scale", "data_scaling")
    assert set(terms) == {*parts, "log_prob", "standard_error"}
    total = sum(terms[name] for name in parts)
    np.testing.assert_allclose(terms["log_prob"], total, atol=1e-9)
    np.testing.assert_allclose(
        trained.bits_per_dim(held, a=0.7), -total / (4 * math.log(2)), atol=1e-9
    )
    alpha = as_numpy_tensor(trained.schedule(0.0, a=0.7).alpha)
    np.testing.assert_allclose(terms["log_alpha"], np.log(alpha).sum(), rtol=1e-5)
    assert (terms["standard_error"] == 0).all()


def as_numpy_tensor(x):
    return np.asarray(keras.ops.convert_to_numpy(x))


@pytest.mark.once
def test_streams_and_batches_give_the_same(trained, capsys):
    held = vectors(10, seed=3)
    whole = trained.bits_per_dim(held, trace="hutchinson", probes=2)
    capsys.readouterr()
    batched = trained.bits_per_dim(held, trace="hutchinson", probes=2, batch_size=4, verbose=1)
    assert "3 of 3 batches" in capsys.readouterr().out
    np.testing.assert_allclose(batched, whole, atol=2e-3)
    stream = trained.bits_per_dim(
        (held[i : i + 4] for i in (0, 4, 8)), trace="hutchinson", probes=2
    )
    np.testing.assert_allclose(stream, batched, atol=1e-5)


def test_to_noise_and_from_noise_are_inverse(trained):
    x = vectors(12, seed=4)
    z = trained.to_noise(x, a=0.8)
    assert z.shape == x.shape
    assert np.abs(z - x).max() > 0.1
    np.testing.assert_allclose(trained.from_noise(z, a=0.8), x, atol=0.02)
    fixed = trained.to_noise(x, a=0.8, sampler="rk4", steps=100, batch_size=5)
    np.testing.assert_allclose(fixed, z, atol=0.02)
    noise = trained.to_noise(vectors(1000, seed=5))
    assert np.abs(np.cov(noise.T) - np.eye(4)).max() < 0.25


@pytest.mark.once
def test_interpolation_goes_from_one_to_the_other(trained):
    a, b = vectors(2, seed=6)
    path = trained.interpolate(a, b, n=7)
    assert path.shape == (7, 4)
    np.testing.assert_allclose(path[0], a, atol=0.02)
    np.testing.assert_allclose(path[-1], b, atol=0.02)
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    assert steps.max() < 0.6 * np.linalg.norm(b - a)


@pytest.mark.once
def test_the_full_covariance_is_what_sampling_starts_from(trained, tmp_path):
    covariance = as_numpy([trained.moments.covariance])[0]
    np.testing.assert_allclose(covariance, np.cov(vectors(2048).T, bias=True), atol=1e-4)
    sampler = keras_gud.samplers.DPMSolver(steps=1)
    _, path = sampler(trained.denoiser, trained.schedule, 4000, seed=0, states=1)
    state = trained.schedule(1.0)
    alpha, variance = as_numpy_tensor(state.alpha)[0], as_numpy_tensor(state.sigma)[0] ** 2
    expected = alpha[:, None] * covariance * alpha + np.diag(variance * np.ones(4))
    assert np.abs(np.cov(path[0].T) - expected).max() < 4.5 * math.sqrt(2 / 4000)
    trained.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(as_numpy([loaded.moments.covariance])[0], covariance)
    held = vectors(5, seed=7)
    np.testing.assert_allclose(loaded.bits_per_dim(held), trained.bits_per_dim(held), atol=1e-4)


@pytest.mark.once
def test_some_components_given_the_others():
    schedule = schedules.Sequential(b=0.5, over="column")
    model = make(schedule=schedule, start_covariance=True, data_scale="range")
    x = images(40)
    model.adapt(x, verbose=0)
    given = np.zeros((4, 4, 1), bool)
    given[:, :2] = True
    terms = model.log_prob(x[:6], given=given, trace="hutchinson")
    assert np.isfinite(terms["log_prob"]).all()
    np.testing.assert_allclose(terms["data_scaling"], -8 * math.log(128))
    bits = model.bits_per_dim(x[:6], given=given, trace="hutchinson")
    np.testing.assert_allclose(bits, -terms["log_prob"] / (8 * math.log(2)))
    one = np.zeros((4, 4, 1), bool)
    one[0, 0] = True
    with pytest.raises(ValueError, match="mask that splits 1 of 4 groups"):
        model.log_prob(x[:2], given=one)


@pytest.mark.once
def test_eight_bit_and_scaled_data_are_consistent():
    """The same network on the same images as integers and as floats: 7 bits of scaling apart."""
    x = images(40)
    floats = (x.astype("float32") + 0.5) / 128.0 - 1.0
    integers, scaled = make(), make()
    integers.adapt(x, verbose=0)
    scaled.adapt(floats, verbose=0)
    scaled.prior.data_variance.assign(integers.prior.data_variance)
    # Average the dequantisation: the density at the middle differs by little at this noise.
    one = np.mean([integers.bits_per_dim(x[:8], seed=s, rtol=1e-3).mean() for s in range(3)])
    other = scaled.bits_per_dim(floats[:8], rtol=1e-3).mean()
    assert one - other == pytest.approx(7.0, abs=0.05)
    assert np.abs(integers.from_noise(integers.to_noise(x[:3])).astype(int) - x[:3]).max() <= 1


@pytest.mark.once
def test_a_change_of_basis_is_no_change_of_density():
    """An untrained network is the same Gaussian model in every basis with equal variances."""
    x, results = vectors(64), []
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    for basis in ("pixel", bases.Matrix(rotation)):
        model = make(basis=basis, schedule="vp", prediction="eps", start_covariance=True)
        model.adapt(x, verbose=0)
        results.append(model.bits_per_dim(x[:10]))
    np.testing.assert_allclose(results[0], results[1], atol=2e-3)


def test_metrics_in_evaluate_and_validation(trained):
    x, held = vectors(128), vectors(70, seed=8)
    model = make(schedule="vp", units=32)
    exact = metrics.BitsPerDim()
    model.compile(keras.optimizers.Adam(5e-3), metrics=[metrics.NegativeElbo(draws=32), exact])
    history = model.fit(x, epochs=2, verbose=0, validation_data=held, batch_size=64).history
    names = {"negative_elbo", "negative_elbo_error", "bits_per_dim", "bits_per_dim_error"}
    assert {f"val_{name}" for name in names} <= set(history)
    assert not names & set(history)
    result = model.evaluate(held, verbose=0, return_dict=True, batch_size=32)
    assert names < set(result)
    bound, bits = model.predict(held, verbose=0), model.bits_per_dim(held)
    assert result["negative_elbo"] == pytest.approx(bound.mean(), abs=1e-3)
    assert result["bits_per_dim"] == pytest.approx(bits.mean(), abs=5e-3)
    error = bits.std() / math.sqrt(len(bits) - 1)
    assert result["bits_per_dim_error"] == pytest.approx(error, rel=0.02)
    # Once evaluated, training logs still have none of them.
    again = model.fit(x, epochs=1, verbose=0).history
    assert not names & set(again)


@pytest.mark.once
def test_a_metric_that_fails_is_nan_and_no_number():
    model = make(schedule="vp")
    model.compile("adam", metrics=[metrics.BitsPerDim(steps=2)])
    model.adapt(vectors(64), verbose=0)
    assert math.isnan(model.evaluate(vectors(8), verbose=0, return_dict=True)["bits_per_dim"])


@pytest.mark.once
def test_metrics_need_their_model():
    with pytest.raises(ValueError, match=r"NegativeElbo in `compile\(metrics"):
        metrics.NegativeElbo().update_state(1, 2)
    with pytest.raises(ValueError, match="`draws` to be an integer >= 1"):
        metrics.NegativeElbo(draws=0)


@pytest.mark.once
@pytest.mark.parametrize("call", ["log_prob", "bits_per_dim", "to_noise"])
def test_bad_data(trained, call):
    function = getattr(trained, call)
    with pytest.raises(ValueError, match="to know its data"):
        getattr(make(), call)(vectors(2))
    with pytest.raises(ValueError, match="Expected float data"):
        function(np.zeros((2, 4), "uint8"))
    with pytest.raises(ValueError, match=r"Expected data of shape \(batch, 4\)"):
        function(np.zeros((2, 5), "float32"))
    with pytest.raises(ValueError, match="Expected finite data"):
        function(np.full((2, 4), np.nan, "float32"))
    with pytest.raises(ValueError, match="Did you mean 'a'"):
        function(vectors(2), aa=0.5)


@pytest.mark.once
def test_bad_latents(trained):
    with pytest.raises(ValueError, match="finite `z` of shape"):
        trained.from_noise(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="Runge-Kutta sampler"):
        trained.to_noise(vectors(2), sampler="dpm++")
    with pytest.raises(ValueError, match="`n` to be an integer >= 2"):
        trained.interpolate(*vectors(2), n=1)


@pytest.mark.once
def test_too_many_components_for_a_covariance():
    model = make(start_covariance=True)
    with pytest.raises(ValueError, match="at most 4096 components with start_covariance"):
        model.adapt(np.random.default_rng(0).normal(size=(8, 5000)).astype("float32"), verbose=0)
