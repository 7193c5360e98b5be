"""Random changes of training images, the same whenever a batch is read again."""

import sys
from collections.abc import Callable, Sequence
from typing import TypeAlias

import keras
import numpy as np

from keras_gud.core.registry import require_one_of

Step: TypeAlias = str | keras.layers.Layer | Callable[[np.ndarray, np.random.Generator], np.ndarray]


class Augmentation:
    """Layers or functions applied to a batch of images, one after the other.

    Args:
        steps: One or a list of: a Keras layer, e.g. ``keras.layers.RandomTranslation(0.1, 0.1)``;
            the name of one whose arguments are optional, e.g. ``"RandomFlip"``; or a function
            ``(images, rng) -> images`` of uint8 ``(batch, height, width, channels)`` and a NumPy
            generator. Layers of keras-cv (extra ``augment``) reset TensorFlow's global seed.

    Raises:
        TypeError: for the name of a layer that needs arguments.
        ValueError: for an unknown name or a step that cannot be called; at the first batch, for
            steps whose random numbers depend on more than its seed.

    Example:

    >>> mirror = Augmentation(keras.layers.RandomFlip("horizontal"))
    >>> mirror(np.zeros((3, 8, 8, 1), "uint8"), seed=[0, 1]).shape
    (3, 8, 8, 1)
    """

    def __init__(self, steps: Step | Sequence[Step]) -> None:
        steps = steps if isinstance(steps, (list, tuple)) else [steps]
        self.steps = [_layer(step) if isinstance(step, str) else step for step in steps]
        if not all(map(callable, self.steps)):
            raise ValueError(
                f"Expected `augment` to be layers, their names, or functions. Received: {steps!r}."
            )
        self._is_repeatable = False

    def __call__(self, images: np.ndarray, seed: int | Sequence[int]) -> np.ndarray:
        """Changed images, uint8 like `images`; a function of `images` and `seed` alone."""
        draws = 1 if self._is_repeatable else 2
        changed, *again = (self._change(images.copy(), seed) for _ in range(draws))
        if again and not np.array_equal(changed, again[0]):
            raise ValueError(
                "Expected `augment` to draw from the seed alone: layers by Keras' generators, "
                f"functions by `rng`. Received: {self.steps!r}, which drew differently again."
            )
        self._is_repeatable = True
        return changed

    def _change(self, images: np.ndarray, seed: int | Sequence[int]) -> np.ndarray:
        rng = np.random.default_rng(seed)
        for step in self.steps:
            is_layer = isinstance(step, keras.layers.Layer)
            images = _call_layer(step, images, rng) if is_layer else step(images, rng)
        return images


def _layer(name: str) -> keras.layers.Layer:
    require_one_of("augment", name, [n for n in dir(keras.layers) if n.startswith("Random")])
    return getattr(keras.layers, name)(dtype="float32")


def _call_layer(layer, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The layer's output for random states drawn from `rng`; it keeps its own."""
    if not layer.built:
        layer.build(images.shape)
    for part in layer._flatten_layers():
        if hasattr(part, "_random_generator"):  # keras-cv draws from TensorFlow on all backends
            sys.modules["tensorflow"].random.set_seed(int(rng.integers(2**31)))
            part._random_generator.reset_from_seed(int(rng.integers(2**31)))
    states = [v for v in layer.variables if v.name == "seed_generator_state"]
    with keras.StatelessScope([(v, np.array([rng.integers(2**31), 0])) for v in states]):
        changed = layer(images.astype("float32"), training=True)
    return np.clip(np.round(keras.ops.convert_to_numpy(changed)), 0, 255).astype(images.dtype)
