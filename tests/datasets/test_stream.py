"""Streams of images: their order, labels and augmentation; training goes on where it stopped."""

import keras
import numpy as np
import pytest
from helpers.marks import once
from helpers.one_weight import OneWeightPerValue

import keras_gud
from keras_gud import datasets
from keras_gud.data.source import Source
from keras_gud.datasets.augmentation import Augmentation


def flip(images, rng):
    """Flips every image with probability one half."""
    flipped = rng.random(len(images)) < 0.5
    return np.where(flipped[:, None, None, None], images[:, :, ::-1], images)


@pytest.mark.once
def test_labels_stay_with_their_images():
    images, labels = datasets.load("digits", labels=True)
    label_of = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    for x, y in datasets.load("digits", batch_size=500, labels=True, seed=4):
        assert [label_of[image.tobytes()] for image in x] == list(y)
    # ... which are those of the file: the mean zero has no ink in the middle
    assert images[labels == 0].mean(0)[4, 4] < images[labels == 8].mean(0)[4, 4]


@pytest.mark.once
def test_training_fills_the_last_batch_up_and_nothing_else_does():
    stream = datasets.load("digits", n=21, batch_size=8, seed=4)
    source = Source(stream, shuffle=True, seed=1)
    source.shuffler.epoch = 2
    trained = [source.keras_data[i][0] for i in range(source.n_batches)]
    stream.epoch = 2
    np.testing.assert_array_equal(np.concatenate(trained)[:21], np.concatenate(list(stream)))
    np.testing.assert_array_equal(trained[-1][5:], trained[0][:3])
    assert [len(x) for x in source] == [len(x) for x in stream] == [8, 8, 5]
    held = Source(stream).keras_data
    assert len(held[2][0]) == 5


@pytest.mark.once
@pytest.mark.parametrize("augment", [keras.layers.RandomFlip("horizontal"), flip])
def test_augmentation_is_random_and_repeatable(augment):
    plain = datasets.load("patches", n=64, batch_size=64, shuffle=False)[0]
    stream = datasets.load("patches", n=64, batch_size=64, shuffle=False, augment=augment)
    first = stream[0]
    assert first.dtype == np.uint8
    same = (first == plain).all(axis=(1, 2, 3))
    mirrored = (first == plain[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (same | mirrored).all()
    assert 10 < mirrored.sum() < 54
    np.testing.assert_array_equal(stream[0], first)
    stream.epoch = 1
    assert (stream[0] != first).any()


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("RandomTranslation", (0.5, 0.5)),
        ("RandomBrightness", (0.5,)),
        ("RandomColorJitter", ((0, 255), 0.5, 0.5)),  # draws in layers of its own
    ],
)
def test_layers_depend_on_the_seed_alone(name, arguments, rng):
    images = rng.integers(0, 256, (6, 8, 8, 3)).astype("uint8")
    augment, equal = (Augmentation(getattr(keras.layers, name)(*arguments)) for _ in range(2))
    first, other = (augment(images, seed=[3, 0, index]) for index in range(2))
    assert first.dtype == np.uint8
    assert (first != other).any()
    for again in (augment, equal):
        np.testing.assert_array_equal(again(images, seed=[3, 0, 0]), first)


@pytest.mark.once
def test_a_layer_by_name_is_that_of_keras_and_keeps_its_own_random_state(rng):
    images = rng.integers(0, 256, (8, 4, 4, 1)).astype("uint8")
    layer = keras.layers.RandomFlip(seed=5)
    state = keras.ops.convert_to_numpy(layer.variables[0])
    expected = Augmentation(layer)(images, seed=1)
    np.testing.assert_array_equal(Augmentation("RandomFlip")(images, seed=1), expected)
    np.testing.assert_array_equal(layer.variables[0], state)


@pytest.mark.once
def test_layers_inside_a_layer_are_seeded_too(rng):
    images = rng.integers(0, 256, (8, 4, 4, 1)).astype("uint8")
    pair = [keras.layers.RandomFlip("horizontal"), keras.layers.RandomFlip("vertical")]
    augment = Augmentation(keras.Sequential(pair))
    first, other = (augment(images, seed=seed) for seed in (1, 2))
    assert (first != other).any()
    np.testing.assert_array_equal(augment(images, seed=1), first)


