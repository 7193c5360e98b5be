"""Checks of data and arguments, one by one; how they meet a model is in test_bad_input.py."""

import functools
import pickle

import keras
import numpy as np
import pytest

from keras_gud.core.arguments import check_integer, check_keywords
from keras_gud.core.data_shape import validate_data_shape
from keras_gud.data.checks import (
    check_batch,
    check_finite,
    check_layout,
    check_sample_weight,
    check_shape_and_kind,
    data_kind,
)
from keras_gud.training.fit_components import all_or_nothing

FLOATS = np.random.default_rng(0).normal(size=(6, 4, 4, 1)).astype("float32")


@pytest.mark.once
@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), 3.0, np.float32(3)])
def test_whole_numbers_are_integers(value):
    result = check_integer("n", value, least=3)
    assert result == 3
    assert type(result) is int


@pytest.mark.once
def test_without_a_least_value_integers_may_be_negative():
    assert check_integer("seed", -5) == -5
    with pytest.raises(ValueError, match=r"Expected `seed` to be an integer\. Received"):
        check_integer("seed", None)


@pytest.mark.once
@pytest.mark.parametrize(
    "value", [0, -1, 0.5, True, None, "3", [3], float("nan"), float("inf"), 3j, (), np.arange(2)]
)
def test_anything_else_is_not(value):
    with pytest.raises(ValueError, match="Expected `n` to be an integer >= 1. Received: n="):
        check_integer("n", value, least=1)


@pytest.mark.once
def test_keywords():
    check_keywords("f", {}, ["a"])
    check_keywords("f", {"a": 1, "b": 2}, ["b", "a"])
    with pytest.raises(
        ValueError, match=r"argument of `f`, one of \['epochs', 'x'\].*epoch=3.*Did you mean 'epo"
    ):
        check_keywords("f", {"x": 1, "epoch": 3}, ["x", "epochs"])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16"])
def test_floats_of_every_width_are_floats(dtype):
    assert data_kind(keras.ops.cast(FLOATS, dtype)) == "float"


def test_the_kind_of_arrays_and_tensors():
    assert data_kind(FLOATS.astype("uint8")) == "uint8"
    assert data_kind(keras.ops.convert_to_tensor(FLOATS.astype("uint8"))) == "uint8"
    assert data_kind(FLOATS.astype("float64")) == "float"


INTEGERS = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


@pytest.mark.once
@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_of_every_type_are_known_by_its_name(dtype):
    assert data_kind(np.ones((2, 3)).astype(dtype)) == dtype


OTHERS = ["complex64", "str"] + (["longdouble"] if np.finfo("longdouble").bits > 64 else [])


@pytest.mark.once
@pytest.mark.parametrize("dtype", OTHERS)
def test_other_types_are_refused_with_advice(dtype):
    with pytest.raises(
        ValueError, match=r"Expected real numbers: integers \(.*or floats\. Received: x of dtype"
    ):
        data_kind(np.ones((2, 3)).astype(dtype))


@pytest.mark.once
@pytest.mark.parametrize("shape", [(5,), (16, 2), (7, 10, 3), (4, 4, 4, 1), (3, 4, 4), (2, 9, 9)])
def test_layouts_that_pass(shape):
    assert check_layout(np.zeros((2, *shape), "float32")) == shape


@pytest.mark.once
@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 28, 28), (3, 5, 16, 16), (1, 8, 8, 8)])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_channels_first_are_seen(shape, dtype):
    with pytest.raises(ValueError, match="Expected channels last.*moveaxis.*permute") as error:
        check_layout(np.zeros((2, *shape), dtype))
    assert f"data_shape={shape}" in str(error.value)


@pytest.mark.once
def test_a_single_image_lacks_the_batch_axis():
    with pytest.raises(ValueError, match=r"x\[\.\.\., None\]; for a single image.*x\[None\]"):
        check_layout(np.zeros((28, 28, 3), "uint8"))


@pytest.mark.once
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite(value):
    x = FLOATS.copy()
    check_finite(x)
    x[4, 1, 2, 0] = value
    with pytest.raises(ValueError, match="Expected finite data.*first in example 4"):
        check_finite(x)
    check_finite(x[:4])


def test_the_same_as_before():
    check_shape_and_kind(FLOATS, (4, 4, 1), "float")
    check_shape_and_kind(keras.ops.convert_to_tensor(FLOATS), (4, 4, 1), "float")
    for shape in [(4, 4), (4, 4, 3), (4, 4, 1, 1), (16,)]:
        with pytest.raises(ValueError, match=r"Expected data of shape.*\(6, 4, 4, 1\)"):
            check_shape_and_kind(FLOATS, shape, "float")
    with pytest.raises(ValueError, match="Expected uint8 data.*the original integers; the"):
        check_shape_and_kind(FLOATS, (4, 4, 1), "uint8")
    check_shape_and_kind(FLOATS.astype("int64"), (4, 4, 1), "uint8")
    with pytest.raises(ValueError, match=r"Expected float data.*uint8\.$"):
        check_shape_and_kind(FLOATS.astype("uint8"), (4, 4, 1), "float")


def test_unknown_sizes_of_a_graph_are_not_wrong_sizes():
    x = keras.KerasTensor((None, None, 4, 1))
    check_shape_and_kind(x, (4, 4, 1), "float")
    with pytest.raises(ValueError, match="Expected data of shape"):
        check_shape_and_kind(x, (4, 5, 1), "float")


@pytest.mark.once
def test_a_batch_needs_an_example():
    check = functools.partial(check_batch, data_shape=(4, 4, 1), kind="float")
    check = pickle.loads(pickle.dumps(check))  # as a DataLoader's workers get it
    check(FLOATS)
    with pytest.raises(ValueError, match="at least one example in every batch"):
        check(FLOATS[:0])


@pytest.mark.once
def test_weights():
    weight = check_sample_weight([0, 1, 2], 3)
    assert weight.dtype == np.float32
    assert weight.tolist() == [0.0, 1.0, 2.0]
    for wrong in (np.ones(2), np.ones((3, 1)), 1.0, "heavy", [1, "heavy", 2]):
        with pytest.raises(ValueError, match=r"`sample_weight` of shape \(3,\)"):
            check_sample_weight(wrong, 3)
    for wrong in ([-1, 1, 1], [0, 0, 0], [1, np.nan, 1], [1, np.inf, 1]):
        with pytest.raises(ValueError, match="finite, >= 0 and not all 0"):
            check_sample_weight(wrong, 3)


@pytest.mark.once
def test_data_shapes():
    shape = validate_data_shape([np.int64(4), 4, 1])
    assert shape == (4, 4, 1)
    assert all(type(n) is int for n in shape)
    for wrong in (28, (), (4, 0), (4, -1), (4, None), (4.0, 4), (1,) * 5, None):
        with pytest.raises(ValueError, match="with every size known. Received: data_shape="):
            validate_data_shape(wrong)


def test_adapting_is_all_or_nothing():
    kept = keras.Variable(np.arange(3.0))

    def fail():
        with all_or_nothing([kept]):
            kept.assign(np.zeros(3))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(kept), np.arange(3.0))
    with all_or_nothing([kept]):
        kept.assign(np.ones(3))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(kept), np.ones(3))
