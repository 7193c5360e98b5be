"""Grids and tables are judged by their pixels: what is drawn, and where."""

import itertools

import numpy as np
import pytest
from helpers.pictures import assert_nothing_is_cut_off, cell_pixels, render

from keras_gud import plots
from keras_gud.plots import panels


@pytest.mark.once
def test_every_pixel_of_a_small_image_becomes_an_exact_square(rng):
    images = rng.integers(0, 256, (5, 8, 8, 1), dtype="uint8")
    figure = plots.image_grid(images, columns=3, scale=7)
    assert len(figure.axes[0].images) == 5
    for i in range(5):
        got = cell_pixels(figure, figure.axes[0], (56, 56), *divmod(i, 3))
        expected = np.kron(images[i, :, :, 0], np.ones((7, 7), int))[..., None]
        np.testing.assert_array_equal(got, np.broadcast_to(expected, got.shape))
    empty = cell_pixels(figure, figure.axes[0], (56, 56), 1, 2)
    assert (empty == 255).all()


@pytest.mark.once
def test_colour_images_keep_their_colours(rng):
    images = rng.integers(0, 256, (2, 6, 4, 3), dtype="uint8")
    figure = plots.image_grid(images, columns=2, scale=5, title="two")
    got = cell_pixels(figure, figure.axes[0], (20, 30), 0, 1)
    np.testing.assert_array_equal(got[2::5, 2::5], images[1])


@pytest.mark.once
def test_float_images_equal_their_uint8_versions(rng):
    images = rng.integers(0, 256, (2, 8, 8, 3), dtype="uint8")
    expected = render(plots.image_grid(images))
    for scaled in (images / 255, images / 127.5 - 1, images.astype("float32")):
        np.testing.assert_array_equal(render(plots.image_grid(scaled)), expected)


@pytest.mark.once
def test_default_enlargement_makes_digits_readable_and_leaves_large_images():
    small = plots.image_grid(np.zeros((1, 8, 8, 1)))
    large = plots.image_grid(np.zeros((1, 256, 256, 1)))
    assert round(small.axes[0].get_window_extent().width) == 96
    assert round(large.axes[0].get_window_extent().width) == 256


@pytest.mark.once
def test_other_channel_counts_show_the_first(rng):
    images = rng.uniform(size=(1, 4, 4, 5))
    np.testing.assert_array_equal(
        panels.to_rgb(images, (0, 1)), panels.to_rgb(images[..., :1], (0, 1))
    )


@pytest.mark.once
def test_values_that_are_not_finite_are_magenta_and_do_not_move_the_range():
    images = np.array([0.0, 1.0, np.nan, np.inf]).reshape(1, 2, 2, 1)
    assert panels.value_range(images) == (0, 1)
    colours = panels.to_rgb(images, (0.0, 1.0)).reshape(4, 3).tolist()
    assert colours == [[0, 0, 0], [255, 255, 255], [255, 0, 255], [255, 0, 255]]


@pytest.mark.once
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.2, 0.9], (0, 1)),
        ([-0.1, 0.9], (-1, 1)),
        ([0.0, 200.0], (0, 255)),
        ([-3.0, 5.0], (-3, 5)),
        ([300.0, 300.0], (300, 301)),
        ([np.nan], (0, 1)),
    ],
)
def test_value_range(values, expected):
    assert panels.value_range(np.array(values)) == expected


@pytest.mark.once
def test_volumes_show_their_middle_slice(rng):
    volumes = rng.integers(0, 256, (2, 5, 6, 6, 1), dtype="uint8")
    np.testing.assert_array_equal(
        render(plots.image_grid(volumes)), render(plots.image_grid(volumes[:, 2]))
    )


@pytest.mark.once
def test_signals_are_one_line_a_channel_on_one_scale():
    signals = np.zeros((3, 10, 2))
    signals[..., 1] = 4.0
    signals[0, 0, 0] = -4.0
    axes = plots.image_grid(signals, columns=3).axes[0]
    assert len(axes.lines) == 6
    heights = [line.get_ydata() for line in axes.lines]
    assert heights[0][0] == 72  # the lowest value at the bottom of its frame
    assert heights[0][1] == 36
    assert (heights[5] == 0).all()
    assert axes.get_xlabel() == "each frame: -4 to 4"


@pytest.mark.once
def test_vectors_are_points_of_the_first_two_features(rng):
    vectors = rng.normal(size=(30, 5))
    axes = plots.image_grid(vectors).axes[0]
    np.testing.assert_allclose(axes.collections[0].get_offsets(), vectors[:, :2])


@pytest.mark.once
def test_one_feature_is_a_histogram(rng):
    axes = plots.image_grid(rng.normal(size=(30, 1))).axes[0]
    assert sum(bar.get_height() for bar in axes.patches) == 30


