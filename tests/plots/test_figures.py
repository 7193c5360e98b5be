"""All figures: no text is cut off, nothing global changes, errors say what was expected."""

import io
import sys

import keras
import numpy as np
import pytest
from helpers.pictures import assert_nothing_is_cut_off

from keras_gud import plots
from keras_gud.diffusion.noising_state import NoisingState

WINDOW = {
    "window": np.zeros((8, 8, 1)),
    "state": NoisingState(np.zeros((1, 1, 8, 1)), np.ones((1, 1, 8, 1))),
}


@pytest.mark.once
@pytest.mark.parametrize(
    "figure",
    [
        lambda: plots.image_grid(np.zeros((2, 4, 4, 1)), columns=1, title="A long title, small"),
        lambda: plots.image_grid(np.zeros((3, 16, 2)), title="signals"),
        lambda: plots.image_grid(1e4 * np.eye(4, 2), title="points"),
        lambda: plots.side_by_side(*np.zeros((2, 1, 4, 4, 1)), titles=["a long title"] * 2),
        lambda: plots.forward_process(np.zeros((1, 1, 8, 8, 1)), [0], ["a long row label"]),
        lambda: plots.schedule(np.zeros((2, 3)), [0, 1], component_labels=["a long name"] * 3),
        lambda: plots.schedule(dict.fromkeys("abcd", np.zeros((2, 3))), [0, 1]),
        lambda: plots.image_table(np.zeros((2, 1, 8, 8, 1)), ["ODE", "SDE"], ["a = 0.7"]),
        lambda: plots.paths({"a long name of a path": np.eye(2)}),
        lambda: plots.strips(
            np.zeros((1, 8, 64, 1)), row_labels=["THE LABEL"], marks=[3], **WINDOW
        ),
    ],
)
def test_no_text_leaves_the_figure(figure):
    assert_nothing_is_cut_off(figure())


def test_tensors_of_the_backend_are_welcome():
    images = keras.ops.zeros((2, 8, 8, 1))
    assert len(plots.image_grid(images).axes[0].images) == 2
    gamma = keras.ops.ones((3, 2))
    assert len(plots.schedule(gamma, keras.ops.arange(3)).axes[0].lines) == 2


@pytest.mark.once
def test_pyplot_is_not_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # any import of it now fails
    images = np.zeros((2, 8, 8, 1))
    for figure in (
        plots.image_grid(images),
        plots.side_by_side(images, images),
        plots.forward_process(images[None], [0]),
        plots.image_table(images[None]),
        plots.schedule(np.zeros((2, 2)), [0, 1]),
        plots.paths({"path": np.eye(2)}),
        plots.strips(images, **WINDOW),
    ):
        file = io.BytesIO()
        figure.savefig(file)
        assert file.getvalue().startswith(b"\x89PNG")


@pytest.mark.once
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
            lambda: plots.forward_process(np.zeros((1, 1, 8, 8, 1)), [0], ["a", "b"]),
            r"each of the 1 images.*\['a', 'b'\]",
        ),
        (lambda: plots.schedule(np.zeros(3), np.zeros(3)), r"gamma\.shape=\(3,\)"),
        (lambda: plots.schedule(np.zeros((3, 2)), np.zeros(2)), r"times\.shape=\(2,\)"),
        (lambda: plots.schedule(np.zeros((2, 3)), [0, 1], variance=[1.0]), "variance.shape"),
        (lambda: plots.schedule(np.zeros((2, 3)), [0, 1], component_labels=["a"]), "labels.shape"),
        (lambda: plots.schedule(np.zeros((2, 3)), [0, 1], components=[3]), "between 0 and 2"),
        (lambda: plots.schedule(np.zeros((2, 3)), [0, 1], components=[]), r"components=\[\]"),
        (lambda: plots.schedule({}, [0, 1]), "at least one schedule.*gamma={}"),
        (lambda: plots.schedule(np.zeros((2, 3)), [0, 1], show=()), r"one quantity.*show=\(\)"),
        (
            lambda: plots.schedule(np.zeros((2, 3)), [0, 1], show=["sigmas"]),
            r"show=\['sigmas'\]\. Did you mean 'sigma'\?",
        ),
        (
            lambda: plots.schedule(np.zeros((2, 3)), [0, 1], levels={"beta": (1.0,)}),
            r"`levels`.*'log_snr'.*'beta'",
        ),
        (
            lambda: plots.schedule(np.zeros((2, 3)), [0, 1], show=["beta"]),
            r"dgamma_dt.*show=\['beta'\]",
        ),
        (
            lambda: plots.schedule({"a": np.zeros((2, 3)), "b": np.zeros((2, 4))}, [0, 1]),
            r"same number of components.*\[3, 4\]",
        ),
        (
            lambda: plots.schedule({"a": np.eye(2)}, [0, 1], variance={"b": np.ones(2)}),
            r"`variance`.*'a'.*\['b'\]",
        ),
        (lambda: plots.image_table(np.zeros((8, 8, 1))), r"images\.shape=\(8, 8, 1\)"),
        (
            lambda: plots.image_table(np.zeros((1, 2, 8, 8, 1)), ["a", "b"]),
            r"`row_labels` to have 1 entries.*\['a', 'b'\]",
        ),
        (
            lambda: plots.image_table(np.zeros((1, 2, 8, 8, 1)), ["a"], ["b"]),
            r"`column_labels` to have 2 entries.*\['b'\]",
        ),
        (lambda: plots.paths({}), "gammas={}"),
        (lambda: plots.paths({"a": np.zeros(3)}), r"shape \(3,\) for 'a'"),
        (lambda: plots.paths({"a": np.eye(2)}, components=(0, 2)), r"components=\(0, 2\)"),
        (lambda: plots.paths({"a": np.eye(2)}, components=(1, 1)), r"two different.*\(1, 1\)"),
        (
            lambda: plots.paths({"a": np.eye(2)}, component_labels=["x"]),
            r"`component_labels`.*\['x'\]",
        ),
        (lambda: plots.paths({"a": np.eye(2)}, between=("a", "b")), r"`between`.*'b'"),
    ],
)
def test_errors_say_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.once
def test_missing_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'matplotlib.*pip install ".\[demo\]"'):
        plots.image_grid(np.zeros((1, 8, 8, 1)))


def test_a_notebook_shows_a_figure():
    """IPython asks for `_repr_png_`; figures of Matplotlib have none without pyplot."""
    figure = plots.image_grid(np.zeros((2, 4, 4, 1), "uint8"))
    assert figure._repr_png_().startswith(b"\x89PNG")
