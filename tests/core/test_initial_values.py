"""First values of layers: functions of a seed, the same on every backend."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_gud import backbones
from keras_gud.core.initial_values import GlorotUniform, RandomNormal
from keras_gud.core.seeding import numpy_values, seeded_defaults


def kernel_of(seed):
    with seeded_defaults(seed):
        layer = keras.layers.Conv2D(3, 2)
        layer.build((None, 4, 4, 5))
    return ops.convert_to_numpy(layer.kernel)


def test_kernels_are_a_function_of_the_seed_on_every_backend():
    kernel = kernel_of(3)
    np.testing.assert_array_equal(kernel, kernel_of(3))
    assert (kernel != kernel_of(4)).all()
    np.testing.assert_allclose(kernel[0, 0, 0], [0.39729565, -0.16641451, -0.10193311], rtol=1e-5)


@pytest.mark.parametrize("shape", [(3, 3, 8, 16), (24, 40), (5,), ()])
def test_the_limit_is_that_of_keras(shape):
    ours = ops.convert_to_numpy(GlorotUniform(seed=1)(shape))
    theirs = ops.convert_to_numpy(keras.initializers.GlorotUniform(seed=1)(shape))
    assert ours.shape == theirs.shape
    if ours.size > 500:
        np.testing.assert_allclose(np.abs(ours).max(), np.abs(theirs).max(), rtol=0.02)


def test_dtypes_and_configs():
    normal = RandomNormal(mean=2.0, stddev=0.1, seed=1)
    again = keras.initializers.deserialize(keras.initializers.serialize(normal))
    values = again((50,), "bfloat16")
    assert keras.backend.standardize_dtype(values.dtype) == "bfloat16"
    np.testing.assert_allclose(float(ops.mean(ops.cast(values, "float32"))), 2.0, atol=0.1)
    with numpy_values():
        counts = keras.initializers.get("ones")((2,), "int32")
    assert keras.backend.standardize_dtype(counts.dtype) == "int32"
    assert ops.convert_to_numpy(counts).tolist() == [1, 1]


def test_a_network_built_with_it_is_saved_and_loaded(tmp_path):
    with seeded_defaults(0):
        network = backbones.get("tiny", data_shape=(4, 4, 1))
        network.build([(None, 4, 4, 1), (None, 2, 3)])
    assert type(network.stem.kernel_initializer) is GlorotUniform
    copy = keras.layers.Dense.from_config(network.embedding.token_in.get_config())
    assert type(copy.kernel_initializer) is GlorotUniform
