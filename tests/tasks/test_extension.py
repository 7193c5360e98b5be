"""Strips of any width: their statistics, their ends, their cost, and what cannot be extended."""

import itertools

import numpy as np
import pytest
from helpers.exact_model import assert_distributed, posterior
from helpers.marks import once
from helpers.strip_model import HEIGHT, LENGTH, MEAN, MEMORY, StripModel, covariance_of, strip_model

from keras_gud import samplers, tasks
from keras_gud.tasks.rolling_window import RollingWindow, smallest_b

FLOW = samplers.DPMSolver(steps=60, order=3)
SDE = samplers.DPMSolver(steps=100, stochastic=True)
DIRECTIONS = {
    "right": ({"over": "column"}, -2),
    "left": ({"over": "column", "reverse": True}, -2),
    "down": ({"over": "row"}, -3),
    "up": ({"over": "row", "reverse": True}, -3),
}
UPRIGHT = {"left": False, "right": False, "up": True, "down": True}


def strip_of(model, direction="right", image=None, **how):
    """A whole strip ``(draws, HEIGHT, columns, 1)``, lying down."""
    axis = DIRECTIONS[direction][1]
    blocks = list(tasks.extend(model, image, direction=direction, **how))
    blocks = blocks[::-1] if direction in ("left", "up") else blocks
    strip = np.concatenate(blocks, axis=axis)
    return strip.swapaxes(-2, -3) if UPRIGHT[direction] else strip


@pytest.mark.once
@pytest.mark.parametrize(("sampler", "shift"), [(FLOW, None), (SDE, 2)], ids=["flow", "sde"])
def test_columns_far_out_have_the_statistics_of_the_data(sampler, shift):
    """Columns 30 to 40, five windows from the start and over several seams."""
    how = {"draws": 3000, "sampler": sampler, "seed": 1, "shift": shift}
    strip = strip_of(strip_model(), columns=40, **how)
    assert strip.shape == (3000, HEIGHT, 40, 1)
    assert strip.dtype == np.float32
    last = strip[:, :, 30:]
    assert_distributed(last, np.full(last[0].size, MEAN), covariance_of(10), rounding=2e-2)


@pytest.mark.parametrize("direction", once(DIRECTIONS, but=["up"]))
def test_an_image_is_continued(direction):
    """The mean decays with the distance from the image, whose far columns do not matter."""
    model = strip_model(**DIRECTIONS[direction][0])
    image = np.random.default_rng(0).normal(size=(HEIGHT, 11, 1))
    edge = image[:, 0 if direction in ("left", "up") else -1]
    given = image.swapaxes(0, 1) if UPRIGHT[direction] else image
    strip = strip_of(model, direction, given, columns=12, draws=3000, sampler=FLOW, seed=2)
    strip = strip[:, :, ::-1] if direction in ("left", "up") else strip
    assert strip.shape == (3000, HEIGHT, 12, 1)
    power = MEMORY ** np.arange(1, 13)
    mean = MEAN + (edge - MEAN) * power[None]
    index = np.arange(12)
    lag = MEMORY ** np.abs(index[:, None] - index) - np.outer(power, power)
    rows = covariance_of(1)
    assert_distributed(strip, mean.ravel(), np.kron(rows, lag), rounding=2e-2)


@pytest.mark.once
def test_a_narrow_image_and_a_batch_are_continued():
    model = strip_model()
    images = np.random.default_rng(1).normal(size=(3, HEIGHT, 1, 1))
    strip = strip_of(model, "right", images, columns=3, draws=1000, sampler=FLOW, seed=2)
    assert strip.shape == (3, 1000, HEIGHT, 3, 1)
    for i in range(3):
        mean = MEAN + (images[i] - MEAN)[..., 0] * MEMORY ** np.arange(1, 4)
        assert np.abs(strip[i].mean(axis=0)[..., 0] - mean).max() < 5.0 / np.sqrt(1000)


@pytest.mark.once
def test_the_ring_is_closed_given_both_sides():
    """As many columns as the gap: drawn given the image's end before and its beginning after."""
    model = strip_model()
    image = np.random.default_rng(3).normal(size=(HEIGHT, 5, 1))
    (gap,) = tasks.extend(model, image, 4, wrap=True, draws=3000, sampler=FLOW, seed=1)
    assert gap.shape == (3000, HEIGHT, 4, 1)
    window = np.zeros((HEIGHT, LENGTH), bool)
    window[:, [0, 1, 6, 7]] = True
    matrix = np.eye(window.size)[window.ravel()]
    seen = np.concatenate([image[:, -2:], image[:, :2]], axis=1)
    mean, covariance = posterior(
        np.full(window.size, MEAN), covariance_of(LENGTH), matrix, 0.0, seen.ravel()
    )
    free = ~window.ravel()
    assert_distributed(gap, mean[free], covariance[np.ix_(free, free)], rounding=2e-2)


