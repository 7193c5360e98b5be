"""Curves over time and paths: the numbers that are drawn."""

import numpy as np
import pytest
from keras import ops

import keras_gud
from keras_gud import plots, schedules

TIMES = np.linspace(0.0, 1.0, 21, dtype="float32")


def sequential(b, columns=5, reverse=False):
    """The states of columns over time."""
    schedule = schedules.Sequential(b=b, over=0, reverse=reverse)
    schedule.adapt(variance=np.ones(columns))
    return schedule(TIMES)


@pytest.mark.once
def test_schedule_draws_sigma_gamma_and_log_snr():
    t = np.linspace(0, 1, 11)
    gamma = -7 + 12 * t[:, None] + np.array([0.0, 2.0])
    variance = np.array([1.0, 0.1])
    figure = plots.schedule(gamma, t, variance=variance, component_labels=["low", "high"])
    sigma_axes, gamma_axes, snr_axes = figure.axes
    for i in range(2):
        sigma = sigma_axes.lines[i].get_ydata()
        np.testing.assert_allclose(sigma**2, 1 / (1 + np.exp(-gamma[:, i])), rtol=1e-5)
        np.testing.assert_allclose(gamma_axes.lines[i].get_ydata(), gamma[:, i])
        snr = snr_axes.lines[i].get_ydata()
        np.testing.assert_allclose(np.exp(snr), variance[i] * np.exp(-gamma[:, i]))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["low", "high"]


@pytest.mark.once
def test_schedule_chooses_components_from_last_to_first_noised():
    offsets = np.random.default_rng(0).permutation(100).astype("float32")
    gamma = np.array([[0.0], [1.0]]) + offsets
    lines = plots.schedule(gamma, [0, 1]).axes[1].lines
    starts = [line.get_ydata()[0] for line in lines]
    assert len(starts) == 8
    assert starts == sorted(starts)
    assert (starts[0], starts[-1]) == (0, 99)


@pytest.mark.once
def test_schedule_takes_chosen_components_in_the_shape_of_the_data():
    gamma = np.arange(12.0).reshape(2, 3, 2)
    figure = plots.schedule(gamma, [0, 1], components=[5, 1])
    assert [line.get_ydata().tolist() for line in figure.axes[1].lines] == [[5, 11], [1, 7]]
    keys = figure.legends[0].get_lines()
    for line, key in zip(figure.axes[1].lines, keys, strict=True):
        np.testing.assert_array_equal(line.get_color(), key.get_color())


@pytest.mark.once
def test_schedule_legend_stays_short_and_keeps_both_ends():
    figure = plots.schedule(np.zeros((2, 40)), [0, 1], components=range(40))
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(figure.axes[0].lines) == 40
    assert len(names) == 12
    assert (names[0], names[-1]) == ("0", "39")


@pytest.mark.once
def test_schedule_shows_the_rate_and_the_signal_of_a_state():
    """Paper fig. 6, against eqs. 13 and 21 written out: with three columns and b = 1/2, column 2
    moves from t = 1/4 to 3/4, by 12 in half the time.
    """
    state = sequential(0.5, columns=3)
    figure = plots.schedule(state, TIMES, components=[1], show=("gamma", "beta", "alpha"))
    gamma, beta, alpha = (axes.lines[0].get_ydata() for axes in figure.axes)
    expected = np.clip(-7.0 + 24.0 * (TIMES - 0.25), -7.0, 5.0)
    np.testing.assert_allclose(gamma, expected, atol=1e-5)
    np.testing.assert_allclose(alpha**2, 1 / (1 + np.exp(expected)), rtol=1e-5)
    moving = (TIMES > 0.26) & (TIMES < 0.74)
    np.testing.assert_allclose(beta[moving], 24 / (1 + np.exp(-expected[moving])), rtol=1e-5)
    assert (beta[(TIMES < 0.24) | (TIMES > 0.76)] == 0).all()
    titles = [axes.get_title() for axes in figure.axes]
    assert [title.split(" ")[0] for title in titles] == ["noising", "noising", "signal"]


