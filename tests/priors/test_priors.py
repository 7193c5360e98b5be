"""Priors: the affine map, its determinant, floors, saving and bad input."""

import json
from functools import partial

import keras
import numpy as np
import pytest
from keras import ops

from keras_gud import priors

SHAPE = (3, 4, 2)
RNG = np.random.default_rng(5)
MEAN = RNG.normal(size=SHAPE)
VARIANCE = np.exp(RNG.uniform(-5.0, 3.0, SHAPE))
S = np.exp(RNG.uniform(-1.0, 1.0, SHAPE))

K = np.hypot(np.fft.fftfreq(3)[:, None], np.fft.fftfreq(4))
FREQUENCY = np.broadcast_to(K[..., None], SHAPE)
COORDINATES = dict(zip(("row", "column", "channel"), np.indices(SHAPE), strict=True))
COORDINATES["frequency"] = FREQUENCY


def shells(values):
    """Means over components of equal frequency."""
    result = np.empty(SHAPE)
    for k in np.unique(np.round(FREQUENCY, 9)):
        same = np.abs(FREQUENCY - k) < 1e-6
        result[same] = values[same].mean()
    return result


def power_law(exponent, corner, scale):
    power = np.hypot(FREQUENCY, corner) ** -exponent
    return scale * np.sqrt(power / power.mean())


# Priors and their S. Those that are registered and not named here are added below, as they are by
# default, without an S of their own to compare with.
PRIORS = {
    "isotropic": (priors.Isotropic, np.ones(SHAPE)),
    "isotropic 2.5": (lambda: priors.Isotropic(2.5), np.full(SHAPE, 2.5)),
    "isotropic, measured": (
        lambda: priors.Isotropic(None),
        np.full(SHAPE, np.sqrt(VARIANCE.sum() / VARIANCE.size)),
    ),
    "matching": (priors.Matching, np.sqrt(VARIANCE)),
    "scaled": (lambda: priors.Scaled(S), S),
    "scaled channels": (lambda: priors.Scaled([2.0, 0.5]), np.broadcast_to([2.0, 0.5], SHAPE)),
    "scaled rows": (
        lambda: priors.Scaled(np.arange(1.0, 4.0)[:, None, None]),
        np.broadcast_to(np.arange(1.0, 4.0)[:, None, None], SHAPE),
    ),
    "scaled number": (lambda: priors.Scaled(0.3), np.full(SHAPE, 0.3)),
    "spectrum": (
        lambda: priors.Matching(over="frequency"),
        np.sqrt(shells(VARIANCE)),
    ),
    "sub-bands": (
        lambda: priors.Matching(over=("row", "channel")),
        np.sqrt(np.broadcast_to(VARIANCE.mean(axis=1, keepdims=True), SHAPE)),
    ),
    "power law": (lambda: priors.PowerLaw(3.0, corner=0.1, scale=2.0), power_law(3.0, 0.1, 2.0)),
    "free field": (priors.PowerLaw, power_law(2.0, 0.125, 1.0)),
    "offset": (
        lambda: priors.OffsetNoise(0.5, scale=0.7),
        0.7 * np.where(FREQUENCY == 0.0, 2.0, 1.0),  # 1 + 0.25 * 12 positions = 4
    ),
}
PRIORS |= {
    name: (partial(priors.get, name), None)
    for name in sorted(set(priors.registry.factories) - set(PRIORS))
}


def numpy(tensor):
    return ops.convert_to_numpy(tensor).astype("float64")


@pytest.fixture(params=PRIORS, name="fitted")
def _fitted(request):
    make, scale = PRIORS[request.param]
    prior = make()
    prior.adapt(MEAN, VARIANCE, COORDINATES)
    return prior, numpy(prior.scale) if scale is None else scale


