"""The average of the weights against a NumPy reference."""

import keras
import numpy as np
from helpers.tiny_model import make, raw_and_average, vectors


def test_average_follows_its_recursion():
    model, x = make(), vectors(48)
    model.adapt(x, verbose=0)
    model.compile(keras.optimizers.Adam(1e-2))
    average = [w.copy() for w in raw_and_average(model)[0]]
    for k in range(1, 13):
        # The update happens in the forward pass: it sees the weights before the step's change.
        before, _ = raw_and_average(model)
        model.train_on_batch(x[:16])
        decay = min(0.999, (1 + k) / (10 + k))
        average = [a + (1 - decay) * (w - a) for a, w in zip(average, before, strict=True)]
        for ours, reference in zip(raw_and_average(model)[1], average, strict=True):
            np.testing.assert_allclose(ours, reference, atol=1e-6)
    after, _ = raw_and_average(model)
    assert max(np.abs(w - a).max() for w, a in zip(after, average, strict=True)) > 1e-3


def test_decay_settles_at_its_final_value():
    model, x = make(ema_decay=0.5), vectors(16)
    model.adapt(x, verbose=0)
    model.compile(keras.optimizers.Adam(1e-2))
    for _ in range(12):
        raw, average = raw_and_average(model)
        model.train_on_batch(x)
    for w, a, new in zip(raw, average, raw_and_average(model)[1], strict=True):
        np.testing.assert_allclose(new, 0.5 * (w + a), atol=1e-6)
