"""`sample(given=...)`: some values of a sample are those that are given."""

import numpy as np
import pytest
from helpers.tiny_model import TinyNet, vectors

import keras_gud

pytestmark = pytest.mark.once

HOW = {"steps": 2, "seed": 0}


def make(x, **kwargs):
    made = keras_gud.GUD(schedule="cosine", backbone="tiny", region=["inpaint"], seed=0, **kwargs)
    made.adapt(x, verbose=0)
    return made


@pytest.fixture(scope="module")
def model():
    return make(vectors(64))


def test_what_is_given_comes_back(model):
    row = np.array([np.nan, 0.5, np.nan, -1.0])
    made = model.sample(3, given=row, **HOW)
    assert made.shape == (3, 4)
    np.testing.assert_array_equal(made[:, [1, 3]], [[0.5, -1.0]] * 3)
    assert len(np.unique(made[:, 0])) == 3
    np.testing.assert_array_equal(model.sample(3, given={1: 0.5, 3: -1.0}, **HOW), made)


def test_a_value_for_each_sample(model):
    made = model.sample(3, given={0: [1.0, 2.0, 3.0], 2: 0.0}, **HOW)
    np.testing.assert_array_equal(made[:, 0], [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(made[:, 2], 0.0)


def test_columns_of_a_table_by_name():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(vectors(64), columns=["age", "height", "weight", "pulse"])
    made = make(table).sample(2, given={"weight": 0.5}, **HOW)
    assert list(made.columns) == list(table.columns)
    np.testing.assert_array_equal(made["weight"], 0.5)
    with pytest.raises(ValueError, match="among \\['age'.*Received: 'heigth'. Did you.*'height'"):
        make(table).sample(2, given={"heigth": 1.0})


def test_images_of_integers_stay_so():
    x = np.random.default_rng(0).integers(0, 256, (16, 4, 4, 1)).astype("uint8")
    half = np.where(np.arange(4) < 2, x[0, ..., 0], np.nan)[..., None]
    made = make(x).sample(2, given=half, **HOW)
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(made[:, :, :2], x[[0, 0], :, :2])


def test_a_model_that_was_not_trained_for_it_warns():
    made = keras_gud.GUD(schedule="cosine", backbone=TinyNet(), seed=0)
    made.adapt(vectors(64), verbose=0)
    with pytest.warns(UserWarning, match="inpaint"):
        made.sample(2, given={0: 1.0}, **HOW)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros(4), "leave something open"),
        (np.full(3, np.nan), r"`given` of shape \(4,\), or \(2, 4\)"),
        ({4: 1.0}, "among \\[0, 1, 2, 3\\]. Received: 4"),
        ({0: [1.0, 2.0, 3.0]}, "one value of column 0, or n=2"),
    ],
)
def test_unusable_values(model, given, message):
    with pytest.raises(ValueError, match=message):
        model.sample(2, given=given)


def test_what_goes_with_it(model):
    with pytest.raises(ValueError, match="with `given`"):
        model.sample(2, given={0: 1.0}, states=3)
