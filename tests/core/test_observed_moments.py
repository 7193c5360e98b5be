"""Moments over what was observed, against NumPy on the examples that have it."""

import numpy as np
import pytest

from keras_gud.core.observed_moments import ObservedCovariance, ObservedMoments
from keras_gud.core.streaming_moments import Covariance, Moments

pytestmark = pytest.mark.once


def with_gaps(share=0.3, n=600, d=4, offset=1e3):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + offset
    return np.where(rng.random(x.shape) < share, np.nan, x)


def in_batches(moments, x):
    for part in np.split(x, [7, 8, 300]):
        moments.update(part)
    return moments


def test_without_gaps_they_are_the_moments_of_all():
    x = with_gaps(share=0.0)
    found, expected = in_batches(ObservedMoments(), x), in_batches(Moments(), x)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-15)
    np.testing.assert_allclose(found.variance, expected.variance, rtol=1e-12)
    found, expected = in_batches(ObservedCovariance(), x), in_batches(Covariance(), x)
    np.testing.assert_allclose(found.completed().mean, expected.mean, rtol=1e-15)
    np.testing.assert_allclose(found.completed().covariance, expected.covariance, rtol=1e-9)


def test_each_component_has_the_moments_of_its_own_examples():
    x = with_gaps()
    x[:8, 0] = np.nan
    found = in_batches(ObservedMoments(), x)
    assert found.count.tolist() == (~np.isnan(x)).sum(axis=0).tolist()
    np.testing.assert_allclose(found.mean, np.nanmean(x, axis=0), rtol=1e-14)
    np.testing.assert_allclose(found.variance, np.nanvar(x, axis=0), rtol=1e-12)
    whole = in_batches(ObservedCovariance(), x).completed()
    np.testing.assert_allclose(whole.mean, np.nanmean(x, axis=0), rtol=1e-14)
    np.testing.assert_allclose(np.diag(whole.covariance), np.nanvar(x, axis=0), rtol=1e-9)


def test_impossible_covariances_are_replaced_by_possible_ones_of_the_same_variances():
    # Of three columns two are the same in every pair, but in one pair opposite.
    u, gap = np.array([-1.0, 1.0]), np.full(2, np.nan)
    pairs = [(u, u, gap), (u, gap, u), (gap, u, -u)]
    x = np.concatenate([np.stack(pair, axis=1) for pair in pairs])
    covariance = ObservedCovariance().update(x).completed().covariance
    np.testing.assert_allclose(np.diag(covariance), 1.0)
    assert np.linalg.eigvalsh(covariance)[0] > -1e-12
    np.testing.assert_allclose(covariance, [[1, 0.5, 0.5], [0.5, 1, -0.5], [0.5, -0.5, 1]])