@pytest.mark.once
def test_side_by_side_shares_grey_levels_and_keeps_numbers(rng):
    real = rng.uniform(size=(4, 8, 8, 1))
    samples = np.full((9, 8, 8, 1), 0.5)
    samples[0] = -7.0
    figure = plots.side_by_side(samples, real, titles=("ours", "theirs"), scale=3)
    left, right = figure.axes
    assert (len(left.images), len(right.images)) == (9, 4)
    assert (left.get_title(), right.get_title()) == ("ours", "theirs")
    assert (cell_pixels(figure, left, (24, 24), 0, 0) == 0).all()
    assert (cell_pixels(figure, left, (24, 24), 2, 2) == 128).all()
    assert left.get_window_extent().x1 < right.get_window_extent().x0


@pytest.mark.once
def test_side_by_side_vectors_share_axes_that_cut_nothing_off(rng):
    samples, real = rng.normal(size=(20, 2)) + 30, rng.normal(size=(50, 2))
    left, right = plots.side_by_side(samples, real).axes
    assert left.get_xlim() == right.get_xlim()
    assert left.get_xlim()[0] < real[:, 0].min()
    assert left.get_xlim()[1] > samples[:, 0].max()


@pytest.mark.once
def test_forward_process_puts_images_in_rows_and_times_in_columns():
    states = np.arange(6, dtype="uint8").reshape(3, 2, 1, 1, 1) * np.ones((8, 8, 1), "uint8")
    figure = plots.forward_process(states, [0, 0.5, 1], row_labels=["one", "two"], scale=10)
    axes = figure.axes[0]
    for time in range(3):
        for image in range(2):
            cell = cell_pixels(figure, axes, (80, 80), image, time)
            assert (cell == 2 * time + image).all()
    assert [t.get_text() for t in axes.get_xticklabels()] == ["t = 0.00", "t = 0.50", "t = 1.00"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["one", "two"]


@pytest.mark.once
def test_forward_process_scales_by_the_earliest_state_in_any_order():
    clean = np.linspace(0, 1, 64).reshape(1, 8, 8, 1)
    forward = plots.forward_process(np.stack([clean, 50 * clean]), [0.0, 1.0], scale=4)
    backward = plots.forward_process(np.stack([50 * clean, clean]), [1.0, 0.0], scale=4)
    for figure, column in ((forward, 0), (backward, 1)):
        cell = cell_pixels(figure, figure.axes[0], (32, 32), 0, column)
        np.testing.assert_array_equal(cell[::4, ::4, 0], np.round(255 * clean[0, ..., 0]))


@pytest.mark.once
@pytest.mark.parametrize("scale", [1, 2, 12])
def test_column_labels_never_overlap(scale):
    figure = plots.forward_process(np.zeros((11, 1, 8, 8, 1)), np.linspace(0, 1, 11), scale=scale)
    assert_nothing_is_cut_off(figure)
    boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
    assert len(boxes) >= 2
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(boxes))


@pytest.mark.once
def test_smooth_enlargement_has_values_in_between():
    images = np.zeros((1, 8, 8, 1), "uint8")
    images[0, :, 4:] = 255
    sharp, soft = (render(plots.image_grid(images, smooth=s)) for s in (False, True))
    assert len(np.unique(sharp)) < len(np.unique(soft))


@pytest.mark.once
def test_a_table_has_a_name_for_each_row_and_column(rng):
    images = rng.integers(0, 256, (2, 3, 8, 8, 3), dtype="uint8")
    rows, columns = ["ODE", "SDE"], ["a = 0.7", "a = 1.0", "a = 1.4"]
    figure = plots.image_table(images, rows, columns, title="samples")
    axes = figure.axes[0]
    for row in range(2):
        for column in range(3):
            cell = cell_pixels(figure, axes, (96, 96), row, column)
            np.testing.assert_array_equal(cell[::12, ::12], images[row, column])
    assert [text.get_text() for text in axes.get_yticklabels()] == rows
    assert [text.get_text() for text in axes.get_xticklabels()] == columns
    # Each name stands in the middle of its row or column: cells are 96 pixels with a gap of 6.
    np.testing.assert_allclose(axes.get_yticks(), [48, 150])
    np.testing.assert_allclose(axes.get_xticks(), [48, 150, 252])


@pytest.mark.once
def test_a_table_has_one_range_for_all_its_images():
    images = np.zeros((2, 1, 8, 8, 1))
    images[0], images[1] = 1.0, 4.0
    images[1, 0, 0] = -2.0
    first, second = plots.image_table(images).axes[0].images
    assert (first.get_array() == 128).all()
    assert np.unique(second.get_array()).tolist() == [0, 255]


@pytest.mark.once
def test_a_table_of_signals_has_names_too():
    axes = plots.image_table(np.zeros((2, 2, 16, 1)), ["one", "two"]).axes[0]
    assert len(axes.lines) == 4
    assert [text.get_text() for text in axes.get_yticklabels()] == ["one", "two"]
