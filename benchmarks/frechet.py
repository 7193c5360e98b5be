"""A Frechet distance for small images, in fixed feature spaces that need no download."""

import functools

import numpy as np

from keras_gud import metrics
from keras_gud.metrics import FeatureStatistics

FILTERS = 24


def random_features(images: np.ndarray) -> np.ndarray:
    """Mean and standard deviation over each image of 24 random 5x5 filters after a ReLU.

    The name of this space is "random-conv-48": NumPy generator with seed 0, filters of unit norm,
    two in three of zero mean, and biases of a tenth of the range.

    Args:
        images: uint8 ``(n, height, width, channels)``.

    Returns:
        float64 ``(n, 48)``.
    """
    rng = np.random.default_rng(0)
    filters = rng.normal(size=(FILTERS, 5 * 5 * images.shape[-1]))
    filters -= filters.mean(axis=1, keepdims=True)
    # A filter of zero mean cannot see brightness and colour; every third one gets a mean.
    filters[::3] += rng.normal(size=(len(filters[::3]), 1)) / 5.0
    filters /= np.linalg.norm(filters, axis=1, keepdims=True)
    bias = rng.uniform(-0.1, 0.1, FILTERS)
    x = images / 127.5 - 1.0
    windows = np.lib.stride_tricks.sliding_window_view(x, (5, 5), axis=(1, 2))
    patches = np.moveaxis(windows, 3, -1).reshape(*windows.shape[:3], -1)
    responses = np.maximum(patches @ filters.T + bias, 0.0)
    return np.concatenate([responses.mean(axis=(1, 2)), responses.std(axis=(1, 2))], axis=1)


@functools.cache
def _digits_layer():
    """Weights and bias of the hidden layer of a classifier of all scikit-learn digits."""
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    images, labels = load_digits(return_X_y=True)
    classifier = MLPClassifier((64,), max_iter=500, random_state=0).fit(images / 16.0, labels)
    return classifier.coefs_[0], classifier.intercepts_[0]


def digit_features(images: np.ndarray) -> np.ndarray:
    """The 64 hidden features, after the ReLU, of a scikit-learn `MLPClassifier` of the digits.

    The name of this space is "digits-mlp-64": one hidden layer, scaled to [0, 1], random state 0,
    trained on all 1797 digits.

    Args:
        images: uint8 ``(n, 8, 8, 1)``.

    Returns:
        float64 ``(n, 64)``.
    """
    weights, bias = _digits_layer()
    return np.maximum(images.reshape(len(images), -1) / 255.0 @ weights + bias, 0.0)


def feature_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Frechet distance of features ``(n, features)``, in units of b's total variance."""
    one, other = (FeatureStatistics(x.mean(0), np.cov(x.T), len(x), "any") for x in (a, b))
    return metrics.frechet_distance(one, other).value / float(np.trace(other.covariance))


def frechet_distance(images: np.ndarray, reference: np.ndarray, features=random_features) -> float:
    """Frechet distance of two sets of images in units of the reference's own total variance."""
    return feature_distance(features(images), features(reference))
