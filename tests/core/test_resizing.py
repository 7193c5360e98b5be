"""Linear resizing as a matrix."""

import numpy as np
import pytest

from keras_gud.core.resizing import resizing_weights

pytestmark = pytest.mark.once


@pytest.mark.parametrize(("size", "new"), [(4, 4), (3, 8), (8, 3), (1, 5), (5, 1)])
def test_resizing_keeps_constants_and_order(size, new):
    weights = resizing_weights(size, new)
    np.testing.assert_allclose(weights.sum(axis=0), 1.0, rtol=1e-6)
    places = np.arange(size) @ weights
    assert (np.diff(places) >= 0).all()
    np.testing.assert_allclose(places[::-1], size - 1 - places, atol=1e-5)
