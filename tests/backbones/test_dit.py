"""How the transformer is told of gamma."""

import numpy as np
import pytest
from helpers.networks import PATCHES, TOKENS, build, inputs, perturb, run

import keras_gud
from keras_gud import backbones

SHAPE = (8, 8, 1)


def make(tokens=TOKENS, **kwargs):
    network = backbones.DiT(**PATCHES | kwargs)
    network.build([(None, *SHAPE), (None, *tokens)])
    return perturb(network)


def without_vector(network):
    """The network with the global vector cut off."""
    for layer in (*network.transformer, network):
        layer.film.kernel.assign(0 * layer.film.kernel)
    return network


@pytest.mark.once
def test_where_nothing_has_a_place_patches_attend_to_tokens():
    network, (y, tokens) = without_vector(make()), inputs(SHAPE)
    before = run(network, y, tokens)
    assert before.shape == y.shape
    for i in range(TOKENS[0]):
        changed = tokens.copy()
        changed[:, i, 0] += 3.0
        assert np.abs(run(network, y, changed) - before).max() > 1e-5, f"token {i}"


@pytest.mark.once
def test_patches_that_know_their_gamma_and_single_tokens_need_no_further_ones():
    assert make(tokens=(1, 3)).appended == 0
    network = build(backbones.DiT(gamma_map=True, **PATCHES), SHAPE)
    assert network.appended == 0
    assert not hasattr(network, "token_stem")


@pytest.mark.once
@pytest.mark.parametrize("basis", ["pca", "dct"])
def test_global_bases_train_with_predictions_of_the_data(basis):
    """The data are predicted, the errors weighted as those of v."""
    x = np.random.default_rng(0).normal(size=(80, *SHAPE)).astype("float32")
    x[:, ::2] *= 2.0
    network = backbones.DiT(**PATCHES)
    model = keras_gud.GUD(
        basis, schedule="linear", backbone=network, prediction="x0", weighting="v", seed=0
    )
    history = model.fit(x, batch_size=40, verbose=0).history
    assert network.appended > 1
    assert np.isfinite(history["loss"]).all()
    assert np.isfinite(model.sample(2, steps=3, seed=0)).all()
