"""The contract of a basis, for every registered basis, products of them and a user's matrix."""

from functools import cache

import keras
import numpy as np
import pytest
from scipy.stats import ortho_group

from keras_gud import bases
from keras_gud.bases.batches import to_numpy
from keras_gud.core.data_shape import spatial_shape

SHAPES = [(4, 4, 3), (8, 8, 3), (8, 12, 1), (16, 2), (16,), (4, 8, 4, 2)]
TOLERANCE = 1e-5

# Every registered name, and what has none: the makers take the data shape.
MAKERS = {
    name: (lambda shape, name=name: bases.get(name)) for name in sorted(bases.registry.factories)
}
MAKERS |= {
    "pca_mixed": lambda shape: bases.PCA(mix_channels=True),
    "matrix": lambda shape: bases.Matrix(rotation(spatial_shape(shape))),
    "matrix_mixed": lambda shape: bases.Matrix(rotation(shape)),
    "channel_then_space": lambda shape: bases.Compose(["channel_pca", "fourier"]),
    "space_then_channel": lambda shape: bases.Compose(["pca", "channel"]),
}


@cache
def rotation(shape):
    return ortho_group.rvs(int(np.prod(shape)), random_state=0)


def serves(name, shape):
    """Whether a basis accepts a shape, by its own word (channel bases refuse vectors, say)."""
    basis = MAKERS[name](shape)
    try:
        for part in getattr(basis, "bases", [basis]):
            part.check_shape(shape)
    except ValueError:
        return False
    return True


# Every basis on one shape with every backend: other shapes are other calls of the same operations.
CASES = [
    pytest.param(
        name,
        shape,
        id=f"{name}-{'x'.join(map(str, shape))}",
        marks=[pytest.mark.once] * (shape != SHAPES[0]),
    )
    for name in MAKERS
    for shape in SHAPES
    if serves(name, shape)
]


def once(*names):
    """Parameters of tests that run on one backend."""
    return [pytest.param(name, marks=pytest.mark.once) for name in names]


@pytest.mark.once
@pytest.mark.parametrize("name", MAKERS)
def test_most_shapes_are_served(name):
    assert sum(serves(name, shape) for shape in SHAPES) >= 3


def correlated(rng, n, shape):
    """Examples with neighbours that look alike, and channels that differ."""
    noise = rng.normal(size=(n, *shape))
    smooth = noise + 0.7 * np.roll(noise, 1, axis=1) + 0.3 * np.roll(noise, 1, axis=-1)
    return (smooth + np.arange(shape[-1])).astype("float32")


def examples(rng, shape):
    """Five examples and all unit vectors, in one batch: each batch size is compiled anew."""
    size = int(np.prod(shape))
    unit = np.eye(size, dtype="float32").reshape(size, *shape)
    return np.concatenate([correlated(rng, 5, shape), unit])


def fitted(name, shape, rng):
    basis = MAKERS[name](shape)
    # Only what is fitted needs as many examples as components.
    n = int(np.prod(shape)) + 2 if basis.needs_data else 4
    basis.adapt(correlated(rng, n, shape), batch_size=128)
    return basis


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_contract(name, shape, rng):
    basis = fitted(name, shape, rng)
    x = examples(rng, shape)
    z = to_numpy(basis(x))

    assert z.shape == x.shape
    back = to_numpy(basis.inverse(z))
    np.testing.assert_allclose(back, x, atol=TOLERANCE)
    np.testing.assert_allclose((z[:5] ** 2).sum(), (x[:5] ** 2).sum(), rtol=TOLERANCE)

    # All unit vectors: U U^T = 1 entry by entry, so also |det U| = 1 and no log-determinant.
    size = int(np.prod(shape))
    matrix = z[5:].reshape(size, size)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(size), atol=TOLERANCE)
    transposed = to_numpy(basis.inverse(x))[5:].reshape(size, size)
    np.testing.assert_allclose(transposed, matrix.T, atol=TOLERANCE)

    assert basis.coordinates
    for coordinate in basis.coordinates.values():
        assert coordinate.shape == shape
        assert np.isfinite(coordinate).all()
    assert basis.symmetrize(np.ones(shape)).shape == shape
    assert basis.compute_output_shape((None, *shape)) == (None, *shape)


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_serialisation_with_weights(name, shape, rng):
    basis = fitted(name, shape, rng)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(basis))
    assert copy.built
    assert copy.data_shape == shape
    copy.set_weights(basis.get_weights())
    x = examples(rng, shape)
    np.testing.assert_array_equal(to_numpy(copy(x)), to_numpy(basis(x)))
    assert copy.get_config() == basis.get_config()
    for coordinate, values in basis.coordinates.items():
        np.testing.assert_array_equal(copy.coordinates[coordinate], values)


@pytest.mark.once
@pytest.mark.parametrize("name", ["pixel", "fourier", "dct", "haar", "channel"])
def test_orthogonal_on_large_images(name, rng):
    shape = (64, 64, 3)
    basis = bases.get(name)
    basis.build((None, *shape))
    # The whole matrix would not fit: some of its rows and columns, beside two images.
    x = np.zeros((34, 64 * 64 * 3), "float32")
    x[np.arange(32), rng.choice(x.shape[1], 32, replace=False)] = 1
    x[32:] = rng.uniform(-1, 1, size=(2, x.shape[1]))
    x = x.reshape(34, *shape)
    z = to_numpy(basis(x))
    np.testing.assert_allclose(to_numpy(basis.inverse(z)), x, atol=TOLERANCE)
    for vectors in (z, to_numpy(basis.inverse(x))):
        flat = vectors[:32].reshape(32, -1)
        np.testing.assert_allclose(flat @ flat.T, np.eye(32), atol=TOLERANCE)


