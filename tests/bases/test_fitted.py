"""pca, channel bases, a user's matrix and products of bases."""

import numpy as np
import pytest
from scipy.stats import ortho_group
from sklearn import decomposition

from keras_gud import bases
from keras_gud.bases.batches import to_numpy

pytestmark = pytest.mark.once


def distinct(rng, n, d):
    """Data whose covariance has clearly distinct eigenvalues."""
    return rng.normal(size=(n, d)) * 1.5 ** -np.arange(d) @ ortho_group.rvs(d, random_state=1) + 3.0


def assert_same_subspaces(ours, reference, count):
    """The leading eigenvectors span the same subspaces: equal projectors for every rank."""
    for k in range(1, count + 1):
        a, b = ours[:k], reference[:k]
        np.testing.assert_allclose(a.T @ a, b.T @ b, atol=2e-5)


class TestPCA:
    def test_same_subspaces_as_sklearn(self, rng):
        x = distinct(rng, 500, 12)
        basis = bases.PCA()
        basis.adapt(x, batch_size=100)
        reference = decomposition.PCA().fit(x)
        assert_same_subspaces(to_numpy(basis.matrix), reference.components_, 12)
        # Ours are population variances, those of scikit-learn are divided by n - 1.
        values = reference.explained_variance_ * 499 / 500
        np.testing.assert_allclose(to_numpy(basis.eigenvalues), values, rtol=1e-5)

    def test_constant_pixels(self, rng):
        x = distinct(rng, 300, 16).reshape(300, 4, 4, 1)
        x[:, 0] = 0.1
        basis = bases.PCA()
        basis.adapt(x, batch_size=50)
        reference = decomposition.PCA().fit(x.reshape(300, 16))
        assert_same_subspaces(to_numpy(basis.matrix), reference.components_, 12)
        np.testing.assert_allclose(
            to_numpy(basis.eigenvalues)[12:], 1e-6 * to_numpy(basis.eigenvalues)[0], rtol=1e-5
        )
        np.testing.assert_allclose(to_numpy(basis.inverse(basis(x))), x, atol=1e-5)

    def test_spatial_covariance_of_the_channel_average(self, rng):
        x = distinct(rng, 300, 48).reshape(300, 4, 4, 3)
        basis = bases.PCA()
        basis.adapt(x)
        reference = decomposition.PCA().fit(x.mean(axis=-1).reshape(300, 16)).components_
        ours = to_numpy(basis.matrix)
        np.testing.assert_allclose(np.abs((ours * reference).sum(axis=1)), 1, atol=1e-4)
        # The same transformation in every channel.
        expected = np.einsum("kd,bdc->bkc", ours, x.reshape(300, 16, 3)).reshape(x.shape)
        np.testing.assert_allclose(to_numpy(basis(x)), expected, atol=1e-4)

    def test_mixed_channels_diagonalise_everything(self, rng):
        x = distinct(rng, 200, 12).reshape(200, 2, 2, 3)
        basis = bases.PCA(mix_channels=True)
        basis.adapt(x)
        z = to_numpy(basis(x)).reshape(200, 12).astype("float64")
        covariance = np.cov(z.T, bias=True)
        off_diagonal = covariance - np.diag(np.diag(covariance))
        assert np.abs(off_diagonal).max() < 1e-5
        np.testing.assert_allclose(
            np.diag(covariance)[:8], to_numpy(basis.eigenvalues)[:8], rtol=1e-3
        )
        assert set(basis.coordinates) == {"rank"}
        assert basis.mixes_channels
        np.testing.assert_array_equal(basis.coordinates["rank"].ravel(), np.arange(12))

    def test_small_batches_equal_one_batch(self, rng):
        x = distinct(rng, 103, 10) + 1000
        small, whole = bases.PCA(), bases.PCA()
        small.adapt(x, batch_size=7)
        whole.adapt(x, batch_size=1000)
        np.testing.assert_allclose(to_numpy(small.matrix), to_numpy(whole.matrix), atol=1e-6)
        np.testing.assert_allclose(
            to_numpy(small.eigenvalues), to_numpy(whole.eigenvalues), rtol=1e-5
        )

    def test_order_and_signs(self, rng):
        basis = bases.PCA()
        basis.adapt(distinct(rng, 100, 8).reshape(100, 8, 1))
        assert (np.diff(to_numpy(basis.eigenvalues)) <= 0).all()
        matrix = to_numpy(basis.matrix)
        assert (matrix[np.arange(8), np.abs(matrix).argmax(axis=1)] > 0).all()
        np.testing.assert_array_equal(basis.coordinates["rank"][:, 0], np.arange(8))
        assert set(basis.coordinates) == {"rank", "channel"}

    @pytest.mark.parametrize("value", [0.0, 0.1, -1e6])
    def test_constant_data(self, value):
        basis = bases.PCA()
        basis.adapt(np.full((20, 3, 3, 1), value), batch_size=6)
        matrix = to_numpy(basis.matrix)
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(9), atol=1e-5)
        eigenvalues = to_numpy(basis.eigenvalues)
        assert np.isfinite(eigenvalues).all()
        assert (eigenvalues > 0).all()

    def test_too_few_examples(self, rng):
        x = rng.normal(size=(16, 4, 4, 1))
        with pytest.raises(ValueError, match=r"at least 17 examples.*Received: 16 examples"):
            bases.PCA().adapt(x)
        basis = bases.PCA(allow_rank_deficient=True)
        basis.adapt(x[:5])
        np.testing.assert_allclose(to_numpy(basis.inverse(basis(x))), x, atol=1e-5)
        with pytest.raises(ValueError, match=r"at least 2 examples.*Received: 1 examples"):
            bases.PCA(allow_rank_deficient=True).adapt(x[:1])

    def test_too_many_positions(self):
        with pytest.raises(ValueError, match=r"at most 4096.*data_shape=\(65, 64, 1\).*4160.*dct"):
            bases.PCA().build((None, 65, 64, 1))
        with pytest.raises(ValueError, match="12288 components"):
            bases.PCA(mix_channels=True).build((None, 64, 64, 3))

    @pytest.mark.parametrize("floor", [0.0, -1.0, 1.0])
    def test_bad_floor(self, floor):
        with pytest.raises(ValueError, match=f"between 0 and 1. Received: floor={floor}"):
            bases.PCA(floor=floor)

    def test_no_numbers(self):
        with pytest.raises(ValueError, match="batches of real numbers. Received: .*dtype <U1"):
            bases.PCA(mix_channels=False).adapt(np.full((9, 2, 3), "a"))

    @pytest.mark.parametrize("dtype", ["uint64", "int16", "bool", "longdouble"])
    def test_numbers_of_any_type(self, dtype, rng):
        x = (rng.normal(size=(40, 4, 3)) > 0).astype(dtype)
        got, expected = (bases.Compose([bases.get("dct"), bases.PCA()]) for _ in range(2))
        got.adapt(x)
        x = x.astype("float32")
        expected.adapt(x)
        np.testing.assert_allclose(to_numpy(got(x)), to_numpy(expected(x)), atol=1e-6)

    def test_not_finite(self, rng):
        x = rng.normal(size=(20, 4))
        x[3, 1] = np.nan
        with pytest.raises(ValueError, match=r"finite data. Received: batch with NaN"):
            bases.PCA().adapt(x)


