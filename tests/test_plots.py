"""Figures are judged by their pixels: what is drawn, where, and that nothing global changes."""

import io
import itertools
import sys

import keras
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from keras_gud import plots
from keras_gud.plots import panels


def render(figure):
    """The figure as uint8 `(height, width, 3)`."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def cell_pixels(figure, axes, panel_cell, row, column):
    """The rendered pixels of one cell of a grid of cells `panel_cell` = (width, height)."""
    picture = render(figure)
    box = axes.get_window_extent()
    left = round(box.x0) + column * (panel_cell[0] + 6)
    top = picture.shape[0] - round(box.y1) + row * (panel_cell[1] + 6)
    return picture[top : top + panel_cell[1], left : left + panel_cell[0]]


def assert_nothing_is_cut_off(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    box = figure.get_tightbbox(canvas.get_renderer())
    width, height = figure.get_size_inches()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= width
    assert box.y1 <= height


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


def test_colour_images_keep_their_colours(rng):
    images = rng.integers(0, 256, (2, 6, 4, 3), dtype="uint8")
    figure = plots.image_grid(images, columns=2, scale=5, title="two")
    got = cell_pixels(figure, figure.axes[0], (20, 30), 0, 1)
    np.testing.assert_array_equal(got[2::5, 2::5], images[1])


def test_float_images_equal_their_uint8_versions(rng):
    images = rng.integers(0, 256, (2, 8, 8, 3), dtype="uint8")
    expected = render(plots.image_grid(images))
    for scaled in (images / 255, images / 127.5 - 1, images.astype("float32")):
        np.testing.assert_array_equal(render(plots.image_grid(scaled)), expected)


def test_default_enlargement_makes_digits_readable_and_leaves_large_images():
    small = plots.image_grid(np.zeros((1, 8, 8, 1)))
    large = plots.image_grid(np.zeros((1, 256, 256, 1)))
    assert round(small.axes[0].get_window_extent().width) == 96
    assert round(large.axes[0].get_window_extent().width) == 256


def test_other_channel_counts_show_the_first(rng):
    images = rng.uniform(size=(1, 4, 4, 5))
    np.testing.assert_array_equal(
        panels.to_rgb(images, (0, 1)), panels.to_rgb(images[..., :1], (0, 1))
    )


def test_values_that_are_not_finite_are_magenta_and_do_not_move_the_range():
    images = np.array([0.0, 1.0, np.nan, np.inf]).reshape(1, 2, 2, 1)
    assert panels.value_range(images) == (0, 1)
    colours = panels.to_rgb(images, (0.0, 1.0)).reshape(4, 3).tolist()
    assert colours == [[0, 0, 0], [255, 255, 255], [255, 0, 255], [255, 0, 255]]


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


def test_volumes_show_their_middle_slice(rng):
    volumes = rng.integers(0, 256, (2, 5, 6, 6, 1), dtype="uint8")
    np.testing.assert_array_equal(
        render(plots.image_grid(volumes)), render(plots.image_grid(volumes[:, 2]))
    )


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


def test_vectors_are_points_of_the_first_two_features(rng):
    vectors = rng.normal(size=(30, 5))
    axes = plots.image_grid(vectors).axes[0]
    np.testing.assert_allclose(axes.collections[0].get_offsets(), vectors[:, :2])


def test_one_feature_is_a_histogram(rng):
    axes = plots.image_grid(rng.normal(size=(30, 1))).axes[0]
    assert sum(bar.get_height() for bar in axes.patches) == 30


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


def test_side_by_side_vectors_share_axes_that_cut_nothing_off(rng):
    samples, real = rng.normal(size=(20, 2)) + 30, rng.normal(size=(50, 2))
    left, right = plots.side_by_side(samples, real).axes
    assert left.get_xlim() == right.get_xlim()
    assert left.get_xlim()[0] < real[:, 0].min()
    assert left.get_xlim()[1] > samples[:, 0].max()


def test_forward_process_puts_images_in_rows_and_times_in_columns():
    states = np.arange(6, dtype="uint8").reshape(3, 2, 1, 1, 1) * np.ones((8, 8, 1), "uint8")
    figure = plots.forward_process(states, [0, 0.5, 1], titles=["one", "two"], scale=10)
    axes = figure.axes[0]
    for time in range(3):
        for image in range(2):
            cell = cell_pixels(figure, axes, (80, 80), image, time)
            assert (cell == 2 * time + image).all()
    assert [t.get_text() for t in axes.get_xticklabels()] == ["t = 0.00", "t = 0.50", "t = 1.00"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["one", "two"]


def test_forward_process_scales_by_the_earliest_state_in_any_order():
    clean = np.linspace(0, 1, 64).reshape(1, 8, 8, 1)
    forward = plots.forward_process(np.stack([clean, 50 * clean]), [0.0, 1.0], scale=4)
    backward = plots.forward_process(np.stack([50 * clean, clean]), [1.0, 0.0], scale=4)
    for figure, column in ((forward, 0), (backward, 1)):
        cell = cell_pixels(figure, figure.axes[0], (32, 32), 0, column)
        np.testing.assert_array_equal(cell[::4, ::4, 0], np.round(255 * clean[0, ..., 0]))


@pytest.mark.parametrize("scale", [1, 2, 12])
def test_column_labels_never_overlap(scale):
    figure = plots.forward_process(np.zeros((11, 1, 8, 8, 1)), np.linspace(0, 1, 11), scale=scale)
    assert_nothing_is_cut_off(figure)
    boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
    assert len(boxes) >= 2
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(boxes))


@pytest.mark.parametrize(
    "figure",
    [
        lambda: plots.image_grid(np.zeros((2, 4, 4, 1)), columns=1, title="A long title, small"),
        lambda: plots.image_grid(np.zeros((3, 16, 2)), title="signals"),
        lambda: plots.image_grid(1e4 * np.eye(4, 2), title="points"),
        lambda: plots.side_by_side(*np.zeros((2, 1, 4, 4, 1)), titles=["a long title"] * 2),
        lambda: plots.forward_process(np.zeros((1, 1, 8, 8, 1)), [0], titles=["a long row title"]),
        lambda: plots.schedule(np.zeros((2, 3)), [0, 1], labels=["a long name"] * 3),
    ],
)
def test_no_text_leaves_the_figure(figure):
    assert_nothing_is_cut_off(figure())


def test_schedule_draws_sigma_gamma_and_log_snr():
    t = np.linspace(0, 1, 11)
    gamma = -7 + 12 * t[:, None] + np.array([0.0, 2.0])
    variance = np.array([1.0, 0.1])
    figure = plots.schedule(gamma, t, variance=variance, labels=["low", "high"])
    sigma_axes, gamma_axes, snr_axes = figure.axes
    for i in range(2):
        sigma = sigma_axes.lines[i].get_ydata()
        np.testing.assert_allclose(sigma**2, 1 / (1 + np.exp(-gamma[:, i])), rtol=1e-5)
        np.testing.assert_allclose(gamma_axes.lines[i].get_ydata(), gamma[:, i])
        snr = snr_axes.lines[i].get_ydata()
        np.testing.assert_allclose(np.exp(snr), variance[i] * np.exp(-gamma[:, i]))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["low", "high"]


def test_schedule_chooses_components_from_last_to_first_noised():
    offsets = np.random.default_rng(0).permutation(100).astype("float32")
    gamma = np.array([[0.0], [1.0]]) + offsets
    lines = plots.schedule(gamma, [0, 1]).axes[1].lines
    starts = [line.get_ydata()[0] for line in lines]
    assert len(starts) == 8
    assert starts == sorted(starts)
    assert (starts[0], starts[-1]) == (0, 99)


def test_schedule_takes_chosen_components_in_the_shape_of_the_data():
    gamma = np.arange(12.0).reshape(2, 3, 2)
    figure = plots.schedule(gamma, [0, 1], components=[5, 1])
    assert [line.get_ydata().tolist() for line in figure.axes[1].lines] == [[5, 11], [1, 7]]
    keys = figure.legends[0].get_lines()
    for line, key in zip(figure.axes[1].lines, keys, strict=True):
        np.testing.assert_array_equal(line.get_color(), key.get_color())


def test_schedule_legend_stays_short_and_keeps_both_ends():
    figure = plots.schedule(np.zeros((2, 40)), [0, 1], components=range(40))
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(figure.axes[0].lines) == 40
    assert len(names) == 12
    assert (names[0], names[-1]) == ("0", "39")


def test_tensors_of_the_backend_are_welcome():
    images = keras.ops.zeros((2, 8, 8, 1))
    assert len(plots.image_grid(images).axes[0].images) == 2
    gamma = keras.ops.ones((3, 2))
    assert len(plots.schedule(gamma, keras.ops.arange(3)).axes[0].lines) == 2


def test_pyplot_is_not_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # any import of it now fails
    images = np.zeros((2, 8, 8, 1))
    for figure in (
        plots.image_grid(images),
        plots.side_by_side(images, images),
        plots.forward_process(images[None], [0]),
        plots.schedule(np.zeros((2, 2)), [0, 1]),
    ):
        file = io.BytesIO()
        figure.savefig(file)
        assert file.getvalue().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.image_grid(np.zeros(3)), r"Received: images\.shape=\(3,\)"),
        (lambda: plots.image_grid(np.zeros((0, 8, 8, 1))), r"images\.shape=\(0, 8, 8, 1\)"),
        (lambda: plots.image_grid(np.zeros((1, 8, 8, 1)), columns=0), "columns=0"),
        (lambda: plots.image_grid(np.zeros((1, 8, 8, 1)), scale=1.5), r"scale=1\.5"),
        (lambda: plots.image_grid(np.full((3, 2), np.nan)), "finite"),
        (
            lambda: plots.side_by_side(np.zeros((1, 8, 8, 1)), np.zeros((1, 8, 8, 3))),
            r"real\.shape=\(1, 8, 8, 3\)",
        ),
        (lambda: plots.forward_process(np.zeros((8, 8, 1)), [0]), r"states\.shape=\(8, 8, 1\)"),
        (lambda: plots.forward_process(np.zeros((2, 1, 8, 8, 1)), [0]), r"times\.shape=\(1,\)"),
        (
            lambda: plots.forward_process(np.zeros((1, 1, 8, 8, 1)), [0], titles=["a", "b"]),
            r"each of the 1 images.*\['a', 'b'\]",
        ),
        (lambda: plots.schedule(np.zeros(3), np.zeros(3)), r"gamma\.shape=\(3,\)"),
        (lambda: plots.schedule(np.zeros((3, 2)), np.zeros(2)), r"times\.shape=\(2,\)"),
        (lambda: plots.schedule(np.zeros((2, 3)), [0, 1], variance=[1.0]), "variance.shape"),
        (lambda: plots.schedule(np.zeros((2, 3)), [0, 1], labels=["a"]), "labels.shape"),
        (lambda: plots.schedule(np.zeros((2, 3)), [0, 1], components=[3]), "between 0 and 2"),
        (lambda: plots.schedule(np.zeros((2, 3)), [0, 1], components=[]), r"components=\[\]"),
    ],
)
def test_errors_say_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_missing_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'matplotlib.*pip install "keras-gud\[demo\]"'):
        plots.image_grid(np.zeros((1, 8, 8, 1)))


def test_smooth_enlargement_has_values_in_between():
    images = np.zeros((1, 8, 8, 1), "uint8")
    images[0, :, 4:] = 255
    sharp, soft = (render(plots.image_grid(images, smooth=s)) for s in (False, True))
    assert len(np.unique(sharp)) < len(np.unique(soft))


# -- scans -----------------------------------------------------------------------------------------


def test_a_scan_has_a_panel_for_each_figure_and_a_curve_for_each_model():
    a = np.array([0.5, 1.0, 1.5])
    curves = {"white": (a, a / 10), "matching": (a + 1, None)}
    figure = plots.scan(a, {"bits/dim": curves, "distance": curves}, "a", mark=1.0)
    assert [axes.get_title() for axes in figure.axes] == ["bits/dim", "distance"]
    for axes in figure.axes:
        assert axes.get_xlabel() == "a"
        assert [text.get_text() for text in axes.get_legend().get_texts()] == list(curves)
        np.testing.assert_array_equal(axes.containers[1].lines[0].get_ydata(), a + 1)
    with pytest.raises(ValueError, match="Expected 3 figures for 'short', as many as `values`"):
        plots.scan(a, {"bits/dim": {"short": (a[:2], None)}}, "a")


def test_a_plane_shows_every_point_with_its_figure():
    figure = plots.plane([0, 1], [0.5, 0.7], [3.04, 3.21], "r", "a", "bits/dim", marks=[(0, 1)])
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.collections[0].get_offsets(), [[0, 0.5], [1, 0.7]])
    assert [text.get_text() for text in axes.texts] == ["3.04", "3.21"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("r", "a")
    assert axes.lines[0].get_xydata().tolist() == [[0, 1]]
