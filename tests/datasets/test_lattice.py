"""Lattice fields: the identity that every field theory obeys, and splits that differ."""

import numpy as np
import pytest

from keras_gud import datasets
from keras_gud.datasets import lattice

pytestmark = pytest.mark.once


def test_fields_obey_the_schwinger_dyson_equation():
    """``E[phi dS/dphi] = 1`` at every site, by integration by parts."""
    phi, coupling = lattice.phi4_fields(6, 600, np.random.default_rng(0))
    phi = phi[..., 0].astype("float64")
    kappa = np.asarray(lattice.KAPPAS)[coupling][:, None, None]
    around = sum(np.roll(phi, shift, axis) for shift in (1, -1) for axis in (1, 2))
    slope = 2.0 * (1.0 - 0.04) * phi + 0.08 * phi**3 - 2.0 * kappa * around
    found = (phi * slope).mean(axis=(1, 2))
    error = found.std() / np.sqrt(len(found))
    assert error < 0.02
    assert abs(found.mean() - 1.0) < 3.0 * error


def test_stronger_coupling_orders_the_field():
    x, y = datasets.load("lattice", "train", size=8, n=300, labels=True)
    order = [np.abs(x[y == k].mean(axis=(1, 2, 3))).mean() for k in range(3)]
    assert order[0] < order[1] < order[2]


def test_splits_and_seeds_are_different_fields_and_the_same_again():
    def first(split, seed):
        return datasets.load("lattice", split, size=4, n=3, seed=seed)

    kept = first("train", 0)
    assert kept.dtype == np.float32
    np.testing.assert_array_equal(kept, first("train", 0))
    others = [first("test", 0), first(None, 0), first("train", 1)]
    assert all(np.abs(kept - other).max() > 0.1 for other in others)


def test_odd_lattices_are_refused():
    with pytest.raises(ValueError, match=r"even `size`.*Received: size=5"):
        datasets.load("lattice", size=5)