class TestChannelMix:
    def test_luma_is_grey_first(self, rng):
        x = rng.uniform(size=(2, 4, 4, 3))
        weights = np.array([0.299, 0.587, 0.114])
        z = to_numpy(bases.ChannelMix("luma")(x))
        np.testing.assert_allclose(z[..., 0], x @ weights / np.linalg.norm(weights), atol=1e-5)
        # No claim of the colours' axes, but each is pinned to be the same everywhere.
        matrix = bases.channel.luma_matrix(3)
        assert matrix[1, 0] > 0
        assert matrix[2, 1] > 0

    @pytest.mark.parametrize("channels", [1, 2, 4, 5])
    def test_equal_weights_otherwise(self, channels):
        matrix = bases.channel.luma_matrix(channels)
        np.testing.assert_allclose(matrix[0], channels**-0.5)
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(channels), atol=1e-12)

    def test_pca_is_that_of_all_positions(self, rng):
        x = distinct(rng, 400, 3).reshape(100, 2, 2, 3)
        basis = bases.ChannelMix("pca")
        basis.adapt(x, batch_size=30)
        reference = decomposition.PCA().fit(x.reshape(-1, 3)).components_
        assert_same_subspaces(to_numpy(basis.matrix), reference, 3)

    def test_custom(self, rng):
        matrix = ortho_group.rvs(3, random_state=0)
        x = rng.normal(size=(2, 5, 3))
        np.testing.assert_allclose(to_numpy(bases.ChannelMix(matrix)(x)), x @ matrix.T, atol=1e-5)

    @pytest.mark.parametrize(
        ("matrix", "message"),
        [
            ("lumma", "Received: matrix='lumma'"),
            ([[1.0, 0.0]], r"square matrix. Received: matrix of shape \(1, 2\)"),
            ([[1.0, 0.0], [0.0, 1.1]], r"orthogonal.*largest deviation of 0.21"),
            ([[1.0, 0.0], [0.0, np.nan]], r"orthogonal.*deviation of nan"),
        ],
    )
    def test_bad_matrix(self, matrix, message):
        with pytest.raises(ValueError, match=message):
            bases.ChannelMix(matrix)

    def test_bad_shapes(self):
        with pytest.raises(ValueError, match=r"Received: vectors, data_shape=\(16,\)"):
            bases.ChannelMix().build((None, 16))
        with pytest.raises(ValueError, match=r"channels, 3. Received: matrix of shape \(2, 2\)"):
            bases.ChannelMix(np.eye(2)).build((None, 4, 4, 3))

    def test_too_few_positions(self, rng):
        with pytest.raises(ValueError, match=r"at least 4 positions.*Received: 2 positions"):
            bases.ChannelMix("pca").adapt(rng.normal(size=(1, 2, 3)))


