"""Data larger than memory: measured in one pass, with few batches in memory at a time."""

import numpy as np
import pytest

from keras_gud import adaptation, bases
from keras_gud.bases.batches import join
from keras_gud.statistics import Covariance, Moments

# -- one covariance for every basis ----------------------------------------------------------------


class Stream:
    """Batches that can be read again; counts how often."""

    def __init__(self, batches):
        self.batches, self.passes, self.n_batches = batches, 0, len(batches)

    def __iter__(self):
        self.passes += 1
        return iter(self.batches)


def correlated(kind, n=400, shape=(4, 4, 3)):
    rng = np.random.default_rng(0)
    size = int(np.prod(shape))
    x = rng.normal(size=(n, size)) @ rng.normal(size=(size, size)) / 4 + rng.normal(size=size)
    x = x.reshape(n, *shape)
    return np.clip(128 + 30 * x, 0, 255).astype("uint8") if kind == "uint8" else x.astype("float32")


def fitted(names, x, full=False):
    made = [bases.Compose(n) if isinstance(n, list) else bases.get(n) for n in names]
    stream = Stream([x[:100], x[100:101], x[101:]])
    found = adaptation.fit_components(stream, made, x.shape[1:], str(x.dtype)[:5], 0, full)
    return made, stream, found


@pytest.mark.parametrize("kind", ["uint8", "float"])
def test_one_covariance_gives_what_transforming_all_data_gives(kind, monkeypatch):
    names = ["pixel", "haar", "fourier", "pca", "channel_pca", ["channel_pca", "pca"]]
    x = correlated(kind)
    made, stream, (found, covariance) = fitted(names, x, full=True)
    assert stream.passes == 1
    monkeypatch.setattr(adaptation, "MAX_DENSE", 0)
    others, stream, (expected, expected_covariance) = fitted(names, x, full=True)
    assert stream.passes == 5  # one more for each fitted basis, two for the last
    scale = expected_covariance.diagonal().max()
    np.testing.assert_allclose(covariance, expected_covariance, atol=1e-6 * scale)
    for basis, other, got, want in zip(made, others, found, expected, strict=True):
        np.testing.assert_allclose(got[0], want[0], atol=1e-5, err_msg=basis.name)
        np.testing.assert_allclose(got[1], want[1], rtol=1e-4, err_msg=basis.name)
        for a, b in zip(basis.weights, other.weights, strict=True):
            np.testing.assert_allclose(np.array(a), np.array(b), atol=1e-4, err_msg=a.path)


def test_a_constant_component_has_no_negative_variance():
    x = correlated("float")
    x[..., 1] = 0.1
    for names in (["pixel"], ["pca"]):
        (_, variance), *_ = fitted(names, x)[-1][0]
        assert variance.min() >= 0.0


def test_a_basis_that_needs_more_than_the_covariance_is_given_the_data():
    class Largest(bases.get("pixel").__class__):
        needs_data = True

        def fit_batches(self, batches):
            self.largest = max(float(x.max()) for x in batches)

    x, basis = correlated("float"), Largest()
    stream = Stream([x[:100], x[100:]])
    adaptation.fit_components(stream, [basis], x.shape[1:], "float", 0)
    assert basis.largest == x.max() and stream.passes == 2


# -- statistics of 8-bit data ----------------------------------------------------------------------


@pytest.mark.parametrize("low, high", [(0, 256), (254, 256), (0, 2)])
def test_8_bit_data_are_measured_exactly(low, high, rng):
    x = rng.integers(low, high, size=(3000, 5), dtype="uint8")
    x[:, 4] = 255
    fit, moments = Covariance().update(x), Moments().update(x)
    whole = x.astype("int64")
    n = len(x)
    exact = (n * (whole.T @ whole) - np.outer(whole.sum(0), whole.sum(0))) / n**2
    np.testing.assert_allclose(fit.covariance, exact, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(moments.variance, exact.diagonal(), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(fit.mean, whole.sum(0) / n, rtol=1e-14)
    assert moments.variance[4] == 0.0


def test_a_transformed_accumulator_is_that_of_transformed_data(rng):
    x, matrix, offset = rng.normal(size=(50, 4)), rng.normal(size=(3, 4)), rng.normal(size=3)
    found = Covariance().update(x).transformed(matrix, offset)
    whole = Covariance().update(x @ matrix.T + offset)
    assert found.count == 50
    np.testing.assert_allclose(found.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(found.covariance, whole.covariance, rtol=1e-10)


def test_joined_batches_are_the_same_examples():
    x = np.arange(60).reshape(20, 3)
    blocks = list(join([x[:1], x[1:1], x[1:3], x[3:12], x[12:19], x[19:]], size=9))
    assert [len(block) for block in blocks] == [3, 9, 7, 1]
    np.testing.assert_array_equal(np.concatenate(blocks), x)
    assert list(join([], size=9)) == []