@pytest.mark.once
def test_layers_of_keras_cv_depend_on_the_seed_alone(rng):
    keras_cv = pytest.importorskip("keras_cv")
    images = rng.integers(0, 256, (4, 8, 8, 3)).astype("uint8")
    first, other, again = (
        Augmentation(keras_cv.layers.RandomCutout(0.5, 0.5))(images, seed) for seed in (1, 2, 1)
    )
    assert (first != other).any()
    np.testing.assert_array_equal(first, again)


@pytest.mark.once
def test_random_numbers_from_elsewhere_are_refused(rng):
    images = rng.integers(0, 256, (4, 4, 4, 1)).astype("uint8")

    def brighter(images, _):
        return images + rng.integers(100, size=images.shape).astype("uint8")

    with pytest.raises(ValueError, match="from the seed alone.*drew differently"):
        Augmentation(brighter)(images, seed=0)


@pytest.mark.once
def test_steps_of_an_augmentation_follow_each_other():
    def brighter(images, rng):
        return images + 1

    x = np.zeros((2, 2, 2, 1), "uint8")
    assert (Augmentation([brighter, brighter])(x, seed=0) == 2).all()

    def in_place(images, rng):
        images += 1
        return images

    assert (Augmentation(in_place)(x, seed=0) == 1).all()


def latent(**kwargs):
    """A latent model whose latents are the data."""
    return keras_gud.LatentGUD(keras.layers.Identity(), keras.layers.Identity(), **kwargs)


@pytest.mark.parametrize("model", once([keras_gud.GUD, latent], but=[keras_gud.GUD]))
def test_training_that_is_taken_up_again_ends_with_the_same_weights(model, tmp_path):
    def make():
        return model(schedule="cosine", backbone=OneWeightPerValue(), seed=1)

    def data():
        return datasets.load("digits", n=90, batch_size=32, augment=flip, seed=2)

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    whole, parts = make(), make()
    whole.fit(data(), epochs=4, verbose=0)
    backup = [keras.callbacks.BackupAndRestore(tmp_path / "backup")]
    with pytest.raises(KeyboardInterrupt):
        parts.fit(data(), epochs=4, verbose=0, callbacks=[*backup, Stop()])
    parts = make()
    history = parts.fit(data(), epochs=4, verbose=0, callbacks=backup)
    assert history.epoch == [2, 3]
    for a, b in zip(whole.variables, parts.variables, strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b), err_msg=a.path
        )


@pytest.mark.once
def test_a_stream_of_pairs_trains_a_model_with_classes():
    model = keras_gud.GUD(schedule="cosine", backbone="tiny", classes=10)
    stream = datasets.load("digits", n=40, batch_size=20, labels=True)
    assert np.isfinite(model.fit(stream, verbose=0).history["loss"]).all()
    assert model.sample(2, labels=[3, 4], steps=2).shape == (2, 8, 8, 1)


@pytest.mark.once
def test_bad_input():
    with pytest.raises(ValueError, match="`augment` only with `batch_size`"):
        datasets.load("digits", augment=flip)
    with pytest.raises(ValueError, match="`augment` to be layers.*Received: .3"):
        datasets.load("digits", batch_size=2, augment=3)
    with pytest.raises(ValueError, match="`batch_size`"):
        datasets.load("digits", batch_size=0)
    with pytest.raises(ValueError, match="data set with labels. Received: name='patches'"):
        datasets.load("patches", n=1, labels=True)
    with pytest.raises(IndexError, match="index=90"):
        datasets.load("digits", batch_size=20)[90]


@pytest.mark.once
def test_unknown_augmentation_suggests_the_nearest():
    with pytest.raises(ValueError, match="augment='RandomFlips'. Did you mean 'RandomFlip'"):
        datasets.load("digits", batch_size=2, augment="RandomFlips")
