"""Networks that are given gamma as an image, where components are pixels."""

import keras
import numpy as np
import pytest
from helpers.networks import as_numpy, build, inputs, perturb

import keras_gud
from keras_gud import backbones

NETWORKS = {
    "unet": (lambda: backbones.UNet(widths=(4, 8), blocks=1, gamma_map=True), (6, 5, 2)),
    "ncsnpp": (lambda: backbones.NCSNpp(widths=(4, 8), blocks=1, gamma_map=True), (6, 5, 2)),
    "mlp": (lambda: backbones.MLP(width=8, blocks=1, gamma_map=True), (7,)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_output_depends_on_the_gamma_of_every_value(name):
    make, shape = NETWORKS[name]
    network = perturb(build(make(), shape))
    y, tokens = inputs(shape)
    gamma = np.random.default_rng(1).uniform(-7, 5, size=y.shape).astype("float32")
    before = as_numpy(network([y, tokens, gamma]))
    assert before.shape == y.shape
    for index in np.ndindex(shape):
        changed = gamma.copy()
        changed[(0, *index)] += 4.0
        after = as_numpy(network([y, tokens, changed]))
        assert np.abs(after[0] - before[0]).max() > 1e-5, index
        np.testing.assert_allclose(after[1], before[1], atol=1e-5)


def test_it_must_be_given():
    network = build(NETWORKS["mlp"][0](), (7,))
    with pytest.raises(ValueError, match=r"Expected a list \[y, tokens, gamma\]"):
        network(inputs((7,)))


def test_a_model_gives_it_where_components_are_pixels(rng, tmp_path):
    x = rng.normal(size=(32, 4, 6, 1)).astype("float32")
    model = keras_gud.GUD(schedule="columns", backbone="tiny", seed=0)
    model.fit(x, batch_size=16, verbose=0)
    assert model.network.gamma_map
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    samples = [m.sample(2, steps=3, seed=0) for m in (model, loaded)]
    np.testing.assert_allclose(samples[0], samples[1], atol=1e-5)


@pytest.mark.parametrize("parts", [{"basis": "haar"}, {"schedule": "cosine"}], ids=str)
def test_a_model_does_not_where_it_means_nothing(parts, rng):
    x = rng.normal(size=(32, 4, 4, 1)).astype("float32")
    model = keras_gud.GUD(**{"schedule": "linear", "backbone": "tiny", "seed": 0} | parts)
    model.adapt(x, verbose=0)
    assert not model.network.gamma_map


def test_a_basis_that_mixes_pixels_is_refused(rng):
    x = rng.normal(size=(32, 4, 4, 1)).astype("float32")
    backbone = backbones.UNet(widths=(4,), blocks=1, gamma_map=True)
    model = keras_gud.GUD(basis="haar", schedule="cosine", backbone=backbone)
    with pytest.raises(ValueError, match="Expected a `basis` whose components are pixels"):
        model.adapt(x, verbose=0)
