"""Networks that are given gamma as an image, where positions have gammas of their own."""

import warnings

import keras
import numpy as np
import pytest
from helpers.networks import SMALLEST, TOKENS, WIRED, build, inputs, perturb, run, smallest

import keras_gud
from keras_gud import backbones, schedules


@pytest.mark.once
@pytest.mark.parametrize("name", WIRED)
def test_the_output_depends_on_the_gamma_of_every_value(name):
    network, shape = smallest(name, gamma_map=True)
    n = int(np.prod(shape)) + 1
    y, tokens = (np.repeat(x[:1], n, axis=0) for x in inputs(shape))
    gamma = np.random.default_rng(1).uniform(-7, 5, size=shape).astype("float32")
    gamma = np.repeat(gamma[None], n, axis=0)
    before = run(network, y, tokens, gamma)
    assert before.shape == y.shape
    changed = gamma.copy()  # another value in each row, and nothing in the last one
    changed.reshape(n, -1)[range(n - 1), range(n - 1)] += 4.0
    change = np.abs(run(network, y, tokens, changed) - before).reshape(n, -1).max(axis=1)
    assert (change[:-1] > 1e-5).all(), change
    assert change[-1] < 1e-5


def test_in_half_precision_with_several_of_each_value():
    shape, arrays = (8, 6, 1), inputs((8, 6, 1))
    arguments = {"widths": (4, 8), "blocks": 1, "embedding_dim": 16, "dtype": "mixed_bfloat16"}
    network = backbones.UNet(gamma_map=True, **arguments)
    network.build([(None, *shape), (None, *TOKENS), (None, 8, 6, 3)])
    output = run(perturb(network), *arrays, np.ones((2, 8, 6, 3), "float32"))
    assert output.dtype == np.float32
    assert np.isfinite(output).all()


@pytest.mark.once
def test_it_must_be_given():
    make, arguments, shape = SMALLEST["mlp"]
    network = build(make(gamma_map=True, **arguments), shape)
    with pytest.raises(ValueError, match=r"Expected a list \[y, tokens, gamma\]"):
        network(inputs(shape))


@pytest.mark.parametrize(
    ("shape", "over"), [((5,), 0), pytest.param((4, 6, 1), 1, marks=pytest.mark.once)], ids=str
)
def test_a_model_gives_it_where_components_are_pixels(shape, over, rng, tmp_path):
    check_model(shape, {"schedule": schedules.Sequential(b=0.5, over=over)}, rng, tmp_path)


@pytest.mark.once
@pytest.mark.parametrize("backbone", ["tiny", "dit-tiny"])
def test_a_model_gives_it_where_components_are_wavelets(backbone, rng, tmp_path):
    parts = {"basis": "haar", "schedule": schedules.Hierarchical(), "backbone": backbone}
    check_model((4, 8, 1), parts, rng, tmp_path)


def check_model(shape, parts, rng, tmp_path):
    x = rng.normal(size=(32, *shape)).astype("float32")
    model = keras_gud.GUD(**{"backbone": "tiny", "seed": 0} | parts)
    model.fit(x, batch_size=16, verbose=0)
    assert model.network.gamma_map
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    samples = [m.sample(2, steps=3, seed=0) for m in (model, loaded)]
    np.testing.assert_allclose(samples[0], samples[1], atol=1e-5)


@pytest.mark.once
@pytest.mark.parametrize(
    "parts",
    [
        {"basis": "dct"},
        {"schedule": "cosine"},
        {"basis": "haar", "schedule": schedules.Sequential(over="band")},
        {"schedule": "cosine", "region": ["upscale", "deblur"]},
    ],
    ids=["no position has its own", "all the same", "bands alone", "in further bases"],
)
def test_a_model_does_not_where_it_means_nothing(parts, rng):
    x = rng.normal(size=(32, 4, 4, 1)).astype("float32")
    model = keras_gud.GUD(**{"schedule": "linear", "backbone": "tiny", "seed": 0} | parts)
    model.adapt(x, verbose=0)
    assert not model.network.gamma_map


@pytest.mark.once
def test_a_basis_that_mixes_pixels_is_refused(rng):
    x = rng.normal(size=(32, 4, 4, 1)).astype("float32")
    backbone = backbones.UNet(widths=(4,), blocks=1, gamma_map=True)
    model = keras_gud.GUD(basis="dct", schedule="cosine", backbone=backbone)
    with pytest.raises(ValueError, match="Expected a `basis` whose components are pixels"):
        model.adapt(x, verbose=0)


@pytest.mark.once
def test_a_network_that_is_not_told_of_masks_warns_when_it_is_built(rng):
    x = rng.normal(size=(32, 4, 4, 1)).astype("float32")
    for gamma_map in (False, True):
        backbone = backbones.UNet(widths=(4,), blocks=1, gamma_map=gamma_map)
        model = keras_gud.GUD(schedule="cosine", region="inpaint", backbone=backbone)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            model.adapt(x, verbose=0)
        said = [str(w.message) for w in caught if "which pixels are observed" in str(w.message)]
        assert len(said) == (0 if gamma_map else 1)
