"""Scores of the race: Frechet distance, precision and recall in the features of a classifier."""

import os
from pathlib import Path

import numpy as np
from frechet import feature_distance
from race_data import RaceData

FEATURES = 64
# Neighbours whose distance is the radius of the manifold around a point (arXiv:1904.06991).
NEIGHBOURS = 3


class ClassifierFeatures:
    """The last hidden layer of a small convolutional classifier of the training data.

    Args:
        data: What it is trained on, once; its weights are kept in `cache`.
        cache: A file.
    """

    def __init__(self, data: RaceData, cache: Path):
        import keras

        keras.utils.set_random_seed(0)
        self.low, self.high = data.unit_range
        classes = int(data.train_labels.max()) + 1
        relu = {"padding": "same", "activation": "relu"}
        layers = [
            keras.layers.Conv2D(16, 3, strides=2, **relu),
            keras.layers.Conv2D(32, 3, strides=2, **relu),
            keras.layers.Conv2D(64, 3, strides=2, **relu),
            keras.layers.Flatten(),
            keras.layers.Dense(FEATURES, activation="relu"),
        ]
        self.hidden = keras.Sequential([keras.Input(data.train.shape[1:]), *layers])
        network = keras.Sequential([self.hidden, keras.layers.Dense(classes)])
        if not cache.exists():
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            network.compile(keras.optimizers.Adam(1e-3), loss)
            network.fit(
                self._scaled(data.train), data.train_labels, batch_size=64, epochs=8, verbose=0
            )
            temporary = cache.with_suffix(f".{os.getpid()}.npz")
            np.savez(temporary, *self.hidden.get_weights())
            temporary.replace(cache)
        with np.load(cache) as saved:
            self.hidden.set_weights([saved[name] for name in saved.files])

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Features ``(n, 64)``, float64."""
        return self.hidden.predict(self._scaled(x), batch_size=250, verbose=0).astype("float64")

    def _scaled(self, x):
        return 2.0 * (x.astype("float32") - self.low) / (self.high - self.low) - 1.0


def scores(features, samples: np.ndarray, test: np.ndarray) -> dict[str, float]:
    """Frechet distance, precision and recall of samples against held-out data."""
    ours, real = features(samples), features(test)
    return {
        "frechet": feature_distance(ours, real),
        "precision": _covered(ours, real),
        "recall": _covered(real, ours),
    }


def _covered(points: np.ndarray, manifold: np.ndarray) -> float:
    """Share of points within the neighbourhoods of a manifold's points."""
    radius = np.sort(_distances(manifold, manifold), axis=1)[:, NEIGHBOURS]
    return float((_distances(points, manifold) <= radius).any(axis=1).mean())


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2.0 * a @ b.T
    return np.sqrt(np.maximum(squares, 0.0))
