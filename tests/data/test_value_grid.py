"""Whether values lie on a grid, whatever its step and offset."""

import numpy as np
import pytest

from keras_gud.data.value_grid import MIN_EXAMPLES, ValueGrid

pytestmark = pytest.mark.once

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (40, 5, 5)).astype("uint8")


@pytest.mark.parametrize(
    ("x", "step"),
    [
        (BYTES.astype("float32"), 1.0),
        (BYTES.astype("float32") / 255.0, 1 / 255),
        (BYTES.astype("float32") / 127.5 - 1.0, 1 / 127.5),
        (BYTES / 255.0, 1 / 255),
        (RNG.integers(-(2**15), 2**15, (40, 30, 30)).astype("float32") / 2**15, 2**-15),
        (1e-12 * BYTES, 1e-12),
        (1e12 * BYTES.astype("float32"), 1e12),
        # The smallest difference that occurs is three steps: 0, 6, 9, 15.
        (np.array([0.0, 6.0, 9.0, 15.0])[:, None, None] * np.ones((4, 2, 2)), 3.0),
        (np.array([0.0, 10.0, 14.0])[:, None, None] * np.ones((3, 2, 2)), 2.0),
    ],
)
def test_finds_the_step(x, step):
    grid = ValueGrid()
    for block in np.array_split(x, 3):
        grid.update(block)
    assert float(grid.step) == pytest.approx(step, rel=1e-6)
    assert (float(grid.low), float(grid.high)) == (x.min(), x.max())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_continuous_values_have_none(dtype):
    x = RNG.normal(size=(500, 3, 3)).astype(dtype)
    assert float(ValueGrid().update(x).step) == 0.0


def test_values_that_leave_the_grid_end_it_for_good():
    grid = ValueGrid().update(BYTES.astype("float32"))
    assert float(grid.step) == 1.0
    grid.update(RNG.normal(size=(1, 5, 5)).astype("float32"))
    grid.update(BYTES.astype("float32"))
    assert float(grid.step) == 0.0


def test_columns_have_grids_of_their_own_of_enough_rows():
    n = 2 * MIN_EXAMPLES
    table = np.stack([np.arange(n) % 2, RNG.normal(size=n), np.full(n, 7.0)], axis=1)
    grid = ValueGrid(by_column=True).update(table[: MIN_EXAMPLES - 1])
    assert grid.step.tolist() == [0.0, 0.0, 0.0]
    assert grid.update(table[MIN_EXAMPLES - 1 :]).step.tolist() == [1.0, 0.0, 0.0]
    assert grid.low[2] == grid.high[2] == 7.0


def test_integers_have_one_by_their_type():
    assert float(ValueGrid(integers=True).update(4 * BYTES.astype("int32")).step) == 1.0
