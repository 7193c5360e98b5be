"""The noising state as tokens."""

import keras
import numpy as np
import pytest

import keras_gud
from keras_gud import backbones, bases, schedules
from keras_gud.backbones import embedding
from keras_gud.backbones.embedding import gamma_features
from keras_gud.conditioning.gamma_tokens import GammaTokens


def tokens_of(layer, gamma):
    return keras.ops.convert_to_numpy(layer(keras.ops.convert_to_tensor(gamma, "float32")))


@pytest.fixture
def columns():
    basis = bases.get("pixel")
    basis.build((None, 3, 5, 2))
    schedule = schedules.Sequential(b=0.5)
    schedule.adapt(np.ones((3, 5, 2)), coordinates=basis.coordinates)
    layer = GammaTokens()
    layer.adapt(np.asarray(keras.ops.convert_to_numpy(schedule.groups)), None, basis.coordinates)
    return basis, schedule, layer


def test_one_token_per_group_with_gamma_first(columns):
    basis, schedule, layer = columns
    state = schedule(np.array([0.2, 0.7], "float32"))
    got = tokens_of(layer, state.gamma)
    assert got.shape == (2, 5, 4)
    np.testing.assert_allclose(got[:, :, 0], keras.ops.convert_to_numpy(state.gamma)[:, 0, :, 0])
    # Coordinates by name: channel and row are the same for all columns, column runs from -1 to 1.
    assert sorted(basis.coordinates) == ["channel", "column", "row"]
    np.testing.assert_allclose(got[0, :, 2], np.linspace(-1, 1, 5), atol=1e-6)
    np.testing.assert_array_equal(got[..., [1, 3]], 0.0)


@pytest.mark.once
def test_states_of_other_shapes_are_averaged_or_repeated(columns, rng):
    _, _, layer = columns
    full = rng.normal(size=(2, 3, 5, 2))
    np.testing.assert_allclose(tokens_of(layer, full)[:, :, 0], full.mean(axis=(1, 3)), atol=1e-6)
    scalar = np.array([1.5, -2.0]).reshape(2, 1, 1, 1)
    np.testing.assert_allclose(tokens_of(layer, scalar)[:, :, 0], np.repeat([[1.5], [-2.0]], 5, 1))


@pytest.mark.once
def test_the_mean_over_components_is_no_mean_over_tokens():
    """Paper app. B, ``1/N sum_i gamma_i``: a token of a fine band stands for more components."""
    basis = bases.get("haar")
    basis.build((None, 8, 8, 1))
    schedule = schedules.Hierarchical(a=0.5, b=0.5)
    schedule.adapt(np.ones((8, 8, 1)), coordinates=basis.coordinates)
    layer = GammaTokens()
    groups = keras.ops.convert_to_numpy(schedule.groups)
    layer.adapt(groups, None, basis.coordinates)
    layer.with_mean = True
    gamma = keras.ops.convert_to_numpy(schedule(0.5).gamma)
    got = tokens_of(layer, gamma)
    assert got.shape[2] == layer.n_features
    np.testing.assert_allclose(got[..., -1], np.broadcast_to(gamma, (1, 8, 8, 1)).mean(), rtol=1e-5)
    assert got[0, :, 0].mean() < gamma.mean() - 1.0


@pytest.mark.once
def test_ncsnpp_takes_that_mean_as_its_time(monkeypatch):
    network = backbones.NCSNpp(widths=(4,), blocks=1, embedding_dim=8)
    model = keras_gud.GUD(basis="haar", schedule="hierarchical", backbone=network, seed=0)
    x = np.random.default_rng(0).normal(size=(8, 4, 4, 1)).astype("float32")
    model.adapt(x, verbose=0)
    state = model.schedule(0.5)
    tokens = model.tokens(state.gamma)
    assert tokens.shape[-1] == model.tokens.n_features == 2 + model.tokens.n_coordinates
    seen = []

    def features(gamma):
        seen.append(keras.ops.convert_to_numpy(gamma))
        return gamma_features(gamma)

    monkeypatch.setattr(embedding, "gamma_features", features)
    network.embedding(tokens)
    expected = np.broadcast_to(keras.ops.convert_to_numpy(state.gamma), (1, 4, 4, 1)).mean()
    assert seen[0].item() == pytest.approx(expected, rel=1e-5)


def test_above_the_cap_neighbours_in_the_order_share_a_token(rng):
    order = rng.permutation(100).reshape(10, 10)
    coordinate = rng.normal(size=(10, 10))
    layer = GammaTokens(max_tokens=8)
    layer.adapt(np.arange(100).reshape(10, 10), order, {"coordinate": coordinate})
    gamma = rng.normal(size=(1, 10, 10))
    got = tokens_of(layer, gamma)[0]
    assert got.shape == (8, 2)
    by_order = np.argsort(order.ravel())
    chunks = np.array_split(by_order, 8)
    # Equal shares to within one component, in the order of noising.
    sizes = np.bincount(keras.ops.convert_to_numpy(layer.token_of))
    assert sizes.sum() == 100
    assert sizes.max() - sizes.min() <= 1
    start = 0
    for token, size in enumerate(sizes):
        members = by_order[start : start + size]
        assert got[token, 0] == pytest.approx(gamma.ravel()[members].mean(), abs=1e-5)
        start += size
    assert len(chunks) == len(sizes)
    assert got[:, 1].min() == pytest.approx(-1)
    assert got[:, 1].max() == pytest.approx(1)


@pytest.mark.once
def test_comes_back_from_its_config(columns, rng):
    _, _, layer = columns
    again = GammaTokens.from_config(layer.get_config())
    again.build_from_config(layer.get_build_config())
    again.set_weights(layer.get_weights())
    gamma = rng.normal(size=(2, 1, 5, 1))
    np.testing.assert_array_equal(tokens_of(again, gamma), tokens_of(layer, gamma))
