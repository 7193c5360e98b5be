"""Threefry against its published vectors, and the noise made of it against what noise must be."""

import keras
import numpy as np
import pytest
from scipy import stats

from keras_gud.core import counter_rng

MASK = 0xFFFFFFFF

# Random123's known-answer file (kat_vectors), threefry2x32 with 20 rounds: counter, key, output.
VECTORS = [
    ((0x00000000, 0x00000000), (0x00000000, 0x00000000), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]


def as_int32(pair):
    return tuple(np.array([[v]], "uint32").view("int32") for v in pair)


def as_tensors(pair):
    return tuple(keras.ops.convert_to_tensor(v) for v in as_int32(pair))


def numpy_threefry(counter, key):
    """Independent reference in Python integers."""
    ks = (key[0], key[1], 0x1BD11BDA ^ key[0] ^ key[1])
    x = [(counter[0] + ks[0]) & MASK, (counter[1] + ks[1]) & MASK]
    for r in range(20):
        bits = ((13, 15, 26, 6), (17, 29, 16, 24))[(r // 4) % 2][r % 4]
        x[0] = (x[0] + x[1]) & MASK
        x[1] = (((x[1] << bits) | (x[1] >> (32 - bits))) & MASK) ^ x[0]
        if r % 4 == 3:
            s = r // 4 + 1
            x[0] = (x[0] + ks[s % 3]) & MASK
            x[1] = (x[1] + ks[(s + 1) % 3] + s) & MASK
    return tuple(x)


@pytest.mark.parametrize(("counter", "key", "expected"), VECTORS)
def test_threefry_known_answers(counter, key, expected):
    out = counter_rng.threefry(as_tensors(key), as_tensors(counter))
    got = tuple(int(keras.ops.convert_to_numpy(v).view("uint32")[0, 0]) for v in out)
    assert got == expected
    assert numpy_threefry(counter, key) == expected


def test_normal_equals_box_muller_of_the_reference():
    keys = counter_rng.sample_keys(seed=-3, n=3, first=7)
    got = keras.ops.convert_to_numpy(counter_rng.normal(keys, step=11, shape=(5,)))
    for row, key in zip(got, keys.view("uint32").tolist(), strict=True):
        pairs = [numpy_threefry((c, 11), key) for c in range(3)]
        u = (np.array(pairs) // 256 + 0.5) / 2**24
        radius = np.sqrt(-2 * np.log(u[:, 0]))
        angle = 2 * np.pi * u[:, 1]
        expected = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:5]
        np.testing.assert_allclose(row, expected, atol=2e-5)


def test_samples_do_not_depend_on_the_batch():
    together = keras.ops.convert_to_numpy(
        counter_rng.normal(counter_rng.sample_keys(5, 8), 2, (4, 4, 3))
    )
    alone = keras.ops.convert_to_numpy(
        counter_rng.normal(counter_rng.sample_keys(5, 1, first=6), 2, (4, 4, 3))
    )
    np.testing.assert_allclose(alone[0], together[6], atol=1e-6)


@pytest.mark.once
def test_normal_is_standard_normal_and_uncorrelated():
    n = keras.ops.convert_to_numpy(counter_rng.normal(counter_rng.sample_keys(1, 400), 0, (50,)))
    assert stats.kstest(n.ravel(), "norm").pvalue > 1e-3
    other = keras.ops.convert_to_numpy(
        counter_rng.normal(counter_rng.sample_keys(1, 400), 1, (50,))
    )
    neighbour = keras.ops.convert_to_numpy(
        counter_rng.normal(counter_rng.sample_keys(2, 400), 0, (50,))
    )
    bound = 4 / np.sqrt(n.size)
    for a, b in ((n, other), (n, neighbour), (n[:, :25], n[:, 25:]), (n[:-1], n[1:])):
        assert abs(np.mean(a * b)) < bound * np.sqrt(n.size / a.size)


@pytest.mark.once
def test_uniform_is_uniform_and_open():
    u = keras.ops.convert_to_numpy(counter_rng.uniform(counter_rng.sample_keys(1, 100), 0, (101,)))
    assert u.shape == (100, 101)
    assert u.min() > 0
    assert u.max() < 1
    assert stats.kstest(u.ravel(), "uniform").pvalue > 1e-3


def test_golden_sequence_fills_the_interval_evenly():
    index = np.arange(1000, dtype="int32")
    t = keras.ops.convert_to_numpy(counter_rng.golden_sequence(keras.ops.convert_to_tensor(index)))
    exact = ((index + 0.5) * 2654435769 / 2**32) % 1
    np.testing.assert_allclose(t, exact, atol=1e-6)
    for window in (t[:100], t[500:600]):
        counts, _ = np.histogram(window, bins=10, range=(0, 1))
        assert counts.min() >= 8