@pytest.mark.once
def test_several_schedules_have_a_column_each_with_one_scale():
    """Paper fig. 2: quantities in rows, each schedule with its own variances."""
    t = np.linspace(0, 1, 11)
    gammas = {"first": -7 + 12 * t[:, None] + np.zeros(2), "second": 3 * t[:, None] + [0.0, 1.0]}
    variance = {"first": np.array([1.0, 0.1]), "second": np.ones(2)}
    figure = plots.schedule(
        gammas, t, variance=variance, components=[0, 1], levels={"log_snr": (7.0, -3.0)}
    )
    grid = np.reshape(figure.axes, (3, 2))
    for column, (name, gamma) in zip(grid.T, gammas.items(), strict=True):
        assert column[0].get_title() == name
        assert column[-1].get_xlabel() == "$t$"
        for i in range(2):
            sigma, drawn, log_snr = (axes.lines[i].get_ydata() for axes in column)
            np.testing.assert_allclose(sigma**2, 1 / (1 + np.exp(-gamma[:, i])), rtol=1e-5)
            np.testing.assert_allclose(drawn, gamma[:, i])
            np.testing.assert_allclose(log_snr, np.log(variance[name][i]) - gamma[:, i])
        assert [line.get_ydata() for line in column[2].lines[2:]] == [[7.0, 7.0], [-3.0, -3.0]]
        assert len(column[1].lines) == 2
    for row in grid:
        assert row[0].get_ylim() == row[1].get_ylim()
        assert row[0].get_ylabel()
        assert not row[1].get_ylabel()


@pytest.mark.once
def test_several_schedules_show_the_same_components():
    gammas = {"up": np.arange(20.0)[None] + [[0.0], [1.0]]}
    gammas["down"] = gammas["up"][:, ::-1]
    up, down = plots.schedule(gammas, [0, 1], show=("gamma",)).axes
    starts = [[line.get_ydata()[0] for line in axes.lines] for axes in (up, down)]
    assert starts[0] == sorted(starts[0])
    assert starts[1] == [19 - start for start in starts[0]]


# -- paths -----------------------------------------------------------------------------------------


@pytest.mark.once
def test_paths_draw_gamma_against_gamma():
    """Paper fig. 1: all at once is the diagonal, one after the other the edges."""
    gammas = {f"b = {b}": sequential(b, columns=2).gamma for b in (0.0, 0.2, 0.5)}
    figure = plots.paths(gammas, component_labels=["left", "right"])
    axes = figure.axes[0]
    assert len(axes.lines) == 3
    for line, (name, gamma) in zip(axes.lines, gammas.items(), strict=True):
        np.testing.assert_array_equal(line.get_xydata(), ops.convert_to_numpy(gamma))
        assert line.get_label() == name
    x, y = axes.lines[0].get_data()
    np.testing.assert_allclose(x, y)
    x, y = axes.lines[2].get_data()
    assert (np.isclose(x, -7.0, atol=1e-4) | np.isclose(y, 5.0, atol=1e-4)).all()
    assert [line.get_linestyle() for line in axes.lines] == ["-", "--", "--"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        r"$\gamma_i(t)$ of left",
        r"$\gamma_i(t)$ of right",
    )
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == list(gammas)


@pytest.mark.once
def test_paths_mark_data_and_noise():
    gammas = {"one": np.array([[-7.0, -6.0], [5.0, 4.0]]), "two": np.array([[-5.0, -5], [3, 3]])}
    axes = plots.paths(gammas).axes[0]
    begins, ends = (points.get_offsets().tolist() for points in axes.collections)
    assert begins == [[-7, -6], [-5, -5]]
    assert ends == [[5, 4], [3, 3]]
    assert [(text.get_text(), text.xy) for text in axes.texts] == [
        ("data", (-7, -6)),
        ("noise", (5, 4)),
    ]


@pytest.mark.once
def test_paths_take_two_components_of_many_in_the_shape_of_the_data():
    gamma = np.arange(12.0).reshape(2, 3, 2)
    axes = plots.paths({"path": gamma}, components=(5, 1)).axes[0]
    assert axes.lines[0].get_xydata().tolist() == [[5, 1], [11, 7]]
    assert axes.get_xlabel().endswith("of component 5")


@pytest.mark.once
def test_states_between_two_paths_are_shaded():
    left, right = (
        ops.convert_to_numpy(sequential(0.3, columns=2, reverse=reverse).gamma)
        for reverse in (False, True)
    )
    gammas = {"left to right": left, "right to left": right}
    axes = plots.paths(gammas, between=list(gammas)).axes[0]
    corners = axes.patches[0].get_xy()
    np.testing.assert_array_equal(corners[: len(TIMES)], left)
    np.testing.assert_array_equal(corners[len(TIMES) : 2 * len(TIMES)], right[::-1])
    assert axes.patches[0].contains_point(axes.transData.transform((0.0, 0.0)))


def test_a_model_a_schedule_and_its_state_are_shown_alike(rng):
    model = keras_gud.GUD(schedule="columns", backbone="tiny", seed=0)
    model.adapt(rng.normal(size=(32, 3, 4, 1)), verbose=0)
    t = np.linspace(0, 1, 65)
    given = [(model,), (model.schedule,), (model.schedule(t), t)]
    lines = [[line.get_ydata() for line in plots.schedule(*g).axes[0].lines] for g in given]
    assert len(lines[0]) == 4
    for others in lines[1:]:
        np.testing.assert_allclose(others, lines[0], atol=1e-6)
