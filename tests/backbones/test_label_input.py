"""Networks that are told class labels."""

import keras
import numpy as np
import pytest
from helpers.networks import SMALLEST, WIRED, as_numpy, build, inputs, run, smallest

from keras_gud import backbones

CLASSES = 3


def make(name, **kwargs):
    return smallest(name, **{"classes": CLASSES} | kwargs)[0]


def batch(name, gamma=False):
    """The same y and noising state for every label."""
    y, tokens = (np.repeat(part[:1], CLASSES + 1, axis=0) for part in inputs(SMALLEST[name][2]))
    labels = np.arange(CLASSES + 1, dtype="int32")
    return [y, tokens, *([np.full_like(y, 2.0)] if gamma else []), labels]


@pytest.mark.parametrize("gamma_map", [False, True], ids=["labels", "gamma and labels"])
@pytest.mark.parametrize("name", WIRED)
def test_every_label_and_the_null_label_give_another_output(name, gamma_map):
    network = make(name, gamma_map=gamma_map)
    *others, labels = batch(name, gamma_map)
    output = run(network, *others, labels)
    for i in range(CLASSES + 1):
        for j in range(i):
            assert np.abs(output[i] - output[j]).max() > 1e-4, (i, j)
    # Each example is told its own label.
    turned = run(network, *others, labels[::-1].copy())
    np.testing.assert_allclose(turned[::-1], output, atol=1e-5)


@pytest.mark.parametrize("name", WIRED)
def test_configuration_and_weights_make_the_same_network(name):
    network = make(name)
    copy = build(type(network).from_config(network.get_config()), SMALLEST[name][2])
    assert copy.classes == CLASSES
    copy.set_weights(network.get_weights())
    np.testing.assert_array_equal(*(run(n, *batch(name)) for n in (network, copy)))


@pytest.mark.once
def test_without_classes_nothing_is_added():
    ours, without = make("mlp"), make("mlp", classes=None)
    assert len(ours.weights) == len(without.weights) + 1
    assert tuple(ours.label_embedding.embeddings.shape) == (CLASSES + 1, 16)
    assert without.get_config()["classes"] is None
    config = without.get_config()
    del config["classes"]  # a file of before there were labels
    assert backbones.MLP.from_config(config).classes is None


def test_sizes_take_classes():
    assert backbones.get("tiny", data_shape=(5,), classes=4).classes == 4


def test_the_embedding_is_float32_in_mixed_precision():
    network = make("mlp", dtype="mixed_bfloat16")
    embedded = network.label_embedding(np.arange(CLASSES + 1))
    assert keras.backend.standardize_dtype(embedded.dtype) == "float32"
    table = as_numpy(network.label_embedding.embeddings)
    np.testing.assert_array_equal(as_numpy(embedded), table)
    assert table.dtype == np.float32
    assert run(network, *batch("mlp")).dtype == np.float32


@pytest.mark.parametrize("classes", [0, -1, 2.5, "ten", True])
def test_classes_must_be_a_count(classes):
    with pytest.raises(ValueError, match="`classes` to be an integer >= 1.*Received: classes="):
        backbones.MLP(classes=classes)


@pytest.mark.once
@pytest.mark.parametrize(
    ("gamma_map", "names"), [(False, r"\[y, tokens, labels\]"), (True, r"tokens, gamma, labels\]")]
)
def test_labels_must_be_given(gamma_map, names):
    network = make("mlp", gamma_map=gamma_map)
    with pytest.raises(ValueError, match=rf"Expected a list .*{names}"):
        network(inputs((7,)))


@pytest.mark.once
def test_labels_have_one_axis():
    *others, labels = batch("mlp")
    with pytest.raises(ValueError, match=r"labels of shape \(batch,\).*\(4, 1\)"):
        make("mlp")([*others, labels[:, None]])
