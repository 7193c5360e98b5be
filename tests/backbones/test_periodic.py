"""Networks of periodic data: shifted data are the same data."""

import keras
import numpy as np
import pytest
from helpers.marks import once
from helpers.networks import IMAGES, as_numpy, build, inputs, perturb, run

from keras_gud import backbones
from keras_gud.backbones.periodic import PeriodicConvolution

ARGUMENTS = IMAGES | {"widths": (4, 8), "patch": 1}
NETWORKS = {
    "unet": (backbones.UNet, ARGUMENTS),
    "ncsnpp": (backbones.NCSNpp, IMAGES | {"widths": (4, 8)}),
    "dit": (backbones.DiT, {"width": 16, "blocks": 2, "heads": 1, "embedding_dim": 16}),
}


def network(shape, boundary, name="unet", **kwargs):
    kind, arguments = NETWORKS[name]
    return perturb(build(kind(boundary=boundary, **arguments | kwargs), shape))


def shifted(arrays, by, axis):
    """Those with spatial axes, moved around; tokens, which have none, as they are."""
    y, tokens, *gamma = arrays
    return [np.roll(y, by, axis), tokens, *(np.roll(x, by, axis) for x in gamma)]


@pytest.mark.parametrize(
    ("shape", "patch"), [((8, 2), 1), ((8, 8, 1), 2), ((4, 6, 4, 2), 1)], ids=["1-d", "2-d", "3-d"]
)
@pytest.mark.once
def test_shifted_data_give_a_shifted_output(shape, patch):
    unet = network(shape, "periodic", patch=patch, gamma_map=True)
    y, tokens = inputs(shape)
    arrays = [y, tokens, np.random.default_rng(1).uniform(-7, 5, y.shape).astype("float32")]
    for axis in range(1, len(shape)):
        expected = np.roll(run(unet, *arrays), 2 * patch, axis)
        found = run(unet, *shifted(arrays, 2 * patch, axis))
        np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.once
@pytest.mark.parametrize("name", ["ncsnpp", "dit"])
@pytest.mark.parametrize("shape", [(8, 2), (8, 12, 1), (4, 6, 4, 2)], ids=["1-d", "2-d", "3-d"])
@pytest.mark.parametrize("gamma_map", [False, True])
def test_other_networks_see_shifted_data_alike(name, shape, gamma_map):
    """Of transformers with tokens appended to the patches, too (without `gamma_map`)."""
    made = network(shape, "periodic", name, gamma_map=gamma_map)
    y, tokens = inputs(shape)
    arrays = [y, tokens, np.random.default_rng(1).uniform(-7, 5, y.shape).astype("float32")]
    arrays = arrays[: 2 + gamma_map]
    for axis in range(1, len(shape)):
        expected = np.roll(run(made, *arrays), 2, axis)
        np.testing.assert_allclose(run(made, *shifted(arrays, 2, axis)), expected, atol=2e-5)
    # Of no network is the output one of each patch by itself.
    other = y.copy()
    other[:, 0] += 1.0
    change = run(made, other, *arrays[1:]) - run(made, *arrays)
    assert np.abs(change[:, -1]).max() > 1e-4


@pytest.mark.parametrize("name", once(NETWORKS, but=["dit"]))
def test_along_the_periodic_axis_alone(name):
    made, (y, tokens) = network((8, 8, 1), ("zero", "periodic"), name), inputs((8, 8, 1))
    for axis, alike in ((1, False), (2, True)):
        error = run(made, *shifted([y, tokens], 2, axis)) - np.roll(run(made, y, tokens), 2, axis)
        assert (np.abs(error).max() < 2e-5) == alike


@pytest.mark.once
def test_patches_of_a_periodic_transformer_know_their_distance():
    """Without positions, attention would not see in which order its data are."""
    made, (y, tokens) = network((12, 1), "periodic", "dit"), inputs((12, 1))
    mixed = y.copy()
    mixed[:, 2:6], mixed[:, 6:10] = y[:, 6:10], y[:, 2:6]  # whole patches of 2
    change = run(made, mixed, tokens) - run(made, y, tokens)
    assert np.abs(change[:, :2]).max() > 1e-4


@pytest.mark.once
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("sizes", [(6, 8), (5, 7)], ids=str)
def test_without_periodic_axes_it_is_an_ordinary_convolution(sizes, strides):
    x = np.random.default_rng(0).normal(size=(2, *sizes, 3)).astype("float32")
    ours = PeriodicConvolution(4, (False, False), strides)
    ours.build(x.shape)
    same = keras.layers.Conv2D(4, 3, strides, padding="same", data_format="channels_last")
    same.build(x.shape)
    same.set_weights(ours.get_weights())
    np.testing.assert_allclose(as_numpy(ours(x)), as_numpy(same(x)), atol=1e-5)


@pytest.mark.once
def test_it_comes_back_from_its_config():
    unet = network((8, 8, 1), ("zero", "periodic"))
    again = build(backbones.UNet.from_config(unet.get_config()), (8, 8, 1))
    again.set_weights(unet.get_weights())
    arrays = inputs((8, 8, 1))
    np.testing.assert_array_equal(run(again, *arrays), run(unet, *arrays))


@pytest.mark.once
def test_by_name():
    unet = backbones.get("tiny", data_shape=(8, 8, 1), boundary="periodic")
    assert build(unet, (8, 8, 1)).boundary == "periodic"


@pytest.mark.once
@pytest.mark.parametrize(
    ("boundary", "shape", "message"),
    [
        ("periodc", (8, 8, 1), "Did you mean 'periodic'"),
        (("periodic",), (8, 8, 1), r"one for each of the spatial axes \(8, 8\)"),
        ("periodic", (8, 6, 1), "axes of sizes that 4 divides"),
    ],
)
def test_what_cannot_be_periodic_is_refused(boundary, shape, message):
    with pytest.raises(ValueError, match=message):
        network(shape, boundary, widths=(4, 4, 4))


@pytest.mark.once
def test_heads_too_narrow_for_the_positions_of_periodic_axes():
    with pytest.raises(ValueError, match="heads of at least 4 channels for each periodic axis"):
        network((8, 8, 1), "periodic", "dit", width=8, heads=2)
    with pytest.raises(ValueError, match="axes of sizes that 2 divides"):
        network((8, 7, 1), "periodic", "dit")
    with pytest.raises(ValueError, match="Did you mean 'periodic'"):
        backbones.NCSNpp(boundary="periodical")
