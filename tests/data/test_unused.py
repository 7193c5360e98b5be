"""What a model does not learn from is said by name."""

import warnings

import numpy as np
import pytest
from helpers.conditions import label_forms

from keras_gud.conditioning.forms import Form, Forms
from keras_gud.data.checks import check_layout
from keras_gud.data.source import Source

pytestmark = pytest.mark.once

X = np.zeros((8, 4), "float32")
LABELS = np.zeros(8, "int32")
NAMES = np.array(["a"] * 8)


def stream(batch):
    yield batch


def dataset(batch):
    import tensorflow as tf

    return tf.data.Dataset.from_tensors(batch)


@pytest.mark.parametrize("wrap", [lambda batch: batch, stream, dataset])
@pytest.mark.parametrize(
    ("batch", "said"),
    [
        ({"image": X, "text": NAMES}, "'text'"),
        ({"image": X, "mask": X + 1.0, "depth": X + 2.0}, "'depth', 'mask'"),
        ({"image": X, "label": LABELS}, "no classes"),
    ],
)
def test_unused_entries_are_named(wrap, batch, said):
    with pytest.warns(UserWarning, match=said):
        Source(wrap(batch))


def test_labels_without_classes():
    with pytest.warns(UserWarning, match=r"GUD\(..., classes="):
        Source(X, y=LABELS)
    with pytest.warns(UserWarning, match=r"GUD\(..., classes="):
        Source(stream((X, LABELS)))


@pytest.mark.parametrize(
    ("batch", "classes"),
    [
        (X, None),
        ((X,), None),
        ({"image": X}, None),
        ({"image": X, "id": NAMES, "file_name": NAMES}, None),
        ({"image": X, "label": LABELS}, 1),
        ((X, LABELS), 1),
    ],
)
def test_nothing_is_said_where_all_is_used(batch, classes):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        Source(stream(batch), forms=label_forms(classes))


def test_square_examples_may_be_grey_images():
    with pytest.warns(UserWarning, match=r"length 28 with 28 channels.*x\[..., None\]"):
        assert check_layout(np.zeros((2, 28, 28), "float32")) == (28, 28)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        check_layout(np.zeros((2, 28, 12), "float32"))


def test_labels_beside_another_condition():
    forms = Forms((Form("size", "vector"),))
    with pytest.warns(UserWarning, match="The labels are not used"):
        Source(stream({"x": X, "size": np.ones((len(X), 1)), "label": LABELS}), forms=forms)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Source(stream((X, np.ones((len(X), 1)))), forms=forms)
