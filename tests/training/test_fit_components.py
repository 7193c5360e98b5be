"""Data larger than memory: measured in one pass, with few batches in memory at a time."""

import tracemalloc
import weakref

import keras
import numpy as np
import pytest
from helpers.one_weight import OneWeightPerValue

import keras_gud
from keras_gud import bases, metrics
from keras_gud.bases.batches import join
from keras_gud.core.streaming_moments import Covariance, Moments
from keras_gud.data import source as source_module
from keras_gud.data.source import Source
from keras_gud.training.fit_components import fit_components
from keras_gud.training.measure_data import Passes

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


def fitted(names, x, full=False, data_scale=None):
    made = [bases.Compose(n) if isinstance(n, list) else bases.get(n) for n in names]
    stream = Stream([x[:100], x[100:101], x[101:]])
    data = Passes(stream, x.shape[1:], str(x.dtype)[:5], 0, missing=bool(np.isnan(x).any()))
    found = fit_components(data, made, full, data_scale)
    return made, stream, found


@pytest.mark.parametrize("data_scale", [None, "range"])
@pytest.mark.parametrize("kind", ["uint8", "float"])
def test_one_covariance_gives_what_transforming_all_data_gives(kind, data_scale, monkeypatch):
    names = ["pixel", "haar", "fourier", "pca", "channel_pca", ["channel_pca", "pca"]]
    x = correlated(kind)
    kwargs = {"full": True, "data_scale": data_scale}
    made, stream, (found, covariance, scaling) = fitted(names, x, **kwargs)
    assert stream.passes == 1
    monkeypatch.setattr("keras_gud.training.fit_components.MAX_DENSE", 0)
    others, stream, (expected, expected_covariance, other) = fitted(names, x, **kwargs)
    # One more for each fitted basis, two for the last, and one where the scale is measured.
    assert stream.passes == 5 + (data_scale is None)
    for name in ("centre", "scale", "step", "low", "high"):
        np.testing.assert_allclose(getattr(scaling, name), getattr(other, name), rtol=1e-12)
    if data_scale is None:
        np.testing.assert_allclose([variance.mean() for _, variance in found], 1.0, rtol=1e-6)
    else:
        assert scaling.scale == (128.0 if kind == "uint8" else 1.0)
    scale = expected_covariance.diagonal().max()
    np.testing.assert_allclose(covariance, expected_covariance, atol=1e-6 * scale)
    for basis, other, got, want in zip(made, others, found, expected, strict=True):
        np.testing.assert_allclose(got[0], want[0], atol=1e-5, err_msg=basis.name)
        np.testing.assert_allclose(got[1], want[1], rtol=1e-4, err_msg=basis.name)
        for a, b in zip(basis.weights, other.weights, strict=True):
            np.testing.assert_allclose(np.array(a), np.array(b), atol=1e-4, err_msg=a.path)


@pytest.mark.once
def test_a_constant_component_has_no_negative_variance():
    x = correlated("float")
    x[..., 1] = 0.1
    for names in (["pixel"], ["pca"]):
        (_, variance), *_ = fitted(names, x)[-1][0]
        assert variance.min() >= 0.0


@pytest.mark.once
def test_a_basis_that_needs_more_than_the_covariance_is_given_the_data():
    class Largest(bases.get("pixel").__class__):
        needs_data = True

        def fit_batches(self, batches):
            self.largest = max(float(x.max()) for x in batches)

    x, basis = correlated("float"), Largest()
    stream = Stream([x[:100], x[100:]])
    *_, scaling = fit_components(Passes(stream, x.shape[1:], "float", 0), [basis])
    assert basis.largest == scaling.expected(x).max()
    assert scaling.scale == pytest.approx(np.sqrt(x.var(axis=0).mean()), rel=1e-5)
    assert stream.passes == 2


# -- missing values --------------------------------------------------------------------------------


@pytest.mark.once
@pytest.mark.parametrize("dense", [True, False], ids=["few", "many"])
def test_what_is_missing_counts_in_no_moment(dense, monkeypatch):
    if not dense:
        monkeypatch.setattr("keras_gud.training.fit_components.MAX_DENSE", 0)
    rng = np.random.default_rng(0)
    x = rng.multivariate_normal([1e4, -3.0, 0.0], [[4, 1.5, 0], [1.5, 1, 0.5], [0, 0.5, 1]], 3000)
    x[rng.random(x.shape) < 0.3] = np.nan
    x[:101, 2] = np.nan  # the first batches have nothing of a column
    x = x[~np.isnan(x).all(axis=1)]
    *_, ([(mean, variance)], covariance, scaling) = fitted(["pixel"], x, full=True)
    np.testing.assert_allclose(scaling.centre, np.nanmean(x, axis=0), rtol=1e-12)
    np.testing.assert_allclose(scaling.scale, np.nanstd(x, axis=0), rtol=1e-9)
    np.testing.assert_allclose(mean, 0.0, atol=1e-4)
    np.testing.assert_allclose(variance, 1.0, rtol=1e-5)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        both = x[~np.isnan(x[:, [i, j]]).any(axis=1)][:, [i, j]]
        expected = np.cov(both.T, bias=True)[0, 1] / scaling.scale[i] / scaling.scale[j]
        assert covariance[i, j] == pytest.approx(expected, abs=1e-5)


