"""The registry, the MLP and the layers that the networks are made of."""

import keras
import numpy as np
import pytest
from helpers.networks import as_numpy, build, inputs, perturb
from keras import ops

from keras_gud import backbones
from keras_gud.backbones.conv3d import Conv3D
from keras_gud.backbones.norm import GroupNorm, group_count
from keras_gud.backbones.resampling import level_sizes, patched, upsample


def test_names_follow_the_data():
    assert isinstance(backbones.get("tiny"), backbones.UNet)
    assert isinstance(backbones.get("Small", data_shape=(16, 2)), backbones.UNet)
    vector = backbones.get("base", data_shape=(5,), dtype="mixed_bfloat16", dropout=0.1)
    assert isinstance(vector, backbones.MLP)
    assert vector.compute_dtype == "bfloat16"
    assert vector.dropout == 0.1


def test_instances_configs_and_foreign_layers_pass_through():
    network = backbones.MLP(width=8)
    assert backbones.get(network, data_shape=(5,)) is network
    foreign = keras.Sequential([keras.layers.Dense(3)])
    assert backbones.get(foreign, data_shape=(5,)) is foreign
    copy = backbones.get(keras.saving.serialize_keras_object(network))
    assert copy.get_config() == network.get_config()


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'small'"):
        backbones.get("smal", data_shape=(8, 8, 1))
    with pytest.raises(TypeError, match="Expected `backbone` to be a name"):
        backbones.get(3)


@pytest.mark.once
def test_mlp_refuses_images():
    with pytest.raises(ValueError, match="use `UNet`"):
        build(backbones.MLP(width=8), (8, 8, 1))


@pytest.mark.once
def test_embedding_sees_the_whole_state_and_not_only_its_mean():
    embed = backbones.NoisingStateEmbedding(width=8, embedding_dim=12)
    tokens = inputs((5,))[1]
    swapped = tokens.copy()
    swapped[:, [0, 1], 0] = tokens[:, [1, 0], 0]
    embedded, vector = embed(ops.convert_to_tensor(tokens))
    assert tuple(embedded.shape) == (2, 6, 8)
    assert tuple(vector.shape) == (2, 12)
    difference = as_numpy(embed(ops.convert_to_tensor(swapped))[1]) - as_numpy(vector)
    assert np.abs(difference).max() > 1e-3


def test_embedding_is_float32_under_any_policy():
    embed = backbones.NoisingStateEmbedding(width=8, embedding_dim=12, dtype="mixed_bfloat16")
    assert embed.compute_dtype == "float32"
    assert backbones.NoisingStateEmbedding.from_config(embed.get_config()).width == 8


@pytest.mark.once
@pytest.mark.parametrize("layer", [backbones.Attention, backbones.CrossAttention])
def test_attention_equals_the_textbook(rng, layer):
    attend = layer(heads=2)
    x = rng.normal(size=(3, 5, 4)).astype("float32")
    inputs, context = (x,), x
    if layer is backbones.CrossAttention:
        context = rng.normal(size=(3, 7, 6)).astype("float32")
        inputs = (x, context)
    np.testing.assert_array_equal(as_numpy(attend(*inputs)), 0.0)
    perturb(attend)

    def heads(layer, values):
        return as_numpy(layer(values)).reshape(*values.shape[:2], 2, 2).transpose(0, 2, 1, 3)

    query, key, value = (
        heads(attend.query, x),
        heads(attend.key, context),
        heads(attend.value, context),
    )
    weights = np.exp(query @ key.transpose(0, 1, 3, 2) / np.sqrt(2))
    weights /= weights.sum(-1, keepdims=True)
    mixed = (weights @ value).transpose(0, 2, 1, 3).reshape(3, 5, 4)
    expected = as_numpy(attend.project(mixed))
    np.testing.assert_allclose(as_numpy(attend(*inputs)), expected, atol=1e-5)


@pytest.mark.once
@pytest.mark.parametrize("shape", [(4, 6, 12), (5, 4, 3, 8), (7,)], ids=str)
def test_group_norm_equals_keras(rng, shape):
    x = (3 * rng.normal(size=(2, *shape)) + 1).astype("float32")
    groups = group_count(shape[-1])
    expected = keras.layers.GroupNormalization(groups, epsilon=1e-5)(x)
    np.testing.assert_allclose(as_numpy(GroupNorm()(x)), as_numpy(expected), atol=1e-4)


@pytest.mark.once
def test_group_norm_applies_film_last(rng):
    x = rng.normal(size=(2, 9, 8)).astype("float32")
    film = rng.normal(size=(2, 16)).astype("float32")
    norm = perturb(build_norm(x.shape))
    plain = as_numpy(norm(x))
    expected = plain * (1 + film[:, None, :8]) + film[:, None, 8:]
    np.testing.assert_allclose(as_numpy(norm(x, film)), expected, atol=1e-5)


def build_norm(shape):
    norm = GroupNorm()
    norm.build(shape)
    return norm


def test_group_norm_of_a_constant_is_finite():
    x = np.full((1, 4, 8), 1e3, "float32")
    assert np.abs(as_numpy(GroupNorm()(x))).max() < 1.0


def test_upsample_repeats_and_crops():
    x = np.arange(3, dtype="float32").reshape(1, 3, 1)
    np.testing.assert_array_equal(as_numpy(upsample(x, (5,))).ravel(), [0, 0, 1, 1, 2])


@pytest.mark.once
@pytest.mark.parametrize(
    ("shape", "coarsest"),
    [
        ((256, 256, 3), (16, 16)),
        ((64, 64, 1), (16, 16)),
        ((300, 40, 1), (38, 5)),
        ((4000, 2), (250,)),
    ],
)
def test_named_networks_grow_levels_until_self_attention_is_cheap(shape, coarsest):
    network = backbones.get("small", data_shape=shape)
    assert network.widths[:2] == (64, 96)
    sizes = level_sizes(patched(shape[:-1], network.patch), len(network.widths))
    assert sizes[-1] == coarsest


@pytest.mark.parametrize("strides", [1, 2])
def test_convolutions_of_volumes_are_those_of_keras(strides, rng):
    """Even and odd sizes, which padding fills up at other ends."""
    x = rng.normal(size=(2, 5, 6, 4, 3)).astype("float32")
    options = {"padding": "same", "data_format": "channels_last", "strides": strides}
    theirs = keras.layers.Conv3D(4, 3, **options)
    ours, by_default = Conv3D(4, 3, by_planes=True, **options), Conv3D(4, 3, **options)
    theirs.build(x.shape)
    ours.build(x.shape)
    by_default.build(x.shape)
    ours.set_weights([rng.normal(size=w.shape) for w in theirs.weights])
    for layer in (theirs, by_default):
        layer.set_weights(ours.get_weights())
    assert ours.name.startswith("conv3d")  # as in files, and in layouts of model parallelism
    expected = ops.convert_to_numpy(theirs(x))
    for layer in (ours, by_default):
        np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), expected, rtol=1e-4, atol=1e-4)