def test_the_map_and_its_inverse(fitted, rng):
    prior, scale = fitted
    x = (MEAN + rng.normal(size=(5, *SHAPE)) * np.sqrt(VARIANCE)).astype("float32")
    z0 = prior(ops.convert_to_tensor(x))
    np.testing.assert_allclose(numpy(z0), (x - MEAN) / scale, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(numpy(prior.inverse(z0)), x, rtol=1e-5, atol=1e-5)
    z = ops.convert_to_tensor(rng.normal(size=(5, *SHAPE)).astype("float32"))
    back = numpy(prior(prior.inverse(z)))
    np.testing.assert_allclose(back, numpy(z), atol=1e-5 / scale.min())


@pytest.mark.once
def test_statistics(fitted):
    prior, scale = fitted
    np.testing.assert_allclose(numpy(prior.mean), MEAN, rtol=1e-6)
    np.testing.assert_allclose(numpy(prior.scale), scale, rtol=1e-6)
    np.testing.assert_allclose(numpy(prior.data_variance), VARIANCE, rtol=1e-6)
    np.testing.assert_allclose(numpy(prior.variance), VARIANCE / scale**2, rtol=1e-5)


@pytest.mark.once
def test_log_det_is_the_sum_of_log_scales(fitted):
    prior, scale = fitted
    assert float(prior.log_det()) == pytest.approx(-np.log(scale).sum(), rel=1e-5, abs=1e-5)


@pytest.mark.once
def test_variance_is_that_of_the_whitened_data(fitted, rng):
    prior, _ = fitted
    x = (MEAN + rng.normal(size=(300, *SHAPE)) * np.sqrt(VARIANCE)).astype("float32")
    prior.adapt(x.astype("float64").mean(axis=0), x.astype("float64").var(axis=0), COORDINATES)
    z0 = numpy(prior(ops.convert_to_tensor(x)))
    np.testing.assert_allclose(z0.mean(axis=0), 0.0, atol=1e-4 * z0.std())
    np.testing.assert_allclose(z0.var(axis=0), numpy(prior.variance), rtol=1e-3)


@pytest.mark.once
def test_matching_whitens():
    prior = priors.Matching()
    prior.adapt(MEAN, VARIANCE)
    np.testing.assert_allclose(numpy(prior.variance), 1.0, rtol=1e-6)


def test_config_and_weights_restore_the_prior(fitted):
    prior, _ = fitted
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(prior)))
    restored = keras.saving.deserialize_keras_object(config)
    assert type(restored) is type(prior)
    assert restored.floor == prior.floor
    restored.set_weights(prior.get_weights())
    for name in ("mean", "scale", "data_variance", "variance"):
        np.testing.assert_array_equal(numpy(getattr(restored, name)), numpy(getattr(prior, name)))
    assert float(restored.log_det()) == float(prior.log_det())
    assert prior.trainable_weights == []


@pytest.mark.once
@pytest.mark.parametrize("name", PRIORS)
def test_config_restores_a_prior_that_is_not_fitted_yet(name):
    make, scale = PRIORS[name]
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(make())))
    restored = priors.get(config)
    restored.adapt(MEAN, VARIANCE, COORDINATES)
    assert type(restored) is type(make())
    if scale is not None:
        np.testing.assert_allclose(numpy(restored.scale), scale, rtol=1e-6)


@pytest.mark.once
def test_a_prior_can_be_fitted_again():
    prior = priors.Matching()
    prior.adapt(MEAN, VARIANCE)
    prior.adapt(2 * MEAN, 4 * VARIANCE)
    np.testing.assert_allclose(numpy(prior.mean), 2 * MEAN, rtol=1e-6)
    np.testing.assert_allclose(numpy(prior.scale), 2 * np.sqrt(VARIANCE), rtol=1e-6)


# -- floors -----------------------------------------------------------------------------------


@pytest.mark.once
@pytest.mark.parametrize("name", ["isotropic", "matching"])
@pytest.mark.parametrize("floor", [1e-6, 1e-3])
def test_a_constant_component_gives_finite_everything(name, floor, rng):
    variance = VARIANCE.copy()
    variance[0, 0] = 0.0
    variance[1, 1, 0] = 1e-300
    prior = priors.get(name, floor=floor)
    prior.adapt(MEAN, variance)
    x = np.tile(MEAN, (4, 1, 1, 1)).astype("float32")
    for values in (prior.variance, prior.scale, prior.log_det(), prior(ops.convert_to_tensor(x))):
        assert np.isfinite(numpy(values)).all()
    assert (numpy(prior.variance) > 0).all()
    expected = np.maximum(variance, floor * VARIANCE.max())
    np.testing.assert_allclose(numpy(prior.data_variance), expected, rtol=1e-6)
    if name == "matching":
        np.testing.assert_allclose(numpy(prior.scale), np.sqrt(expected), rtol=1e-6)
    z = ops.convert_to_tensor(rng.normal(size=(2, *SHAPE)).astype("float32"))
    assert np.isfinite(numpy(prior.inverse(z))).all()


