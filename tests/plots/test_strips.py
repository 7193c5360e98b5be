"""Strips and the window in which they are generated: the pixels, and what their colours say."""

import numpy as np
import pytest
from helpers.pictures import render
from matplotlib import colormaps

from keras_gud import plots, schedules
from keras_gud.diffusion.noising_state import NoisingState


def columns(t, b=0.75):
    """The state of four columns at a time."""
    schedule = schedules.Sequential(b=b, over=1)
    schedule.adapt(variance=np.ones((8, 4, 3)))
    return schedule(t)


def window_of(figure):
    """RGB of the window's pixels, one each, and the names of its legend."""
    axes = figure.axes[1]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    return axes.images[0].get_array(), names


@pytest.mark.once
def test_strips_of_any_width_stand_one_below_the_other(rng):
    images = [rng.integers(0, 256, (4, width, 3), dtype="uint8") for width in (40, 24)]
    figure = plots.strips(images, ["one", "two"], scale=5)
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["one", "two"]
    picture, box = render(figure), axes.get_window_extent()
    left, top = round(box.x0), round(picture.shape[0] - box.y1)
    for i, image in enumerate(images):
        first = top + i * (4 * 5 + 10)
        rows = picture[first : first + 20, left : left + 5 * image.shape[1]]
        np.testing.assert_array_equal(rows[2::5, 2::5], image)
    assert (picture[top + 30 : top + 50, left + 24 * 5 + 1 : left + 200] == 255).all()


@pytest.mark.once
def test_strips_share_their_grey_levels():
    images = [np.full((4, 8, 1), -2.0), np.full((4, 8, 1), 4.0)]
    images[1][0] = 1.0
    dark, light = plots.strips(images).axes[0].images
    assert (dark.get_array() == 0).all()
    assert np.unique(light.get_array()).tolist() == [128, 255]


@pytest.mark.once
def test_marks_stand_above_their_column():
    axes = plots.strips(np.zeros((2, 4, 16, 1)), marks=[None, 12], scale=10).axes[0]
    (line,) = axes.lines
    assert (line.get_xdata() == 120).all()
    assert 40 < min(line.get_ydata()) < max(line.get_ydata()) < 50  # in the gap between the strips


@pytest.mark.once
def test_a_window_is_yellow_where_frozen_green_where_active_and_blue_where_to_come():
    """Columns of b = 3/4 move one after the other: at t = 5/8 the second is half-way."""
    figure = plots.strips(
        np.zeros((1, 8, 16, 3), "uint8"), window=np.zeros((8, 4, 3), "uint8"), state=columns(0.625)
    )
    colours, names = window_of(figure)
    assert names == ["frozen", "active", "to be generated"]
    assert (colours == colours[:1]).all()  # all rows alike
    (red, green, blue), active, waiting, last = colours[0].astype(int)
    assert min(red, green) > 2 * blue
    assert active[1] > 1.2 * max(active[0], active[2])
    assert waiting[2] > 1.2 * max(waiting[:2])
    np.testing.assert_array_equal(waiting, last)
    patches = figure.axes[1].get_legend().get_patches()
    for patch, colour in zip(patches, colours[0], strict=False):
        np.testing.assert_allclose(0.6 * 255 * np.array(patch.get_facecolor()[:3]), colour, atol=1)


@pytest.mark.once
def test_all_is_active_on_a_schedule_for_all_pixels_at_once():
    figure = plots.strips(
        np.zeros((1, 8, 16, 3)), window=np.ones((8, 4, 3)), state=columns(0.5, b=0.0)
    )
    colours, names = window_of(figure)
    assert names == ["active"]
    expected = 255 * (0.4 + 0.6 * np.array(colormaps["viridis_r"](0.35)[:3]))
    np.testing.assert_allclose(colours[0, 0], expected, atol=1)


@pytest.mark.once
def test_strips_say_what_they_expected():
    image, window = np.zeros((8, 16, 3)), np.zeros((8, 4, 3))
    rate = columns(0.5)
    for call, message in (
        (lambda: plots.strips([]), r"shapes \[\]"),
        (lambda: plots.strips([image, image[:4]]), r"one height.*\(4, 16, 3\)"),
        (lambda: plots.strips([image[..., 0]]), r"\(8, 16\)"),
        (lambda: plots.strips([image], ["a", "b"]), r"row_labels=\['a', 'b'\]"),
        (lambda: plots.strips([image], marks=[]), r"`marks`.*marks=\[\]"),
        (lambda: plots.strips([image], window=window), "together.*state=None"),
        (lambda: plots.strips([image], state=rate), "together.*window=None"),
        (lambda: plots.strips([image], window=window[None], state=rate), r"window\.shape=\(1, 8,"),
        (lambda: plots.strips([image], window=image, state=rate), r"gamma\.shape=\(1, 1, 4, 1\)"),
        (lambda: plots.strips([image], window=window, state=rate.gamma), "with a rate"),
        (lambda: plots.strips([image], window=window, state=NoisingState(0.0)), "with a rate"),
        (lambda: plots.strips([image], scale=0), "scale=0"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