@pytest.mark.once
def test_a_grid_is_found_between_gaps():
    x = np.random.default_rng(0).integers(0, 9, (200, 2)).astype("float64")
    x[::3, 0] = np.nan
    *_, scaling = fitted(["pixel"], x)[-1]
    assert scaling.step.tolist() == [1.0, 1.0]
    assert (scaling.low.tolist(), scaling.high.tolist()) == ([0.0, 0.0], [8.0, 8.0])


@pytest.mark.once
def test_data_of_one_value_for_each_column_do_not_vary_for_their_gaps():
    x = np.full((150, 2), [1.0, 2.0])
    x[:120, 0], x[120:140, 1] = np.nan, np.nan
    with pytest.raises(ValueError, match="every example is the same"):
        fitted(["pixel"], x)


# -- statistics of 8-bit data ----------------------------------------------------------------------


@pytest.mark.once
@pytest.mark.parametrize(("low", "high"), [(0, 256), (254, 256), (0, 2)])
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


@pytest.mark.once
def test_a_transformed_accumulator_is_that_of_transformed_data(rng):
    x, matrix, offset = rng.normal(size=(50, 4)), rng.normal(size=(3, 4)), rng.normal(size=3)
    found = Covariance().update(x).transformed(matrix, offset)
    whole = Covariance().update(x @ matrix.T + offset)
    assert found.count == 50
    np.testing.assert_allclose(found.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(found.covariance, whole.covariance, rtol=1e-10)


@pytest.mark.once
def test_joined_batches_are_the_same_examples():
    x = np.arange(60).reshape(20, 3)
    blocks = list(join([x[:1], x[1:1], x[1:3], x[3:12], x[12:19], x[19:]], size=9))
    assert [len(block) for block in blocks] == [3, 9, 7, 1]
    np.testing.assert_array_equal(np.concatenate(blocks), x)
    assert list(join([], size=9)) == []


# -- few batches in memory at a time ---------------------------------------------------------------


class Kept:
    """Makes batches anew and knows how many of them are alive at most."""

    def __init__(self, n_batches=20, size=8):
        self.n_batches, self.size, self.alive, self.most = n_batches, size, set(), 0

    def __call__(self, index):
        class Batch(np.ndarray):  # a plain array has no weak references to its buffer's users
            pass

        rng = np.random.default_rng(index)
        batch = rng.integers(0, 256, (self.size, 4, 4, 1)).astype("uint8").view(Batch)
        self.alive.add(index)
        weakref.finalize(batch, self.alive.discard, index)
        self.most = max(self.most, len(self.alive))
        return batch


class Dataset(keras.utils.PyDataset):
    def __init__(self, make):
        super().__init__()
        self.make = make

    def __len__(self):
        return self.make.n_batches

    def __getitem__(self, index):
        return (self.make(index),)


def of_generator(make):
    return (make(i) for i in range(make.n_batches))


USES = {
    "adapt": lambda model, x: model.adapt(x, verbose=0),
    "fit": lambda model, x: model.fit(x, verbose=0),
    "evaluate": lambda model, x: model.evaluate(x, verbose=0),
    "predict": lambda model, x: model.predict(x, verbose=0),
    "log_prob": lambda model, x: model.log_prob(x, trace="hutchinson", rtol=1.0, atol=1.0),
    "features": lambda model, x: FLAT.statistics(x),
    "spectrum": lambda model, x: metrics.radial_spectrum(x),
}
FLAT = metrics.Features(lambda x: keras.ops.reshape(x, (-1, 16)), "pixels")


@pytest.fixture(scope="module")
def model():
    made = keras_gud.GUD(basis="haar", schedule="cosine", backbone=OneWeightPerValue(), seed=0)
    made.adapt(Kept(1, 100)(0), verbose=0)
    return made


@pytest.mark.once
@pytest.mark.parametrize("use", USES)
def test_of_a_data_set_few_batches_are_in_memory(model, use, monkeypatch):
    monkeypatch.setattr("keras_gud.training.measure_data._BLOCK", 512)  # four batches
    kept = Kept()
    USES[use](model, Dataset(kept))
    # A backend may hold on to the last one that it was given.
    assert kept.alive <= {kept.n_batches - 1}
    assert 1 <= kept.most <= 12  # those that Keras or TensorFlow read ahead


@pytest.mark.once
@pytest.mark.parametrize("use", ["evaluate", "features", "spectrum"])
def test_of_a_generator_likewise(model, use):
    kept = Kept()
    USES[use](model, of_generator(kept))
    assert 1 <= kept.most <= 12


@pytest.mark.once
def test_what_is_held_of_a_generator_is_limited(monkeypatch):
    kept = Kept()
    monkeypatch.setattr(source_module, "MAX_PEEK_BYTES", 5 * 8 * 16)
    source = Source(of_generator(kept))
    assert len(list(source)) == kept.most == 5
    assert sum(len(batch[0]) for batch in source.keras_data) == 20 * 8


@pytest.mark.once
def test_a_memory_mapped_array_is_not_copied(model, tmp_path):
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", "uint8", (200_000, 4, 4, 1))
    x[:] = np.arange(16, dtype="uint8").reshape(4, 4, 1)
    x[::3] += 9
    tracemalloc.start()
    try:
        model.adapt(x, verbose=0)
        source = model.data_space.open(x)
        source.guard(model.data_space.check)
        statistics = FLAT.statistics(x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert statistics.n == len(x)
    assert peak < x.nbytes / 2