class TestMatrix:
    def test_over_positions(self, rng):
        matrix = ortho_group.rvs(6, random_state=0)
        basis = bases.Matrix(matrix.tolist())
        x = rng.normal(size=(4, 2, 3, 2))
        expected = np.einsum("kd,bdc->bkc", matrix, x.reshape(4, 6, 2)).reshape(x.shape)
        np.testing.assert_allclose(to_numpy(basis(x)), expected, atol=1e-5)
        assert not basis.mixes_channels
        np.testing.assert_array_equal(basis.coordinates["component"][..., 1].ravel(), np.arange(6))

    def test_over_all_components(self, rng):
        matrix = ortho_group.rvs(12, random_state=0)
        basis = bases.Matrix(matrix)
        x = rng.normal(size=(4, 2, 3, 2))
        expected = (x.reshape(4, 12) @ matrix.T).reshape(x.shape)
        np.testing.assert_allclose(to_numpy(basis(x)), expected, atol=1e-5)
        assert basis.mixes_channels
        assert set(basis.coordinates) == {"component"}

    def test_errors(self):
        with pytest.raises(ValueError, match="largest deviation of 3"):
            bases.Matrix(2 * np.eye(4))
        with pytest.raises(ValueError, match=r"size 4 \(positions\) or 12.*shape \(5, 5\)"):
            bases.Matrix(np.eye(5)).build((None, 2, 2, 3))

    def test_the_tolerance_is_one_in_ten_thousand(self):
        bases.Matrix(np.diag([1.0, 1.00004]))
        with pytest.raises(ValueError, match="orthogonal"):
            bases.Matrix(np.diag([1.0, 1.00006]))


