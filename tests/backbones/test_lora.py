"""Factors of low rank beside the kernels of attention: what is frozen, and what a file holds."""

import keras
import numpy as np
import pytest
from helpers.marks import once
from helpers.networks import IMAGES, PATCHES, VECTORS, Outer, as_numpy, build, inputs, perturb, run
from keras import ops

from keras_gud import backbones
from keras_gud.backbones import lora

NETWORKS = {
    "unet": (backbones.UNet, IMAGES | {"widths": (4, 8)}, (8, 8, 1)),
    "ncsnpp": (backbones.NCSNpp, IMAGES | {"widths": (4, 8)}, (8, 8, 1)),
    "dit": (backbones.DiT, PATCHES, (8, 8, 1)),
    "mlp": (backbones.MLP, VECTORS, (5,)),
}


def make(name, **kwargs):
    kind, arguments, shape = NETWORKS[name]
    return build(kind(**arguments | kwargs), shape), shape


@pytest.mark.once
@pytest.mark.parametrize("name", NETWORKS)
def test_it_begins_at_nothing_and_freezes_all_else(name):
    network, shape = make(name)
    arrays = inputs(shape)
    before, count = run(perturb(network), *arrays), network.count_params()
    frozen = [id(weight) for weight in network.weights]
    network.enable_lora(2)
    np.testing.assert_allclose(run(network, *arrays), before, atol=1e-6)
    assert not {id(weight) for weight in network.trainable_weights} & set(frozen)
    assert len(network.trainable_weights) == 2 * len(network.lora_layers()) > 0
    added = sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    assert network.count_params() == count + added
    perturb(network)
    assert not np.allclose(run(network, *arrays), before, atol=1e-4)


@pytest.mark.parametrize("name", once(["unet", "dit"], but=["dit"]))
def test_files_keep_kernels_and_factors(name, tmp_path):
    network, shape = make(name)
    y, tokens = inputs(shape)
    model = Outer(perturb(network))
    model.build((None, *shape))
    network.enable_lora(2)
    perturb(network)
    expected = run(network, y, tokens)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert len(loaded.network.trainable_weights) == len(network.trainable_weights) > 0
    for ours, theirs in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(run(loaded.network, y, tokens), expected)


@pytest.mark.once
def test_factors_that_a_file_lacks_can_still_be_trained(tmp_path):
    plain, with_factors = (Outer(make("dit", **kw)[0]) for kw in ({}, {"lora_rank": 2}))
    for model in (plain, with_factors):
        model.build((None, 8, 8, 1))
    plain.save_weights(tmp_path / "plain.weights.h5")
    with_factors.load_weights(tmp_path / "plain.weights.h5")
    layer = with_factors.network.lora_layers()[0]
    assert ops.convert_to_numpy(layer.lora_kernel_a).any()
    with_factors.save_weights(tmp_path / "lora.weights.h5")
    with pytest.raises(ValueError):
        plain.load_weights(tmp_path / "lora.weights.h5")


@pytest.mark.once
def test_first_values_are_a_function_of_the_seed():
    keras.utils.set_random_seed(0)
    one = make("dit", lora_rank=2)[0].lora_layers()[0]
    keras.utils.set_random_seed(0)
    other = make("dit", lora_rank=2)[0].lora_layers()[0]
    np.testing.assert_array_equal(as_numpy(one.lora_kernel_a), as_numpy(other.lora_kernel_a))


@pytest.mark.once
@pytest.mark.parametrize("rank", [0, 1.5, "4", True])
def test_ranks_that_are_none(rank):
    network, _ = make("dit")
    with pytest.raises(ValueError, match="Expected `rank` to be an integer >= 1"):
        network.enable_lora(rank)
    assert network.trainable_weights, "nothing has been frozen"


@pytest.mark.once
def test_networks_that_cannot_have_it():
    network, _ = make("dit")
    network.enable_lora(1)
    with pytest.raises(ValueError, match="enabled already"):
        network.enable_lora(1)
    with pytest.raises(ValueError, match="built before LoRA"):
        backbones.DiT().enable_lora(1)
    with pytest.raises(ValueError, match="attention or dense blocks"):
        lora.add_factors(keras.layers.Dense(2), 1)
