"""Attention in two forms, of which a call takes the one that it can be derived in."""

import numpy as np
import pytest
from keras import ops

from keras_gud import backend
from keras_gud.core.attention import dot_product_attention

RNG = np.random.default_rng(0)
INPUTS = [RNG.normal(size=(2, 3, n, 8)).astype("float32") for n in (5, 7, 7)]


@pytest.fixture
def fused(monkeypatch):
    """Sets whether one operation is taken, whatever the backend."""
    return lambda value: monkeypatch.setattr(backend, "fuses_attention", lambda *_: value)


def test_both_forms_are_equal(fused):
    found = []
    for value in (True, False):
        fused(value)
        output = dot_product_attention(*map(ops.convert_to_tensor, INPUTS))
        found.append(ops.convert_to_numpy(output))
    np.testing.assert_allclose(*found, atol=1e-5)


def test_directional_derivatives_choose_their_form():
    query, key, value = map(ops.convert_to_tensor, INPUTS)
    for axis in range(3):

        def along(x, axis=axis):
            inputs = [query, key, value]
            inputs[axis] = x
            return dot_product_attention(*inputs)

        x = [query, key, value][axis]
        output, slope = ops.jvp(along, (x,), (ops.ones_like(x),))
        np.testing.assert_allclose(
            ops.convert_to_numpy(output), ops.convert_to_numpy(along(x)), atol=1e-5
        )
        h = 1e-2
        change = (along(x + h) - along(x - h)) / (2 * h)
        np.testing.assert_allclose(
            ops.convert_to_numpy(slope), ops.convert_to_numpy(change), atol=1e-3
        )