@pytest.mark.once
def test_the_floor_leaves_larger_variances_alone():
    prior = priors.Isotropic()
    prior.adapt(np.zeros(3), np.array([1.0, 2e-6, 0.5e-6]))
    np.testing.assert_allclose(numpy(prior.data_variance), [1.0, 2e-6, 1e-6], rtol=1e-5)


@pytest.mark.parametrize(("scale", "variance"), [(1e-25, 1e-30), (1e25, 1e30)])
def test_a_scale_whose_square_is_beyond_float32(scale, variance):
    prior = priors.Scaled(scale)
    prior.adapt(np.zeros(1), np.array([variance]))
    np.testing.assert_allclose(numpy(prior.variance), variance / scale**2, rtol=1e-6)


@pytest.mark.parametrize("floor", [0.0, 1.0, -1e-6, np.nan])
def test_bad_floors(floor):
    with pytest.raises(ValueError, match=r"Expected `floor` in \(0, 1\)"):
        priors.Matching(floor=floor)


# -- bad input --------------------------------------------------------------------------------


def test_data_that_do_not_vary():
    with pytest.raises(ValueError, match="Expected data that vary"):
        priors.Matching().adapt(MEAN, np.zeros(SHAPE))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("which", ["mean", "variance"])
def test_statistics_that_are_not_finite(bad, which):
    statistics = {"mean": MEAN.copy(), "variance": VARIANCE.copy()}
    statistics[which][0, 1, 0] = bad
    with pytest.raises(ValueError, match="Expected finite statistics"):
        priors.Isotropic().adapt(**statistics)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.inf, np.nan])
def test_bad_isotropic_scales(scale):
    with pytest.raises(ValueError, match="Expected `scale` to be a number > 0"):
        priors.Isotropic(scale)


@pytest.mark.parametrize("scale", [0.0, [1.0, 0.0], [1.0, -2.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_bad_scaled_scales(scale):
    with pytest.raises(ValueError, match="positive and finite in every component"):
        priors.Scaled(scale)


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (lambda: priors.PowerLaw(np.nan), "finite `exponent`"),
        (lambda: priors.PowerLaw(corner=0.0), "`corner` > 0 or None"),
        (lambda: priors.PowerLaw(scale=-1.0), "`scale` to be a number > 0"),
        (lambda: priors.OffsetNoise(-0.1), "`strength` >= 0"),
    ],
)
def test_bad_spectra(prior, message):
    with pytest.raises(ValueError, match=message):
        prior()


@pytest.mark.parametrize("name", ["power_law", "offset", "spectrum"])
def test_spectra_need_frequencies(name):
    with pytest.raises(ValueError, match="to be a coordinate of the basis, one of"):
        priors.get(name).adapt(MEAN, VARIANCE, {"row": COORDINATES["row"]})


@pytest.mark.parametrize("shape", [(3,), (4, 2, 2), (1, 3, 4, 2)])
def test_scales_that_do_not_broadcast(shape):
    with pytest.raises(ValueError, match=r"broadcasts to the data's shape \(3, 4, 2\)"):
        priors.Scaled(np.ones(shape)).adapt(MEAN, VARIANCE)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_a_users_prior_must_give_a_positive_scale(value):
    class Odd(priors.Prior):
        def make_scale(self, data_variance, coordinates):
            return np.full_like(data_variance, value)

    with pytest.raises(ValueError, match="Expected a positive finite scale"):
        Odd().adapt(MEAN, VARIANCE)


def test_a_users_prior_must_give_the_right_shape():
    class Odd(priors.Prior):
        def make_scale(self, data_variance, coordinates):
            return np.ones(2)

    with pytest.raises(ValueError, match=r"scale of shape \(3, 4, 2\)"):
        Odd().adapt(MEAN, VARIANCE)
    with pytest.raises(NotImplementedError, match="make_scale"):
        priors.Prior().adapt(MEAN, VARIANCE)


def test_priors_by_name():
    assert isinstance(priors.get("matching"), priors.Matching)
    assert isinstance(priors.get("Isotropic", scale=2.0), priors.Isotropic)
    prior = priors.Scaled(2.0)
    assert priors.get(prior) is prior
    with pytest.raises(ValueError, match="Did you mean 'matching'"):
        priors.get("maching")
    with pytest.raises(TypeError, match="`prior` to be a name"):
        priors.get(1.0)
