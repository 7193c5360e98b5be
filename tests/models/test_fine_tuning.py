"""Models that begin where others have ended: loaded, frozen, adapted by LoRA."""

import keras
import numpy as np
import pytest
from helpers.networks import PATCHES, VECTORS, perturb
from helpers.tiny_model import assert_same, everything, raw_and_average, vectors

import keras_gud
from keras_gud import backbones

X = vectors(48)


def make(columns=4, fit=True, seed=0, **kwargs):
    """A small model of vectors, trained for three steps."""
    classes = kwargs.get("classes")
    kwargs = {"backbone": backbones.MLP(**VECTORS, classes=classes), "seed": seed} | kwargs
    model = keras_gud.GUD(**kwargs)
    x = np.tile(X, 2)[:, :columns]
    labels = None if classes is None else np.arange(len(x)) % classes
    model.adapt(x, verbose=0)
    model.compile(keras.optimizers.Adam(1e-2))
    if fit:
        model.fit(x, labels, batch_size=16, verbose=0)
    return model


@pytest.mark.once
def test_averaged_weights_become_weights_and_average(tmp_path):
    trained, model = make(), make(seed=1)
    trained.save(tmp_path / "trained.keras")
    optimizer = model.optimizer
    report = model.load_backbone(tmp_path / "trained.keras")
    assert report.share == 1.0
    expected = raw_and_average(trained)[1]
    for found in raw_and_average(model):
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert float(model.ema.count) == 0
    assert model.optimizer is not optimizer
    assert not model.optimizer.built
    assert float(model.optimizer.learning_rate) == np.float32(1e-2)
    history = model.fit(X, batch_size=16, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert float(model.ema.count) == 3
    np.testing.assert_allclose(
        make(seed=2, fit=False).load_backbone(trained).share, 1.0, err_msg="an instance"
    )


@pytest.mark.once
def test_it_samples_as_the_loaded_model_does():
    trained, model = make(), make(fit=False, seed=1)
    before = model.sample(4, steps=3, seed=0)  # compiled with other weights
    model.load_backbone(trained)
    samples = model.sample(4, steps=3, seed=0)
    np.testing.assert_allclose(samples, trained.sample(4, steps=3, seed=0), atol=1e-5)
    assert not np.allclose(samples, before, atol=1e-3)


@pytest.mark.once
def test_further_columns_and_classes():
    trained, model = make(classes=3), make(columns=6, classes=5, fit=False, seed=1)
    report = model.load_backbone(trained)
    assert {x.name for x in report.partly} >= {"stem", "head", "label_embedding"}
    model.fit(np.tile(X, 2)[:, :6], np.arange(48) % 5, batch_size=16, verbose=0)
    assert model.sample(2, labels=4, steps=3).shape == (2, 6)


@pytest.mark.once
def test_images_of_another_size_and_with_colours():
    x = np.random.default_rng(0).integers(0, 255, (16, 4, 4, 1)).astype("uint8")
    network = {"backbone": {"class_name": "keras_gud>DiT", "config": PATCHES}}
    trained, model = (keras_gud.GUD(**network, seed=seed) for seed in range(2))
    trained.fit(x, batch_size=8, verbose=0)
    model.adapt(np.repeat(np.tile(x, (1, 2, 2, 1)), 3, -1), verbose=0)
    report = model.load_backbone(trained)
    assert report.missing == ()
    assert 0.8 < report.share < 1.0
    assert model.sample(2, steps=3).shape == (2, 8, 8, 3)


@pytest.mark.once
def test_a_network_that_hardly_fits_warns_and_so_does_another_prediction():
    wide = backbones.MLP(**VECTORS | {"width": 32, "embedding_dim": 24})
    with pytest.warns(UserWarning, match="Less than half of the network"):
        make(fit=False).load_backbone(make(backbone=wide, fit=False))
    with pytest.warns(UserWarning, match=r"prediction='eps' and is taken for 'v'"):
        make(fit=False).load_backbone(make(fit=False, prediction="eps"))


@pytest.mark.once
def test_what_cannot_be_loaded_is_refused_and_changes_nothing(tmp_path):
    model = make()
    before = everything(model)
    unbuilt = keras_gud.GUD(backbone="tiny")
    images = keras_gud.GUD(backbone="tiny")
    images.adapt(np.random.default_rng(0).normal(size=(8, 4, 4, 1)), verbose=0)
    (tmp_path / "broken.keras").write_bytes(b"no zip")
    for other, message in (
        (unbuilt, "before its weights are taken"),
        (images, r"same class, MLP\. Received: UNet"),
        (3, r"a trained model or the path of its file.*Received: other=3"),
        ("patches", r"ends in '\.keras'"),
        (tmp_path / "broken.keras", "zip archive"),
    ):
        with pytest.raises(ValueError, match=message):
            model.load_backbone(other)
    with pytest.raises(FileNotFoundError):
        model.load_backbone(tmp_path / "none.keras")
    with pytest.raises(ValueError, match="before it takes the weights of another"):
        unbuilt.load_backbone(model)
    assert_same(everything(model), before)


@pytest.mark.once
def test_frozen_layers_stay_and_their_average_with_them(tmp_path):
    model = make()
    model.load_backbone(make(seed=1))
    model.network.stem.trainable = model.network.embedding.trainable = False
    model.network.trainable_variables[0].trainable = False  # one alone
    frozen = [i for i, w in enumerate(model.network.weights) if not w.trainable]
    before = raw_and_average(model)
    model.fit(X, batch_size=16, epochs=2, verbose=0)
    for ours, old in zip(raw_and_average(model), before, strict=True):
        same = [i for i, (a, b) in enumerate(zip(ours, old, strict=True)) if np.array_equal(a, b)]
        assert set(frozen) <= set(same)
        assert len(same) < len(ours)
    # A file says what is frozen, so that training goes on as it would have.
    model.save(tmp_path / "frozen.keras")
    loaded = keras.models.load_model(tmp_path / "frozen.keras")
    assert [i for i, w in enumerate(loaded.network.weights) if not w.trainable] == frozen
    for each in (model, loaded):
        each.fit(X, batch_size=16, epochs=3, initial_epoch=2, verbose=0)
    assert_same(everything(loaded), everything(model))


@pytest.mark.once
def test_layers_may_be_frozen_and_freed_between_fits():
    model = make()
    for trainable in (False, True):
        model.network.stem.trainable = trainable
        with pytest.warns(UserWarning, match="which starts anew"):
            model.fit(X, batch_size=16, verbose=0)
    model.network.trainable = False
    with pytest.raises(ValueError, match=r"Expected weights to train.*all layers are frozen"):
        model.fit(X, batch_size=16, verbose=0)


def test_lora_trains_few_weights_and_is_saved(tmp_path):
    model = make(fit=False, backbone=backbones.MLP(4, 1, embedding_dim=4, mixers=0))
    perturb(model.network)  # in a new network the head is zero, and so are all gradients
    model.network.enable_lora(2)
    before = {id(w): np.array(keras.ops.convert_to_numpy(w)) for w in model.network.weights}
    model.fit(X, batch_size=16, epochs=2, verbose=0)
    for weight in model.network.weights:
        same = np.array_equal(before[id(weight)], keras.ops.convert_to_numpy(weight))
        assert same == (not weight.trainable), weight.path
    assert len(model.ema.average) == len(model.network.weights)
    model.save(tmp_path / "lora.keras")
    loaded = keras_gud.load(tmp_path / "lora.keras", compile=True)
    assert_same_network(loaded, model)


def assert_same_network(one, other):
    for ours, theirs in zip(raw_and_average(one), raw_and_average(other), strict=True):
        for found, expected in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.once
def test_training_of_lora_goes_on_after_loading(tmp_path):
    model = make(fit=False)
    model.load_backbone(make(seed=1))
    before = model.sample(4, steps=3, seed=0)
    model.network.enable_lora(2)
    np.testing.assert_allclose(model.sample(4, steps=3, seed=0), before, atol=1e-5)
    model.fit(X, batch_size=16, epochs=2, verbose=0)
    samples = model.sample(4, steps=3, seed=0)
    assert not np.allclose(samples, before, atol=1e-5)
    model.save(tmp_path / "lora.keras")
    loaded = keras_gud.load(tmp_path / "lora.keras", compile=True)
    np.testing.assert_array_equal(loaded.sample(4, steps=3, seed=0), samples)
    for each in (model, loaded):
        each.fit(X, batch_size=16, epochs=3, initial_epoch=2, verbose=0)
    assert_same_network(loaded, model)
    # Its factors are part of what another model takes.
    plain = make(fit=False, seed=2)
    plain.load_backbone(model)
    np.testing.assert_allclose(
        plain.sample(4, steps=3, seed=0), model.sample(4, steps=3, seed=0), atol=1e-4
    )