class TestCompose:
    def test_the_first_basis_comes_first(self, rng):
        a, b = (ortho_group.rvs(4, random_state=i) for i in range(2))
        x = rng.normal(size=(3, 4))
        basis = bases.Compose([bases.Matrix(a), bases.Matrix(b)])
        np.testing.assert_allclose(to_numpy(basis(x)), x @ a.T @ b.T, atol=1e-5)

    def test_each_is_fitted_on_the_output_of_the_one_before(self, rng):
        x = distinct(rng, 100, 12).reshape(100, 2, 2, 3)
        basis = bases.Compose(["channel", bases.PCA(mix_channels=True)])
        basis.adapt([x[:30], x[30:]])
        mixed = bases.ChannelMix()(x)
        alone = bases.PCA(mix_channels=True)
        alone.adapt(mixed)
        np.testing.assert_allclose(
            to_numpy(basis.bases[1].matrix), to_numpy(alone.matrix), atol=1e-5
        )

    def test_three_fits_and_their_batches(self, rng):
        x = distinct(rng, 100, 12).reshape(100, 2, 2, 3)
        basis = bases.Compose(["pca", "channel_pca", "pca"])
        basis.adapt(x, batch_size=9)
        # The data are decorrelated over space by now: the second pca finds next to nothing to do.
        np.testing.assert_allclose(to_numpy(basis.inverse(basis(x))), x, atol=1e-5)

    @pytest.mark.parametrize(
        ("names", "expected"),
        [
            (["channel", "fourier"], {"frequency", "channel"}),
            (["fourier", "channel"], {"frequency", "channel"}),
            (["pixel", "channel"], {"row", "column", "channel"}),
            (["pixel", "dct"], {"frequency", "channel"}),
            (["dct", "haar"], {"band", "orientation", "row", "column", "channel"}),
        ],
    )
    def test_coordinates(self, names, expected):
        basis = bases.Compose(names)
        basis.build((None, 4, 4, 3))
        assert set(basis.coordinates) == expected

    def test_mixed_channels_lose_their_coordinate(self):
        basis = bases.Compose(["dct", bases.Matrix(np.eye(12))])
        basis.build((None, 2, 2, 3))
        assert set(basis.coordinates) == {"component"}
        assert basis.mixes_channels

    def test_flags(self):
        assert bases.Compose(["dct", "channel_pca"]).needs_data
        assert not bases.Compose(["dct", "channel"]).needs_data
        assert not bases.Compose(["pixel", "channel"]).mixes_space
        assert bases.Compose(["pixel", "channel"]).mixes_channels
        assert not bases.Compose(["pixel", "dct"]).mixes_channels

    def test_symmetrize_is_that_of_the_last_spatial_basis(self, rng):
        values = rng.normal(size=(4, 4, 3))
        fourier = bases.Fourier()
        fourier.build((None, 4, 4, 3))
        for names in (["channel", "fourier"], ["fourier", "channel"], ["dct", "fourier"]):
            basis = bases.Compose(names)
            basis.build((None, 4, 4, 3))
            np.testing.assert_array_equal(basis.symmetrize(values), fourier.symmetrize(values))
        for names in (["fourier", "dct"], ["pixel", "channel"]):
            basis = bases.Compose(names)
            basis.build((None, 4, 4, 3))
            np.testing.assert_array_equal(basis.symmetrize(values), values)

    def test_errors(self):
        with pytest.raises(ValueError, match=r"at least one basis. Received: bases=\[\]"):
            bases.Compose([])
        built = bases.DCT()
        built.build((None, 2, 2, 1))
        with pytest.raises(ValueError, match=r"DCT built for data_shape=\(2, 2, 1\)"):
            bases.Compose([built]).build((None, 4, 4, 1))
        with pytest.raises(TypeError, match="one-shot generator"):
            bases.Compose(["pca", "dct"]).adapt(np.zeros((2, 4)) for _ in range(3))
