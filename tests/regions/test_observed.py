"""Random observations: what is held, at which gamma, and how often."""

import numpy as np
import pytest
from helpers.marks import once
from helpers.views import make_view, to_numpy, uniforms

from keras_gud import schedules
from keras_gud.regions import observed

N = 400
SHAPE = (8, 12, 3)


def levels(kind, basis="pixel", schedule=None, data_shape=SHAPE, n=N):
    view = make_view(basis, schedule, (kind,), data_shape)
    drawn = to_numpy(observed.draw_levels((kind,), uniforms(n), view))
    return view, np.broadcast_to(drawn, (n, *data_shape))


@pytest.mark.once
def test_pixels_of_all_densities_with_all_their_channels():
    _, drawn = levels("pixels")
    held = np.isfinite(drawn)
    assert (held == held[..., :1]).all()
    # The density is uniform in [0, 1]: mean 1/2, standard deviation 0.29 plus sampling noise.
    density = held[..., 0].mean(axis=(1, 2))
    assert abs(density.mean() - 0.5) < 4.5 * 0.3 / np.sqrt(N)
    assert 0.26 < density.std() < 0.33


@pytest.mark.parametrize(
    "data_shape", [*once([((7,),), ((9, 2),), ((3, 4, 6, 1),)]), (6, 8, 3)], ids=str
)
def test_boxes_are_boxes_inside_or_outside(data_shape):
    _, drawn = levels("boxes", data_shape=data_shape)
    held = np.isfinite(drawn)
    inside = 0
    for mask in held:
        for part, is_inside in ((mask, 1), (~mask, 0)):
            places = np.argwhere(part)
            if len(places) and part[tuple(map(slice, places.min(0), places.max(0) + 1))].all():
                inside += is_inside
                break
        else:
            raise AssertionError("neither the mask nor the rest is a box")
    assert 0.4 * N < inside < 0.75 * N


@pytest.mark.once
def test_a_third_of_the_sides_of_boxes_are_at_the_border():
    _, drawn = levels("boxes", data_shape=(1000,))
    sides = np.abs(np.diff(np.isfinite(drawn).astype(int), axis=1)).sum(axis=1)
    for count, share in ((0, 1 / 9), (1, 4 / 9), (2, 4 / 9)):
        assert abs((sides == count).mean() - share) < 4.5 * np.sqrt(share * (1 - share) / N)


@pytest.mark.once
def test_what_is_held_has_one_level_and_half_the_time_no_noise():
    _, drawn = levels("pixels")
    held = np.isfinite(drawn)
    some = held.any(axis=(1, 2, 3))
    low = np.where(held, drawn, np.inf).min(axis=(1, 2, 3))[some]
    high = np.where(held, drawn, -np.inf).max(axis=(1, 2, 3))[some]
    np.testing.assert_array_equal(low, high)
    assert (low >= 0.0).all()
    assert (low < 1.0).all()
    assert abs((low == 0.0).mean() - 0.5) < 4.5 * 0.5 / np.sqrt(some.sum())


@pytest.mark.once
@pytest.mark.parametrize(
    ("basis", "coordinate"), [("haar", "band"), ("channel", "channel"), ("pixel", "column")]
)
def test_values_of_a_coordinate_are_held_as_a_whole_and_every_one_sometimes(basis, coordinate):
    view, drawn = levels(coordinate, basis)
    values = view.basis.coordinates[coordinate]
    held = np.isfinite(drawn)
    for value in np.unique(values):
        part = held[:, values == value]
        assert (part == part[:, :1]).all()
        assert 0.2 < part[:, 0].mean() < 0.95  # the ends are rarely inside a run that is missing
    first = held[:, values == values.min()][:, 0]
    last = held[:, values == values.max()][:, 0]
    assert first.mean() > last.mean()  # prefixes make coarse bands known more often
    assert (last & ~first).any()  # but any subset occurs
    assert (first & last & ~held.reshape(N, -1).all(axis=1)).mean() > 0.05  # and gaps do