@pytest.mark.once
@pytest.mark.parametrize("direction", ["right", "left"])
def test_a_strip_from_nothing_closes(direction):
    """Neighbours over the seam, and over the place where the last columns meet the strip."""
    model = strip_model(**DIRECTIONS[direction][0])
    how = {"wrap": True, "draws": 3000, "sampler": FLOW, "seed": 4}
    blocks = list(tasks.extend(model, columns=20, direction=direction, **how))
    assert blocks[-1].shape[-2] == LENGTH // 2
    strip = strip_of(model, direction, columns=20, **how)
    assert strip.shape == (3000, HEIGHT, 20, 1)
    begin = 18 if direction == "left" else 14
    ring = np.concatenate([strip, strip], axis=2)[:, :, begin : begin + 8]  # 2, the gap of 4, 2
    known = np.isin(np.arange(LENGTH), [0, 1, 6, 7])
    known = np.broadcast_to(known, (HEIGHT, LENGTH)).ravel()
    window, sides = covariance_of(LENGTH), covariance_of(16).reshape(HEIGHT, 16, HEIGHT, 16)
    # The ends of a strip of 16 columns are what they are; the gap is drawn given them.
    ends = sides[:, [14, 15, 0, 1]][..., [14, 15, 0, 1]].reshape(known.sum(), known.sum())
    gain = window[np.ix_(~known, known)] @ np.linalg.inv(window[np.ix_(known, known)])
    expected = np.empty_like(window)
    expected[np.ix_(known, known)] = ends
    expected[np.ix_(~known, known)] = gain @ ends
    expected[np.ix_(known, ~known)] = (gain @ ends).T
    left = window[np.ix_(~known, ~known)] - gain @ window[np.ix_(known, ~known)]
    expected[np.ix_(~known, ~known)] = left + gain @ ends @ gain.T
    assert_distributed(ring, np.full(ring[0].size, MEAN), expected, rounding=2e-2)


@pytest.mark.once
def test_memory_of_multistep_samplers_moves_along():
    """Over many shifts the method keeps its order; without its memory it would have order 1."""
    model = strip_model()

    def strip(steps):
        sampler = samplers.DPMSolver(steps=steps, order=2)
        return strip_of(model, columns=24, draws=40, sampler=sampler, seed=1)[:, :, 8:]

    exact = strip(600)
    coarse, fine = (np.abs(strip(steps) - exact).mean() for steps in (60, 120))
    assert coarse > 3.4 * fine


@pytest.mark.once
@pytest.mark.parametrize("name", ["heun", "ancestral", "unipc"])
def test_samplers_with_even_steps_extend(name):
    strip = strip_of(strip_model(), columns=14, draws=400, sampler=name, steps=200, seed=1)
    error = strip[:, :, 8:].std(axis=0) / np.sqrt(np.diag(covariance_of(6))).reshape(2, 6, 1)
    assert np.abs(error - 1.0).max() < 0.2


@pytest.mark.once
def test_colours_that_are_mixed_are_extended_too():
    rng = np.random.default_rng(0)
    import keras_gud

    model = keras_gud.GUD(
        basis="channel",
        schedule=keras_gud.schedules.Sequential(b=0.8, over=1),
        backbone="tiny",
        seed=0,
    )
    model.adapt(rng.integers(0, 255, size=(32, 4, 6, 3), dtype="uint8"))
    strip = strip_of(model, columns=9, steps=6, seed=0)
    assert strip.shape == (1, 4, 9, 3)
    assert strip.dtype == np.uint8


@pytest.mark.once
def test_strips_depend_on_seed_and_number_alone():
    model = strip_model()
    how = {"sampler": SDE, "steps": 20}
    whole = strip_of(model, columns=15, draws=4, seed=5, **how)
    fewer = strip_of(model, columns=11, draws=2, seed=5, **how)
    np.testing.assert_allclose(fewer, whole[:2, :, :11], atol=1e-4)
    other = strip_of(model, columns=11, draws=2, seed=6, **how)
    assert np.abs(other - fewer).min() > 1e-5
    # Noise that moves in is new at every turn.
    assert np.abs(np.diff(whole[:, :, 8:], axis=2)).min() > 1e-5


@pytest.mark.once
def test_estimates_pass_through_a_guide():
    """One that says that all clean components are 0 makes strips of the mean."""

    def flat(eps, z, state):
        return z / state.sigma

    how = {"columns": 12, "sampler": FLOW, "steps": 20, "seed": 0}
    np.testing.assert_allclose(strip_of(strip_model(), guide=flat, **how), MEAN, atol=1e-4)


