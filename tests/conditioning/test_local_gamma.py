"""The gammas that a network is given at each position."""

import numpy as np
import pytest
from keras import ops

from keras_gud import bases
from keras_gud.conditioning.local_gamma import local_gamma, varies_in_space

pytestmark = pytest.mark.once
SHAPE = (8, 4, 2)


def built(basis, shape=SHAPE, **kwargs):
    basis = bases.get(basis, **kwargs)
    basis.build((None, *shape))
    return basis


def given(basis, gamma, n_scales):
    return ops.convert_to_numpy(local_gamma(basis, ops.convert_to_tensor(gamma), 1, n_scales))[0]


def test_of_wavelets_those_of_all_whose_values_it_is_part_of():
    """Against a search: which components change when the value at a position does."""
    basis, rng = built("haar", levels=2), np.random.default_rng(0)
    gamma = rng.normal(size=(1, *SHAPE)).astype("float32")
    found = given(basis, gamma, 3).reshape(*SHAPE[:2], 3, 2)
    for row, column, channel in np.ndindex(SHAPE):
        x = np.zeros((1, *SHAPE), "float32")
        x[0, row, column, channel] = 1.0
        touched = ops.convert_to_numpy(basis(x))[0] != 0
        for scale in range(3):
            of_scale = touched & (basis.coordinates["band"] == scale)
            assert of_scale.sum() == (1 if scale == 0 else 3)
            np.testing.assert_allclose(
                found[row, column, scale, channel], gamma[0][of_scale].mean(), atol=1e-6
            )


def test_of_pixels_their_own_at_every_scale():
    gamma = np.random.default_rng(0).normal(size=(1, *SHAPE)).astype("float32")
    found = given(built("pixel"), gamma, 3)
    np.testing.assert_array_equal(found, np.concatenate([gamma[0]] * 3, axis=-1))


def test_of_what_is_spread_over_all_data_the_mean():
    gamma = np.random.default_rng(0).normal(size=(1, *SHAPE)).astype("float32")
    np.testing.assert_allclose(
        given(built("dct"), gamma, 2), np.full((8, 4, 4), gamma.mean()), 1e-5
    )


@pytest.mark.parametrize(
    ("chain", "n"),
    [(["channel", "haar"], 2), (["haar", "channel"], 0), (["haar", "dct"], 0)],
)
def test_a_chain_has_those_of_its_last_basis(chain, n):
    kwargs = {"haar": {"levels": 1}, "channel": {"matrix": np.eye(2)}}
    parts = [bases.get(name, **kwargs.get(name, {})) for name in chain]
    assert built(bases.Compose(parts)).n_scales == n


@pytest.mark.parametrize(
    ("basis", "coordinate", "varies"),
    [
        ("haar", "column", True),
        ("haar", "band", False),
        ("pixel", "row", True),
        ("pixel", "channel", False),
        ("dct", "frequency", False),
    ],
)
def test_whether_a_state_varies_between_positions(basis, coordinate, varies):
    basis = built(basis)
    assert varies_in_space(basis, basis.coordinates[coordinate]) == varies
