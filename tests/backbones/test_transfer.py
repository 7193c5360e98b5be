"""Weights of a network in one of another size: what fits is taken, and said."""

import numpy as np
import pytest
from helpers.networks import IMAGES, PATCHES, VECTORS, as_numpy, build, inputs, perturb, run

from keras_gud import backbones
from keras_gud.backbones.named_weights import named_weights
from keras_gud.backbones.transfer import transfer

pytestmark = pytest.mark.once
UNET = IMAGES | {"widths": (4, 8)}
NETWORKS = {
    "unet": (backbones.UNet, UNET, (8, 8)),
    "patched": (backbones.UNet, UNET | {"patch": 2, "gamma_map": True}, (8, 8)),
    "detailed": (backbones.UNet, UNET | {"patch": 2, "gamma_map": True, "detail_bands": 2}, (8, 8)),
    "ncsnpp": (backbones.NCSNpp, UNET, (8, 8)),
    "dit": (backbones.DiT, PATCHES | {"gamma_map": True}, (8, 8)),
    "mlp": (backbones.MLP, VECTORS | {"gamma_map": True}, ()),
}


def make(name, channels, seed=0, sizes=None, **kwargs):
    kind, arguments, own_sizes = NETWORKS[name]
    shape = (*(own_sizes if sizes is None else sizes), channels)
    return perturb(build(kind(**arguments | kwargs), shape), seed)


def given(network, seed=0, batch=2):
    """Data, tokens and what else it takes, the first channels of all seeds' the same."""
    y, tokens = inputs(network.data_shape, batch, seed)
    gamma = np.random.default_rng(seed).uniform(-5, 5, y.shape).astype("float32")
    return [y, tokens, gamma] if network.gamma_map else [y, tokens]


def move(source, target):
    weights = [each.weight for each in named_weights(source).values()]
    return transfer(source, target, {id(w): as_numpy(w.value) for w in weights})


@pytest.mark.parametrize("name", NETWORKS)
def test_names_are_those_of_every_network_of_a_class(name):
    one, other = make(name, 2), make(name, 2)
    assert list(named_weights(one)) == list(named_weights(other))
    assert len(named_weights(one)) == len(one.weights)
    report = move(one, other)
    assert (report.share, report.partly, report.missing, report.unused) == (1.0, (), (), ())
    arrays = given(one)
    np.testing.assert_array_equal(run(one, *arrays), run(other, *arrays))


@pytest.mark.parametrize("name", NETWORKS)
def test_new_channels_change_nothing_of_the_old_ones(name):
    old, new = make(name, 1), make(name, 3, seed=1)
    report = move(old, new)
    assert report.missing == ()
    assert {"stem", "head"} <= {layer.name for layer in report.partly}
    wide = given(new)
    narrow = [wide[0][..., :1], wide[1], *(x[..., :1] for x in wide[2:])]
    if old.gamma_map:  # the embedding of a position takes their mean
        wide[2] = np.repeat(narrow[2], 3, axis=-1)
    output = run(new, *wide)
    np.testing.assert_allclose(output[..., :1], run(old, *narrow), atol=1e-5)
    np.testing.assert_array_equal(output[..., 1:], 0.0)


@pytest.mark.parametrize("name", ["unet", "patched", "ncsnpp", "dit"])
def test_positions_of_another_size_are_interpolated(name):
    old, new = make(name, 1), make(name, 1, seed=1, sizes=(12, 16))
    report = move(old, new)
    assert [x.name for x in report.missing if not x.name.endswith(".reduce")] == []
    assert "positions are interpolated" in str(report)
    names = [n for n in named_weights(old) if "position" in n]
    for each in names:
        ours, theirs = (as_numpy(named_weights(n)[each].weight.value) for n in (new, old))
        assert ours.shape != theirs.shape
        # The first and the last cell lie beyond the centres of those of before.
        np.testing.assert_allclose(ours[[0, -1]], theirs[[0, -1]], atol=1e-6)
        assert (ours <= theirs.max(axis=0) + 1e-6).all()


def test_interpolation_of_positions_against_their_values():
    old, new = make("dit", 1, sizes=(8, 8)), make("dit", 1, sizes=(16, 16))
    old.positions[0].assign(np.arange(4.0)[:, None] * np.ones((4, 8)))
    move(old, new)
    expected = np.clip((np.arange(8) + 0.5) / 2 - 0.5, 0, 3)
    np.testing.assert_allclose(as_numpy(new.positions[0])[:, 0], expected, atol=1e-6)


def test_new_classes_start_as_no_label():
    old, new = make("mlp", 5, classes=3), make("mlp", 5, seed=1, classes=5)
    report = move(old, new)
    assert [layer.name for layer in report.partly] == ["label_embedding"]
    rows = [as_numpy(network.label_embedding.embeddings.value) for network in (old, new)]
    np.testing.assert_array_equal(rows[1], rows[0][[0, 1, 2, 3, 3, 3]])
    # Fewer: those that are left, and the null label's.
    move(new, old)
    rows = [as_numpy(network.label_embedding.embeddings.value) for network in (old, new)]
    np.testing.assert_array_equal(rows[0], rows[1][[0, 1, 2, 5]])


def test_other_tokens_leave_what_depends_on_each_of_them():
    old = perturb(backbones.UNet(**UNET))
    old.build([(None, 8, 8, 1), (None, 3, 2)])
    new = make("unet", 1)
    report = move(old, new)
    names = {kind: {x.name for x in getattr(report, kind)} for kind in ("partly", "missing")}
    mix = "embedding.mixers[0].token_mix"
    assert names["partly"] == {"embedding.token_in", "embedding.merge", f"{mix}[0]"}
    assert names["missing"] == {"down[1].reduce", f"{mix}[1]"}
    kernel = as_numpy(new.embedding.token_in.kernel.value)
    np.testing.assert_array_equal(kernel[:9], as_numpy(old.embedding.token_in.kernel.value)[:9])
    np.testing.assert_array_equal(kernel[9:], 0.0)


def test_other_options_are_said():
    old, new = make("unet", 1, classes=3), make("unet", 1, seed=1, widths=(4, 8, 8))
    report = move(old, new)
    assert "label_embedding.embeddings" in report.unused
    assert 0.3 < report.share < 1.0
    assert "not in the other network" in str(report)
    assert f"({report.share:.1%})" in str(report)


def test_periodic_networks_take_the_convolutions_of_others():
    assert move(make("unet", 1), make("unet", 1, boundary="periodic")).missing == ()


def test_patches_of_another_size_are_not_taken():
    report = move(make("unet", 1), make("unet", 1, patch=2))
    assert {"head"} <= {layer.name for layer in report.missing}
    assert [x.taken for x in report.partly if x.name == "stem"] == [4]  # its bias


def test_another_class_is_refused():
    with pytest.raises(ValueError, match=r"the same class, UNet\. Received: NCSNpp"):
        move(make("ncsnpp", 1), make("unet", 1))


def test_new_bands_of_detail_change_nothing():
    old, new = make("detailed", 2), make("detailed", 2, seed=1, detail_bands=3)
    report = move(old, new)
    assert [layer.name for layer in report.partly] == ["stem"]
    arrays = given(old)
    np.testing.assert_allclose(run(new, *arrays), run(old, *arrays), rtol=1e-5, atol=1e-5)
    back = make("detailed", 2, seed=2)
    move(new, back)
    np.testing.assert_allclose(run(back, *arrays), run(old, *arrays), rtol=1e-5, atol=1e-5)
