"""Streaming statistics against NumPy on the whole data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_gud.core.streaming_moments import Covariance, Moments


def chunks(x, size):
    return [x[i : i + size] for i in range(0, len(x), size)]


@pytest.mark.once
@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_moments_equal_numpy(size, rng):
    x = rng.normal(size=(200, 3, 4)) * rng.uniform(0.1, 10, size=(3, 4)) + 2
    moments = Moments()
    for batch in chunks(x, size):
        moments.update(batch)
    assert moments.count == 200
    np.testing.assert_allclose(moments.mean, x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(moments.variance, x.var(axis=0), rtol=1e-12)


@pytest.mark.once
@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_covariance_equals_numpy(size, rng):
    x = rng.normal(size=(200, 5)) @ rng.normal(size=(5, 5)) + 2
    fit = Covariance()
    for batch in chunks(x, size):
        fit.update(batch)
    np.testing.assert_allclose(fit.mean, x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(fit.covariance, np.cov(x.T, bias=True), rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(fit.covariance, fit.covariance.T)


@pytest.mark.once
def test_a_large_offset_does_no_harm(rng):
    noise = rng.normal(size=(1000, 3))
    x = noise + 1e9
    # The offset alone rounds each value by up to 6e-8; E[x^2] - E[x]^2 would be off by hundreds.
    moments, fit = Moments(), Covariance()
    for batch in chunks(x, 10):
        moments.update(batch)
        fit.update(batch)
    np.testing.assert_allclose(moments.variance, noise.var(axis=0), rtol=1e-6)
    np.testing.assert_allclose(fit.covariance, np.cov(noise.T, bias=True), rtol=1e-6, atol=1e-6)


@pytest.mark.once
@settings(max_examples=30, deadline=None, derandomize=True)
@given(cut=st.integers(0, 50), offset=st.floats(-1e6, 1e6))
def test_merging_parts_equals_the_whole(cut, offset):
    x = np.random.default_rng(0).normal(size=(50, 4)) + offset
    for kind, name in ((Moments, "variance"), (Covariance, "covariance")):
        merged = kind().update(x[:cut]).merge(kind().update(x[cut:]))
        whole = kind().update(x)
        assert merged.count == 50
        np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(getattr(merged, name), getattr(whole, name), atol=1e-8)


@pytest.mark.once
def test_single_precision_and_integers_are_summed_in_double(rng):
    x = rng.integers(0, 256, size=(300, 4), dtype="uint8")
    moments = Moments().update(x[:100]).update(x[100:])
    np.testing.assert_allclose(moments.variance, x.astype("float64").var(axis=0), rtol=1e-12)
    assert moments.mean.dtype == "float64"


@pytest.mark.once
def test_what_is_read_is_not_what_is_kept(rng):
    moments = Moments().update(rng.normal(size=(5, 2)))
    before = moments.mean
    moments.mean[:] = 0
    np.testing.assert_array_equal(moments.mean, before)


@pytest.mark.once
def test_constant_data_have_no_variance():
    moments = Moments()
    for _ in range(10):
        moments.update(np.full((3, 2), 0.1))
    np.testing.assert_allclose(moments.variance, 0, atol=1e-30)


@pytest.mark.once
def test_errors():
    with pytest.raises(ValueError, match="at least one example before Moments is read"):
        _ = Moments().mean
    with pytest.raises(ValueError, match="Received: count=0"):
        _ = Covariance().covariance
    with pytest.raises(ValueError, match=r"Received: batch of shape \(2, 3\)"):
        Moments().update(np.zeros((2, 4))).update(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"vectors, \(batch, d\). Received: batch of shape \(2,\)"):
        Covariance().update(np.zeros(2))
    with pytest.raises(ValueError, match="NaN or infinite"):
        Moments().update(np.array([[np.inf]]))
    with pytest.raises(TypeError, match="another Moments to merge"):
        Moments().merge(Covariance())
