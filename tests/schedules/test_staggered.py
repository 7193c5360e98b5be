"""One schedule with offsets in time between groups, whose sign is the order."""

import numpy as np
import pytest
from keras import ops

from keras_gud import schedules

SHAPE = (2, 3, 2)
COORDINATES = {
    "column": np.broadcast_to(np.array([[0], [1], [2]]), SHAPE),
    "channel": np.broadcast_to([4, 9], SHAPE),
}
T = np.linspace(0.0, 1.0, 25, dtype="float32")


def adapted(schedule):
    schedule.adapt(np.ones(SHAPE), coordinates=COORDINATES)
    return schedule


def line(t):
    return -7.0 + 12.0 * t


def fields(schedule, **params):
    state = schedule(T, **params)
    return [
        np.broadcast_to(ops.convert_to_numpy(x), (len(T), *SHAPE))
        for x in (state.gamma, state.dgamma_dt)
    ]


@pytest.mark.parametrize("b", [0.0, 0.3, 2 / 3, 0.9])
@pytest.mark.parametrize("reverse", [False, True])
def test_of_a_line_it_is_sequential(b, reverse):
    family = schedules.Staggered(schedules.Function(line), (-0.95, 0.95), over="column")
    expected = adapted(schedules.Sequential(b=b, over="column", reverse=reverse))
    found = fields(adapted(family), offset=-b if reverse else b)
    for ours, theirs in zip(found, fields(expected), strict=True):
        # At the ends of an interval rounding decides whether it is active.
        np.testing.assert_allclose(ours, theirs, atol=2e-4 * np.abs(theirs).max())


@pytest.mark.once
def test_without_an_offset_it_is_the_schedule_inside():
    for inside in ("cosine", schedules.Linear(a=0.3), schedules.Sequential(b=0.4, over="column")):
        stagger = adapted(schedules.Staggered(inside, offset=0.0, over="channel"))
        for ours, theirs in zip(fields(stagger), fields(stagger.schedule), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.once
def test_a_single_group_has_no_offset():
    stagger = schedules.Staggered("cosine", offset=0.7, over="one")
    stagger.adapt(np.ones(SHAPE), coordinates={"one": np.zeros(SHAPE)})
    np.testing.assert_allclose(fields(stagger), fields(stagger.schedule), rtol=1e-6)


@pytest.mark.once
def test_parameters_of_both_are_those_of_the_family():
    inside = schedules.Sequential(b=(0.1, 0.7), over="column")
    stagger = adapted(schedules.Staggered(inside, offset=(-0.5, 0.25), over="channel"))
    assert stagger.ranges == {"offset": (-0.5, 0.25), "b": (0.1, 0.7)}
    assert stagger.n_groups == 6
    assert stagger.group_names(SHAPE) == ("channel", "column")
    # Each sample with values of its own.
    b, offset = np.array([0.2, 0.6]), np.array([-0.4, 0.2])
    both = ops.convert_to_numpy(stagger(0.4, b=b, offset=offset).gamma)
    for i in range(2):
        one = ops.convert_to_numpy(stagger(0.4, b=b[i], offset=offset[i]).gamma)
        np.testing.assert_allclose(both[i], one[0], atol=1e-5)


@pytest.mark.once
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"offset": -1.0}, r"Expected `offset` .* Received: offset=-1"),
        ({"offset": (0.5, -0.5)}, "Expected `offset`"),
        ({"schedule": "learned"}, "Received: Learned, which learns"),
        ({"schedule": schedules.Staggered()}, "Received: Staggered, which has an offset"),
        ({"schedule": "cosin"}, "Did you mean 'cosine'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        schedules.Staggered(**arguments)


@pytest.mark.once
def test_unknown_coordinates_and_too_many_groups():
    with pytest.raises(ValueError, match=r"one of .*'channel', 'column'.* Received: over='stream'"):
        adapted(schedules.Staggered())
    many = schedules.Staggered(over="i")
    with pytest.raises(ValueError, match="at most 64 values"):
        many.adapt(np.ones(65), coordinates={"i": np.arange(65)})
