"""Vectors, sequences and images as inputs of every network of this package."""

import keras
import numpy as np
import pytest
from helpers.networks import as_numpy, perturb
from keras import ops

from keras_gud import backbones

RNG = np.random.default_rng(0)
KINDS = {"place": "vector", "words": "sequence", "sketch": "image"}
SHAPE = (4, 4, 2)
SMALL = {"embedding_dim": 8, "conditions": KINDS}
NETWORKS = {
    "unet": lambda **kw: backbones.UNet(widths=(4, 8), blocks=1, heads=1, **SMALL, **kw),
    "dit": lambda **kw: backbones.DiT(width=8, blocks=1, heads=2, **SMALL, **kw),
    "ncsnpp": lambda **kw: backbones.NCSNpp(widths=(4,), blocks=1, heads=1, **SMALL, **kw),
}


def inputs(length=3, gamma=False):
    y, tokens, more = RNG.normal(size=(2, *SHAPE)), RNG.normal(size=(2, 3, 2)), []
    if gamma:
        more = [RNG.normal(size=(2, *SHAPE))]
    place, words = RNG.normal(size=(2, 3)), RNG.normal(size=(2, length, 6))
    words[..., -1] = 1.0
    found = [y, tokens, *more, place, words, RNG.normal(size=(2, 4, 4, 2))]
    return [x.astype("float32") for x in found]


def built(name, arrays, **kwargs):
    network = NETWORKS[name](**kwargs)
    network.build([(None, *x.shape[1:]) for x in arrays])
    return network


def run(network, arrays):
    return as_numpy(network([ops.convert_to_tensor(x) for x in arrays]))


@pytest.mark.parametrize("gamma", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_condition_matters_and_none_before_training(name, gamma):
    arrays = inputs(gamma=gamma)
    network = built(name, arrays, gamma_map=gamma)
    np.testing.assert_array_equal(run(network, arrays), np.zeros((2, *SHAPE)))
    perturb(network)
    before = run(network, arrays)
    for i in range(2 + gamma, len(arrays)):
        changed = list(arrays)
        changed[i] = arrays[i] + 0.5
        assert np.abs(run(network, changed) - before).max() > 1e-4


@pytest.mark.parametrize("name", NETWORKS)
def test_elements_that_do_not_count_do_not_matter(name):
    arrays = inputs()
    network = perturb(built(name, arrays))
    before = run(network, arrays)
    words = np.concatenate([arrays[3], np.zeros((2, 5, 6), "float32")], axis=1)
    np.testing.assert_allclose(run(network, [*arrays[:3], words, arrays[4]]), before, atol=1e-5)
    shuffled = [*arrays[:3], arrays[3][:, ::-1], arrays[4]]
    np.testing.assert_allclose(run(network, shuffled), before, atol=1e-5)
    one = np.where(np.arange(3)[None, :, None] < 1, arrays[3], 0.0).astype("float32")
    assert np.abs(run(network, [*arrays[:3], one, arrays[4]]) - before).max() > 1e-4


@pytest.mark.once
@pytest.mark.parametrize("name", NETWORKS)
def test_a_copy_is_the_same_network(name):
    arrays = inputs()
    network = perturb(built(name, arrays))
    config = keras.saving.serialize_keras_object(network)
    copy = keras.saving.deserialize_keras_object(config)
    copy.build([(None, *x.shape[1:]) for x in arrays])
    copy.set_weights([as_numpy(w) for w in network.weights])
    np.testing.assert_allclose(run(copy, arrays), run(network, arrays), atol=1e-6)


@pytest.mark.once
def test_vectors_go_through_an_mlp():
    arrays = [x.astype("float32") for x in (RNG.normal(size=(2, 5)), RNG.normal(size=(2, 3, 2)))]
    arrays += inputs()[2:4]
    kinds = {name: kind for name, kind in KINDS.items() if kind != "image"}
    network = backbones.MLP(width=8, blocks=1, embedding_dim=8, conditions=kinds)
    network.build([(None, *x.shape[1:]) for x in arrays])
    perturb(network)
    before = run(network, arrays)
    for i in (2, 3):
        changed = [x + 0.5 if i == j else x for j, x in enumerate(arrays)]
        assert np.abs(run(network, changed) - before).max() > 1e-4


@pytest.mark.once
def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="Did you mean 'vector'"):
        backbones.UNet(conditions={"a": "vectr"})
