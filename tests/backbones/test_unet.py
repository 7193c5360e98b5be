import keras
import numpy as np
import pytest
from helpers.networks import SMALLEST, WIRED, build, inputs, perturb, run, smallest

from keras_gud import backbones
from keras_gud.backbones.resampling import from_patches, patched, to_patches
from keras_gud.backbones.unet import level_sizes


def unet(**kwargs):
    return backbones.UNet(**{"widths": (4, 8), "blocks": 1, "embedding_dim": 16, **kwargs})


@pytest.mark.once
def test_a_token_acts_differently_at_different_positions():
    """On a constant image a convolution alone would answer alike at every inner position."""
    shape = (1, 16, 1)
    network = perturb(build(unet(widths=(8,)), shape))
    y = np.zeros((1, *shape), "float32")
    tokens = inputs(shape, batch=1)[1]
    before = run(network, y, tokens)
    changes = []
    for i in (0, 3):
        changed = tokens.copy()
        changed[:, i, 0] += 5.0
        changes.append((run(network, y, changed) - before).ravel())
    for change in changes:
        inner = change[4:-4]
        assert inner.std() > 0.01 * np.abs(inner).max()
    cosine = changes[0] @ changes[1] / np.prod([np.linalg.norm(c) for c in changes])
    assert abs(cosine) < 0.999


def test_sizes_round_up_to_one():
    assert level_sizes((7, 10), 4) == [(7, 10), (4, 5), (2, 3), (1, 2)]


@pytest.mark.once
def test_too_many_levels_say_how_many_work():
    with pytest.raises(ValueError, match=r"Expected at most 1 widths .*\(1, 16\).*Received: 2"):
        build(unet(), (1, 16, 3))
    with pytest.raises(ValueError, match="Expected at most 4 widths"):
        build(unet(widths=(4,) * 6), (8, 8, 1))


@pytest.mark.once
def test_attention_is_at_small_levels_and_always_at_the_coarsest():
    network = build(unet(widths=(4, 4, 4)), (32, 8, 1))
    assert [level.cross is not None for level in network.down] == [True, True, True]
    network = build(unet(widths=(4, 4, 4)), (20, 20, 1))
    assert [level.cross is not None for level in network.down] == [False, True, True]
    assert [level.cross is not None for level in network.up] == [False, True]
    assert [level.within is not None for level in network.down] == [False, False, True]
    network = build(unet(widths=(4, 4, 4), attention_levels=(0,)), (8, 8, 1))
    assert [level.cross is not None for level in network.down] == [True, False, True]


@pytest.mark.parametrize("name", WIRED)
def test_dropout_acts_only_in_training_and_follows_its_seed(name):
    weights = smallest(name)[0].get_weights()
    y, tokens = inputs(SMALLEST[name][2])

    def make(**kwargs):
        network, _ = smallest(name, **kwargs)
        # Only the states of the random generators are not trainable.
        for variable, value in zip(network.trainable_variables, weights, strict=True):
            variable.assign(value)
        return network

    plain = make()
    assert plain.non_trainable_variables == []
    expected = run(plain, y, tokens)
    np.testing.assert_array_equal(run(plain, y, tokens, training=True), expected)
    dropping = make(dropout=0.5, seed=3)
    np.testing.assert_array_equal(run(dropping, y, tokens), expected)
    first = run(dropping, y, tokens, training=True)
    assert not np.allclose(first, expected)
    again, other = make(dropout=0.5, seed=3), make(dropout=0.5, seed=4)
    keras.utils.set_random_seed(1)
    np.testing.assert_array_equal(run(again, y, tokens, training=True), first)
    assert not np.allclose(run(other, y, tokens, training=True), first)


@pytest.mark.once
def test_every_dropout_layer_has_its_own_seed():
    network = build(unet(widths=(4, 4), blocks=2, dropout=0.1), (8, 8, 1))
    seeds = [block.dropout.seed for level in network.down + network.up for block in level.residual]
    assert len(seeds) == 6
    assert len(set(seeds)) == 6


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"widths": ()}, "at least one width"),
        ({"blocks": 0}, "at least one width and one block"),
        ({"attention_levels": (2,)}, r"indices of 2 widths.*attention_levels=\(2,\)"),
        ({"dropout": 1.0}, "0 <= dropout < 1.*dropout=1.0"),
    ],
)
def test_bad_arguments(kwargs, match):
    with pytest.raises(ValueError, match=match):
        unet(**kwargs)


@pytest.mark.once
def test_bad_shapes():
    with pytest.raises(ValueError, match="use `MLP` for vectors"):
        build(unet(), (5,))
    with pytest.raises(ValueError, match=r"divisible by `heads`.*heads=3 with 4 channels"):
        build(unet(heads=3), (8, 8, 1))
    with pytest.raises(ValueError, match=r"Expected tokens of shape \(batch, T, F\)"):
        unet().build([(None, 8, 8, 1), (None, None, 2)])
    with pytest.raises(ValueError, match=r"Expected a list \[y, tokens\]"):
        unet().build((None, 8, 8, 1))
    network = build(unet(), (8, 8, 1))
    y, tokens = inputs((8, 8, 1))
    with pytest.raises(ValueError, match=r"tokens of shape .*6, 3.*tokens.shape"):
        run(network, y, tokens[:, :-1])
    with pytest.raises(ValueError, match=r"Expected y of shape .*8, 8, 1.*y.shape"):
        run(network, y[:, :-1], tokens)


# -- patches ---------------------------------------------------------------------------------------


@pytest.mark.once
@pytest.mark.parametrize("shape", [(10, 1), (7, 10, 3), (4, 6, 5, 2)])
@pytest.mark.parametrize("patch", [1, 2, 3])
def test_patches_are_taken_apart_again(shape, patch):
    x = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    blocks = to_patches(keras.ops.convert_to_tensor(x), patch)
    assert tuple(blocks.shape[1:-1]) == patched(shape[:-1], patch)
    again = from_patches(blocks, patch, shape[:-1])
    assert np.array_equal(keras.ops.convert_to_numpy(again), x)


@pytest.mark.once
def test_a_patch_holds_its_own_block():
    x = np.arange(16.0, dtype="float32").reshape(1, 4, 4, 1)
    blocks = keras.ops.convert_to_numpy(to_patches(keras.ops.convert_to_tensor(x), 2))
    assert blocks[0, 0, 1].tolist() == [2.0, 3.0, 6.0, 7.0]
    assert blocks[0, 1, 0].tolist() == [8.0, 9.0, 12.0, 13.0]


@pytest.mark.parametrize("shape", [(9, 2), (7, 10, 3)])
def test_a_network_of_patches_keeps_the_shape_and_is_saved(shape):
    network = unet(widths=(8,), patch=2)
    y, tokens = np.ones((2, *shape), "float32"), np.ones((2, 4, 2), "float32")
    assert tuple(network([y, tokens]).shape) == (2, *shape)
    assert type(network).from_config(network.get_config()).patch == 2


@pytest.mark.once
@pytest.mark.parametrize("patch", [0, 1.5, "two"])
def test_patches_are_positive_integers(patch):
    with pytest.raises(ValueError, match="`patch`"):
        unet(patch=patch)


@pytest.mark.once
@pytest.mark.parametrize(("size", "patch"), [(8, 1), (16, 2), (28, 2)])
def test_small_images_have_no_patches(size, patch):
    assert backbones.get("small", data_shape=(size, size, 1)).patch == patch