@pytest.mark.parametrize("name", ["space_then_channel", *once("haar", "channel_then_space")])
def test_inside_a_compiled_saved_model(name, rng, tmp_path):
    """Traced with an unknown batch size, and weights of sub-layers found again by Keras."""
    shape = SHAPES[0]
    basis = fitted(name, shape, rng)
    model = keras.Sequential([keras.Input(shape), basis])
    x = correlated(rng, 3, shape)
    z = model.predict(x, batch_size=2, verbose=0)
    np.testing.assert_allclose(z, to_numpy(basis(x)), atol=TOLERANCE)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(to_numpy(loaded.layers[0](x)), to_numpy(basis(x)))


@pytest.mark.parametrize("name", ["haar", "pca", *once(*sorted({*MAKERS} - {"haar", "pca"}))])
def test_integers_do_not_wrap_around(name, rng):
    basis = fitted(name, (4, 4, 3), rng)
    x = rng.integers(0, 256, size=(2, 4, 4, 3), dtype="uint8")
    expected = to_numpy(basis(x.astype("float32")))
    np.testing.assert_allclose(to_numpy(basis(x)), expected, rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(to_numpy(basis.inverse(basis(x))), x, atol=1e-3)


@pytest.mark.parametrize("name", ["dct", "pca"])
def test_half_precision_policy_does_not_reach_a_basis(name, rng):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        basis = fitted(name, (4, 4, 1), rng)
    finally:
        keras.config.set_dtype_policy(before)
    x = correlated(rng, 2, (4, 4, 1))
    np.testing.assert_allclose(to_numpy(basis.inverse(basis(x))), x, atol=TOLERANCE)


@pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="jax has float64 only as a global switch"
)
@pytest.mark.parametrize("name", ["fourier", "dct", "haar", "channel"])
def test_float64(name, rng):
    basis = bases.get(name, dtype="float64")
    x = rng.normal(size=(2, 8, 4, 3))
    np.testing.assert_allclose(to_numpy(basis.inverse(basis(x))), x, atol=1e-13)


class TestAdapt:
    def test_reads_batches_lazily(self, rng):
        x = correlated(rng, 40, (4, 2))
        alive = []

        class Dataset:
            def __iter__(self):
                for start in range(0, 40, 10):
                    alive.append(start)
                    yield x[start : start + 10]

        basis = bases.PCA()
        basis.adapt(Dataset())
        whole = bases.PCA()
        whole.adapt(x)
        np.testing.assert_allclose(to_numpy(basis.matrix), to_numpy(whole.matrix), atol=1e-6)
        # One peek at the first batch for the shape, then exactly one pass.
        assert alive == [0, 0, 10, 20, 30]

    def test_reads_only_the_shape_if_nothing_is_fitted(self, rng):
        def batches():
            yield np.zeros((2, 4, 4, 1), "float32")
            raise AssertionError("The second batch was read.")

        basis = bases.DCT()
        basis.adapt(bases.batches.Batches(batches))
        assert basis.data_shape == (4, 4, 1)

    def test_accepts_tensors(self, rng):
        x = correlated(rng, 20, (4, 2))
        basis = bases.PCA()
        basis.adapt([keras.ops.convert_to_tensor(x)])
        whole = bases.PCA()
        whole.adapt(keras.ops.convert_to_tensor(x))
        np.testing.assert_array_equal(to_numpy(basis.matrix), to_numpy(whole.matrix))

    @pytest.mark.parametrize(
        ("data", "error", "message"),
        [
            ((np.zeros((2, 4)) for _ in range(3)), TypeError, "one-shot generator"),
            (3, TypeError, "Received: data of type int"),
            ([(np.zeros((2, 4)), np.zeros(2))], TypeError, "Received: batch of type tuple"),
            ([], ValueError, "at least one batch of data. Received: no batch"),
            (np.zeros((0, 4)), ValueError, "at least one batch of data. Received: no batch"),
            (np.zeros(5), ValueError, r"Received: data_shape=\(\)"),
            (np.zeros((2, 3, 3, 3, 3, 3)), ValueError, r"Received: data_shape=\(3, 3, 3, 3, 3\)"),
        ],
    )
    def test_bad_data(self, data, error, message):
        with pytest.raises(error, match=message):
            bases.Pixel().adapt(data)

    def test_another_shape_than_before(self):
        basis = bases.Pixel()
        basis.adapt(np.zeros((2, 4, 4, 1)))
        with pytest.raises(ValueError, match=r"\(4, 4, 1\). Received: data_shape=\(4, 2, 1\)"):
            basis.adapt(np.zeros((2, 4, 2, 1)))
        with pytest.raises(ValueError, match="incompatible"):
            basis(np.zeros((2, 4, 2, 1), "float32"))


def test_coordinates_before_build():
    with pytest.raises(ValueError, match="Expected the Haar basis to be built"):
        _ = bases.Haar().coordinates


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(ValueError, match=r"basis='fouriere'. Did you mean 'fourier'\?"):
        bases.get("fouriere")


def test_constructor_arguments_through_get():
    assert bases.get("haar", levels=2).levels == 2
    assert bases.get("channel_pca").needs_data