@pytest.mark.once
def test_many_frequencies_are_held_from_the_lowest_on():
    view, drawn = levels("frequency", "dct", data_shape=(16, 16, 1))
    k = view.basis.coordinates["frequency"].ravel()
    order = np.argsort(k, kind="stable")
    held = np.isfinite(drawn.reshape(N, -1))[:, order]
    assert len(np.unique(k.round(6))) > 64
    assert (np.diff(held.astype(int), axis=1) <= 0).all()
    assert 0.3 < held.mean() < 0.7


@pytest.mark.once
def test_noise_differs_from_pixel_to_pixel_or_from_group_to_group():
    _, drawn = levels("noise")
    assert (drawn == drawn[..., :1]).all()
    assert (drawn[:, 0, 0, 0] != drawn[:, 1, 0, 0]).mean() > 0.99
    view, drawn = levels("noise", "haar", schedules.Sequential(b=0.0, over="band"))
    for band in range(3):
        part = drawn[:, view.basis.coordinates["band"] == band]
        assert (part == part[:, :1]).all()
    assert ((drawn >= 0.0) & (drawn <= 1.0)).all()


@pytest.mark.once
def test_the_noise_of_a_blur_grows_with_the_square_of_the_frequency():
    view, drawn = levels("blur", "dct", data_shape=(8, 12, 1))
    k2 = view.basis.coordinates["frequency"].ravel() ** 2
    rises = []
    for row in drawn.reshape(N, -1):
        held = np.isfinite(row)
        if held.sum() < 3:
            continue
        slope, start = np.polyfit(k2[held], row[held], 1)
        np.testing.assert_allclose(row[held], start + slope * k2[held], atol=1e-5)
        assert (k2[~held].size == 0) or start + slope * k2[~held].min() >= 1.0 - 1e-4
        rises.append(slope * k2.max())
    # Log-uniform in [0.2, 20]; steep ones hold few frequencies and are left out above.
    assert min(rises) < 0.3
    assert max(rises) > 8.0


def test_a_state_of_paths_with_observations():
    view = make_view("haar", schedules.Sequential(b=(0.0, 0.6), over="band"), ("band",))
    t = np.full(N, 0.7, "float32")
    state = view.state(t, uniforms(N, 1)((1,)), uniforms(N, 2))
    free = view.state(t, uniforms(N, 1)((1,)))
    gamma, path = to_numpy(state.gamma), to_numpy(free.gamma)
    assert (gamma <= path).all()
    assert (gamma >= -7.0).all()
    held = gamma < path
    np.testing.assert_array_equal(to_numpy(state.dgamma_dt)[held], 0.0)
    np.testing.assert_array_equal(
        to_numpy(state.dgamma_dt)[~held],
        np.broadcast_to(to_numpy(free.dgamma_dt), held.shape)[~held],
    )
    assert 0.2 < held.mean() < 0.8


@pytest.mark.once
def test_each_sample_takes_one_of_several_kinds():
    view = make_view(observed=("channel", "column"))
    drawn = to_numpy(observed.draw_levels(view.observed, uniforms(N), view))
    held = np.isfinite(np.broadcast_to(drawn, (N, *SHAPE)))
    by_channel = (held == held[:, :1, :1]).all(axis=(1, 2, 3))
    by_column = (held == held[:, :1, :, :1]).all(axis=(1, 2, 3))
    assert (by_channel | by_column).all()
    assert 0.3 < by_channel.mean()
    assert 0.3 < by_column.mean()


@pytest.mark.parametrize(
    ("basis", "kind", "message"),
    [
        ("haar", "pixels", "whose components are pixels"),
        ("dct", "boxes", "whose components are pixels"),
        ("pixel", "blur", "coordinate of the Pixel basis"),
        ("pixel", "band", "one of \\['channel', 'column', 'row'\\]"),
    ],
)
def test_kinds_that_a_basis_does_not_have(basis, kind, message):
    view = make_view(basis, observed=(kind,))
    with pytest.raises(ValueError, match=message):
        observed.check_view(view, view.basis.coordinates)


def test_names_are_names():
    with pytest.raises(ValueError, match="Expected `observed` to be names"):
        observed.check_kinds((1,))
