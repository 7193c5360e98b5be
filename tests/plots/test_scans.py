"""Metrics over parameters: the numbers that are drawn."""

import numpy as np
import pytest

from keras_gud import plots


@pytest.mark.once
def test_a_scan_has_a_panel_for_each_metric_and_a_curve_for_each_model():
    a = np.array([0.5, 1.0, 1.5])
    curves = {"white": (a, a / 10), "matching": (a + 1, None)}
    figure = plots.scan(a, {"bits/dim": curves, "distance": curves}, "a", mark=1.0)
    assert [axes.get_title() for axes in figure.axes] == ["bits/dim", "distance"]
    for axes in figure.axes:
        assert axes.get_xlabel() == "a"
        assert [text.get_text() for text in axes.get_legend().get_texts()] == list(curves)
        np.testing.assert_array_equal(axes.containers[1].lines[0].get_ydata(), a + 1)
    with pytest.raises(ValueError, match="Expected 3 values for 'short', as many as in `x`"):
        plots.scan(a, {"bits/dim": {"short": (a[:2], None)}}, "a")


@pytest.mark.once
def test_a_plane_shows_every_point_with_its_value():
    figure = plots.plane([0, 1], [0.5, 0.7], [3.04, 3.21], "r", "a", "bits/dim", marks=[(0, 1)])
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.collections[0].get_offsets(), [[0, 0.5], [1, 0.7]])
    assert [text.get_text() for text in axes.texts] == ["3.04", "3.21"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("r", "a")
    assert axes.lines[0].get_xydata().tolist() == [[0, 1]]
