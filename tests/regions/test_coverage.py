"""How far a state is from those that a network was trained on."""

import warnings

import numpy as np
import pytest
from helpers.views import make_view, to_numpy

from keras_gud import regions, schedules
from keras_gud.regions import coverage

SHAPE = (8, 12, 3)


def distance(view, state):
    """The distance of one state."""
    return coverage.distances_from_view(view, state[None])[0]


def state_of(view, t, **params):
    gamma = to_numpy(view.schedule(np.float32(t), **params).gamma)[0]
    return np.broadcast_to(gamma, SHAPE).astype("float64")


@pytest.mark.once
@pytest.mark.parametrize("t", [0.0, 0.31, 0.77, 1.0])
@pytest.mark.parametrize(
    ("basis", "schedule"),
    [
        ("pixel", lambda: schedules.Sequential(b=(0.2, 0.6))),
        ("haar", lambda: schedules.Hierarchical(a=(0.2, 0.6), b=0.3)),
        ("dct", lambda: schedules.Linear(a=(0.5, 1.0))),
        ("pixel", lambda: schedules.get("cosine")),
    ],
)
def test_no_distance_on_the_paths(basis, schedule, t):
    view = make_view(basis, schedule())
    # A grid of 129 times on a range of 12 to 25, at half its distance, steeper by 1/(1 - b).
    assert distance(view, state_of(view, t)) < 0.3


@pytest.mark.once
def test_the_distance_of_one_component():
    view = make_view()
    state = state_of(view, 0.5)
    state[2, 3, 1] += 3.0
    # The nearest state of the diagonal is half way between the two values.
    assert distance(view, state) == pytest.approx(1.5, abs=0.1)


@pytest.mark.once
def test_observed_components_are_near_paths_with_observations():
    state = state_of(make_view(), 0.6)
    state[:3, :5] = -7.0
    assert distance(make_view(), state) > 3.0
    assert distance(make_view(observed=("pixels",)), state) < 0.1
    state[4:, 6:] = -4.0  # a second level of noise
    assert distance(make_view(observed=("pixels",)), state) == pytest.approx(1.5, abs=0.1)
    assert distance(make_view(observed=("pixels", "noise")), state) < 0.1
    state[7, 11, 0] = 8.0  # noisier than at t = 1
    assert distance(make_view(observed=("noise",)), state) == pytest.approx(3.0, abs=0.1)


@pytest.mark.once
def test_a_warning_says_by_how_much():
    view = make_view("haar", schedules.Sequential(b=0.0, over="band"), ("band",))
    states = np.stack([state_of(view, t) for t in (0.2, 0.9)])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        regions.check_region([view], view, states, gamma_map=False)
    states[1, view.basis.coordinates["band"] == 2] += 4.0
    with pytest.warns(UserWarning, match=r"state is 2\.\d away in gamma .*Train with the task's"):
        regions.check_region([view], view, states, gamma_map=False)


@pytest.mark.once
def test_what_tokens_cannot_tell():
    view = make_view(observed=("pixels",))
    state = state_of(view, 0.9)
    state[::2] = -7.0
    with pytest.warns(UserWarning, match=r"by up to 5\.\d within groups.*with gamma_map=True"):
        regions.check_region([view], view, state[None], gamma_map=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        regions.check_region([view], view, state[None], gamma_map=True)


@pytest.mark.once
def test_paths_in_another_basis_do_not_count():
    pixel, haar = make_view(observed=("pixels",)), make_view("haar")
    state = state_of(pixel, 0.9)
    state[:4] = -7.0
    with pytest.warns(UserWarning, match="Haar basis"):
        regions.check_region([pixel, haar], haar, state[None], gamma_map=True)