@pytest.mark.once
def test_endless_work_is_the_same_for_every_column():
    """The denoiser is traced once, whatever the width, and each turn makes `shift` columns."""
    model, calls = StripModel(), []
    exact = model.truth

    class Counting:
        data_shape = exact.data_shape

        def __call__(self, z, state):
            calls.append(1)
            return exact(z, state)

        def start(self, noise, state):
            return exact.start(noise, state) if hasattr(exact, "start") else noise

    model.truth = Counting()
    blocks = tasks.extend(model, sampler=FLOW, steps=20, seed=0, shift=2)
    widths = [block.shape[-2] for block in itertools.islice(blocks, 3)]
    traced = len(calls)
    widths += [block.shape[-2] for block in itertools.islice(blocks, 20)]
    window = RollingWindow.of(LENGTH, 0.7, 2)
    assert widths == [window.finished + 2] + [2] * 22
    import keras

    if keras.backend.backend() != "torch":
        assert len(calls) == traced
    else:
        steps = int(np.ceil(20 * (window.begin - window.end)))
        assert len(calls) - traced == 20 * (steps + 1)


@pytest.mark.once
@pytest.mark.parametrize("b", [0.55, 0.7, 0.9])
def test_the_window_is_where_the_schedule_says(b):
    """Columns that move in are noise, those that move out are finished, and nothing else moves."""
    model = StripModel(b=b)
    schedule = model.views[0].schedule
    for shift in (None, 1, 2, 5):
        if shift and b < smallest_b(LENGTH, shift):
            continue
        window = RollingWindow.of(LENGTH, b, shift)
        gamma = [
            np.ravel(model.views[0].schedule(np.float32(t)).gamma[0, 0, :, 0])
            for t in (window.begin, window.end)
        ]
        k = window.shift
        np.testing.assert_allclose(gamma[0][-k:], schedule.gamma_max, atol=1e-4)
        np.testing.assert_allclose(gamma[0][: window.finished], schedule.gamma_min, atol=1e-4)
        np.testing.assert_allclose(gamma[1][: window.finished + k], schedule.gamma_min, atol=1e-4)
        np.testing.assert_allclose(gamma[1][k:], gamma[0][:-k], atol=1e-3)


@pytest.mark.once
def test_too_small_b_is_told_with_the_smallest():
    model = StripModel(b=0.3)
    with pytest.raises(ValueError, match=r"Expected b >= 0\.467 .* by 1 at a time.*b=0\.300"):
        tasks.extend(model, columns=10)
    with pytest.raises(ValueError, match=r"Expected b >= 0\.700 "):
        tasks.extend(strip_model(), columns=10, b=0.6, shift=6)
    with pytest.raises(ValueError, match=r"Expected b >= 0\.467 .*b=0\.000"):
        tasks.extend(StripModel(b=0.0), columns=10, approximate=True)
    with pytest.warns(UserWarning, match=r"b=0\.300 is below 0\.467"):
        blocks = tasks.extend(model, columns=10, approximate=True, sampler=FLOW)
    assert sum(block.shape[-2] for block in blocks) == 10
    with (
        pytest.warns(UserWarning, match="is below"),
        pytest.raises(ValueError, match="image=None with approximate=True"),
    ):
        tasks.extend(model, np.zeros((HEIGHT, 9, 1)), 10, approximate=True)


@pytest.mark.once
def test_b_of_a_family_can_be_chosen():
    family = StripModel(b=(0.1, 0.7))
    with pytest.raises(ValueError, match=r"Received: b=0\.200"):
        tasks.extend(family, columns=4, b=0.2)
    # The middle of the range, 0.4, is too small: its end is taken.
    assert strip_of(family, columns=9, sampler=FLOW, seed=0).shape[2] == 9
    with pytest.raises(ValueError, match="one number `b`"):
        tasks.extend(family, columns=4, b=[0.6, 0.7])


@pytest.mark.once
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"direction": "rigth"}, "Did you mean 'right'"),
        ({"direction": "left"}, r"Train one with schedule=.*reverse=True.*region="),
        ({"direction": "down"}, r'over="row"'),
        ({"columns": 0}, "Expected `columns`"),
        ({"columns": 2.5}, "Expected `columns`"),
        ({"shift": 8}, "Expected `shift` to lie between 1 and 7"),
        ({"sampler": "adaptive"}, "steps of the same length"),
        ({"sampler": samplers.DPMSolver(spacing="cosine")}, "steps of the same length"),
        ({"image": np.zeros((3, 8, 1))}, r"Expected `image` of shape \(2, 8, 1\)"),
        ({"image": np.zeros((2, 0, 1))}, "Expected `image` of shape"),
        ({"image": np.full((2, 8, 1), np.nan)}, "finite observed values in `image`"),
        ({"image": "cat.png"}, "Expected `image` to be an array"),
        ({"wrap": True, "columns": None}, "Expected `columns` to be a number >= 8 with wrap=True"),
        ({"wrap": True, "columns": 7}, "Expected `columns` to be a number >= 8"),
        ({"return_std": True}, "Expected no `return_std`"),
        ({"batch_size": 2}, "Expected no `batch_size`"),
        ({"stepz": 2}, "Did you mean 'steps'"),
        ({"draws": 0}, "Expected `draws`"),
    ],
)
def test_bad_input_is_told_before_the_first_column(arguments, message):
    with pytest.raises(ValueError, match=message):
        tasks.extend(strip_model(), **({"columns": 10} | arguments))
