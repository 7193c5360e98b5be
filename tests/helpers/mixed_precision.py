"""Whether this machine can train convolutions in bfloat16 at all."""

import functools

import keras
import numpy as np
import pytest


@functools.cache
def trains_bfloat16_convolutions() -> bool:
    """False on torch on processors without bfloat16: its fallback refuses Keras' kernels."""
    layer = keras.layers.Conv2D(1, 3, padding="same", dtype="mixed_bfloat16")
    network = keras.Sequential([keras.Input((4, 4, 3)), layer])
    network.compile("sgd", "mse")
    try:
        network.train_on_batch(np.zeros((2, 4, 4, 3)), np.zeros((2, 4, 4, 1)))
    except RuntimeError as error:
        if "must be contiguous" not in str(error):
            raise
        return False
    return True


def require_bfloat16_convolutions() -> None:
    """Skips a test where Keras' own convolution layer cannot be trained in bfloat16."""
    if not trains_bfloat16_convolutions():
        pytest.skip("torch cannot train bfloat16 convolutions of Keras on this processor")
