"""What the benchmarks measure with: counted FLOPs and the Frechet distance."""

import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_gud import backbones, datasets

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from flops import count_flops
from frechet import digit_features, feature_distance, frechet_distance, random_features


def test_flops_of_convolutions_and_dense_layers():
    network = keras.Sequential(
        [keras.layers.Conv2D(4, 3, padding="same"), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    network.build((None, 5, 6, 3))

    class First(keras.layers.Layer):
        def call(self, inputs):
            return network(inputs[0])

    expected = 2 * 7 * (5 * 6 * 9 * 3 * 4 + 5 * 6 * 4 * 2)
    assert count_flops(First(), [(7, 5, 6, 3)]) == expected


def test_flops_of_attention():
    """Cross-attention: the two projected token matrices, logits and mixing; and keys and values."""
    batch, n, width, count, features, heads = 3, 40, 8, 5, 6, 2

    class Cross(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.attention = backbones.CrossAttention(heads)

        def call(self, inputs):
            return self.attention(*inputs)

    dense = 2 * count * features * width
    absorbed = 2 * count * width * width
    products = 2 * n * heads * count * width
    expected = 2 * batch * (dense + absorbed + products)
    assert count_flops(Cross(), [(batch, n, width), (batch, count, features)]) == expected


def images(seed, n=400, contrast=40):
    rng = np.random.default_rng(seed)
    return np.clip(128 + contrast * rng.normal(size=(n, 9, 9, 3)), 0, 255).astype("uint8")


def test_frechet_distance_is_0_for_the_same_and_grows_with_the_difference():
    reference = images(0)
    assert frechet_distance(reference, reference) == pytest.approx(0.0, abs=1e-6)
    level = frechet_distance(images(1), reference)
    far = [frechet_distance(images(1, contrast=c), reference) for c in (50, 60)]
    assert 0 < level < far[0] < far[1]


def test_features_do_not_depend_on_the_other_images():
    x = images(2, n=6)
    np.testing.assert_allclose(random_features(x)[2:4], random_features(x[2:4]), rtol=1e-12)
    assert random_features(x).shape == (6, 48)


def test_feature_distance_of_gaussians_is_the_closed_form():
    """Shifted by m, scaled by k: m^2 + (k - 1)^2 tr C, over tr C; a unit never on adds nothing."""
    b = np.random.default_rng(0).normal(size=(50, 5)) * np.array([1.0, 2.0, 3.0, 0.5, 0.0])
    total, shift = np.trace(np.cov(b.T)), np.array([1.0, 0.0, -2.0, 0.0, 0.0])
    assert feature_distance(b, b) == pytest.approx(0.0, abs=1e-9)
    assert feature_distance(b + shift, b) == pytest.approx(5.0 / total)
    scaled = b.mean(0) + 1.5 * (b - b.mean(0))
    assert feature_distance(scaled, b) == pytest.approx(0.25)


def test_digit_features_tell_digits_from_noise():
    digits = datasets.load("digits")
    assert digit_features(digits[:3]).shape == (3, 64)
    noise = np.random.default_rng(0).integers(0, 256, size=(300, 8, 8, 1), dtype="uint8")
    near = frechet_distance(digits[:300], digits, digit_features)
    assert 0.0 < near < 0.03 < frechet_distance(noise, digits, digit_features)
