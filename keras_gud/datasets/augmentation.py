"""Random changes of training images, the same whenever a batch is drawn again."""

import threading

import keras
import numpy as np

from keras_gud.core import optional
from keras_gud.core.registry import near_match


class Augmentation:
    """Layers or functions applied to a batch one after the other.

    A Keras layer draws its changes from a generator of its own, so that they would depend on all
    batches before. Here every batch sets the generators, by its seed.

    Args:
        steps: One or a list of: a Keras layer, such as those of keras-cv; the name of a layer of
            keras-cv that needs no arguments, e.g. ``"RandomFlip"``; or a function ``(images, rng)
            -> images`` of uint8 ``(batch, height, width, channels)`` and a NumPy generator.

    Raises:
        ImportError: for a name where keras-cv is missing.
        ValueError: for an unknown name, or something that cannot be called.

    Example:

    >>> def flip(images, rng):
    ...     return np.where(rng.random(len(images)) < 0.5, images.T[::-1], images.T).T
    >>> x = np.arange(6, dtype="uint8").reshape(3, 1, 2, 1)
    >>> sorted(Augmentation(keras.layers.RandomFlip())(x, seed=[0, 1]).flatten().tolist())
    [0, 1, 2, 3, 4, 5]
    """

    def __init__(self, steps):
        steps = steps if isinstance(steps, (list, tuple)) else [steps]
        self.steps = [_layer(step) if isinstance(step, str) else step for step in steps]
        for step in self.steps:
            if not callable(step):
                raise ValueError(
                    "Expected `augment` to be layers, names of layers of keras-cv, or functions. "
                    f"Received: {step!r}."
                )
        # Threads that make batches share the generators.
        self._lock = threading.Lock()

    def __call__(self, images: np.ndarray, seed) -> np.ndarray:
        """Changed images of the same dtype.

        Args:
            images: uint8 ``(batch, height, width, channels)``.
            seed: Non-negative integer, or list of them.
        """
        rng = np.random.default_rng(seed)
        with self._lock:
            for step in self.steps:
                images = _apply(step, images, rng)
        return images


def _apply(step, images, rng):
    if not isinstance(step, keras.layers.Layer):
        return step(images, rng)
    for part in step._flatten_layers():
        for value in vars(part).values():
            _reseed(value, int(rng.integers(2**31)))
    changed = step(images.astype("float32"), training=True)
    return np.clip(np.round(keras.ops.convert_to_numpy(changed)), 0, 255).astype(images.dtype)


def _reseed(generator, seed: int):
    if isinstance(generator, keras.random.SeedGenerator):
        generator.state.assign(np.array([seed, 0], "uint32"))
    elif hasattr(generator, "reset_from_seed"):  # TensorFlow's, in keras-cv
        generator.reset_from_seed(seed)


def _layer(name: str):
    try:
        from keras_cv import layers
    except ImportError as error:
        raise optional.missing("keras-cv", f"augment={name!r}", "augment") from error
    known = [known for known in dir(layers) if known.startswith("Random")]
    if name not in known:
        raise ValueError(
            f"Expected `augment` to name a random layer of keras-cv. Received: augment={name!r}."
            f"{near_match(name, known)}"
        )
    return getattr(layers, name)()
