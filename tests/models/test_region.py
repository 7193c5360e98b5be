"""Training on a region of noising states: several bases, observations, one network."""

import keras
import numpy as np
import pytest
from helpers.tiny_model import as_numpy, images, make
from keras import ops

from keras_gud import regions, schedules
from keras_gud.regions import Paths


def band_paths(**kwargs):
    return Paths(schedules.Sequential(b=0.0, over="band"), "haar", **kwargs)


@pytest.fixture(scope="module")
def fitted():
    """One network for five kinds of paths in four bases, trained for a few steps."""
    keras.utils.set_random_seed(1)
    model = make(
        schedule=schedules.Sequential(b=(0.0, 0.5)),
        region=[
            "inpaint",
            "upscale",
            "deblur",
            "denoise",
            band_paths(observed="noise", weight=0.5),
        ],
        max_tokens=6,
        data_scale="range",
    )
    model.fit(images(), epochs=2, batch_size=16, verbose=0)
    return model


@pytest.mark.once
def test_equal_bases_are_shared_and_tokens_fit_one_network(fitted):
    views = fitted.views
    assert views[1].basis is views[0].basis
    assert views[5].basis is views[2].basis
    assert [view.weight for view in views] == [1.0, 2.0, 1.0, 1.0, 0.5, 0.5]
    shapes = {tuple(view.tokens(view.schedule(0.5).gamma).shape) for view in views}
    assert len(shapes) == 1
    marks = [as_numpy([view.tokens.coordinates])[0][0, -3:].tolist() for view in views]
    assert marks[0] == marks[1] == marks[4] == [1, 0, 0]
    assert marks[2] == marks[5] == [0, 1, 0]
    assert marks[3] == [0, 0, 1]


@pytest.mark.once
def test_statistics_of_other_bases_are_those_of_the_data(fitted):
    x = (images().astype("float64") + 0.5) / 128 - 1
    for view in fitted.views:
        z = ops.convert_to_numpy(view.basis(x.astype("float32"))).astype("float64")
        np.testing.assert_allclose(ops.convert_to_numpy(view.prior.mean), z.mean(0), atol=1e-5)
        expected = z.var(0) + 1 / (12 * 128**2)
        np.testing.assert_allclose(ops.convert_to_numpy(view.prior.variance), expected, rtol=1e-4)


@pytest.mark.once
def test_losses_fall_in_every_basis_and_are_the_same_whatever_the_batch(fitted):
    x = images(seed=4)
    loss = fitted.evaluate(x, verbose=0)
    np.testing.assert_allclose(loss, fitted.evaluate(x, batch_size=7, verbose=0), rtol=1e-5)
    assert np.isfinite(loss).all()


@pytest.mark.once
def test_a_saved_region_is_the_same_region(fitted, tmp_path):
    fitted.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    for old, new in zip(fitted.views, loaded.views, strict=True):
        assert (old.observed, old.weight) == (new.observed, new.weight)
        assert old.schedule.get_config() == new.schedule.get_config()
        np.testing.assert_array_equal(*as_numpy([old.tokens.coordinates, new.tokens.coordinates]))
        np.testing.assert_array_equal(*as_numpy([old.prior.mean, new.prior.mean]))
    assert loaded.views[5].basis is loaded.views[2].basis
    x = images(seed=4)
    assert fitted.evaluate(x, verbose=0) == loaded.evaluate(x, verbose=0)
    np.testing.assert_array_equal(
        fitted.sample(2, steps=3, seed=0), loaded.sample(2, steps=3, seed=0)
    )


def test_two_views_are_trained_evaluated_and_sampled():
    """The least that every backend must do with a region; the rest is the same on all."""
    model = make(schedule=schedules.Sequential(b=0.0), region=[band_paths()])
    history = model.fit(images(), epochs=2, batch_size=16, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert history["loss"][1] != history["loss"][0]
    assert np.isfinite(model.evaluate(images(seed=4), batch_size=16, verbose=0)).all()
    assert model.sample(2, steps=3, seed=0).shape == (2, 4, 4, 1)


@pytest.mark.once
def test_paths_of_great_weight_are_all_that_is_trained_on():
    """The same loss as a model whose own basis and schedule these are; before training."""
    x = images()
    own = make(basis="haar", schedule=schedules.Sequential(b=0.0, over="band"))
    own.adapt(x, verbose=0)
    region = make(schedule=schedules.Sequential(b=0.0), region=[band_paths(weight=1e9)])
    region.adapt(x, verbose=0)
    np.testing.assert_allclose(region.evaluate(x, verbose=0), own.evaluate(x, verbose=0), rtol=1e-5)


@pytest.mark.once
def test_the_loss_of_each_example_is_that_of_its_view():
    """Half in pixels, half in wavelets: each row is one of the two losses, and both occur."""
    x, losses = images(64), {}
    for weight in (1e-9, 1.0, 1e9):
        model = make(schedule=schedules.Sequential(b=0.0), region=[band_paths(weight=weight)])
        model.adapt(x, verbose=0)
        losses[weight] = ops.convert_to_numpy(model(x, training=False)["loss"])
        own, mixed, other = (losses.get(w) for w in (1e-9, 1.0, 1e9))
    is_own = np.isclose(mixed, own, rtol=1e-5)
    is_other = np.isclose(mixed, other, rtol=1e-5)
    assert (is_own | is_other).all()
    assert 12 < (is_other & ~is_own).sum() < 52


@pytest.mark.once
def test_no_loss_where_nothing_is_unknown(monkeypatch):
    model = make(
        schedule=schedules.Sequential(b=0.0), region=[Paths(observed="pixels", weight=1e9)]
    )
    model.adapt(images(), verbose=0)
    every = lambda kinds, uniform, view: ops.zeros((1, 1, 1, 1))  # noqa: E731
    monkeypatch.setattr(regions.observed, "draw_levels", every)
    for losses in model(images(), training=False).values():
        np.testing.assert_array_equal(ops.convert_to_numpy(losses), 0.0)


# -- mistakes -----------------------------------------------------------------------------------


@pytest.mark.once
def test_a_whitening_prior_cannot_be_shared_by_bases():
    with pytest.raises(ValueError, match="isotropic `prior` with a `region` in other bases"):
        make(prior="matching", region=["upscale"])
    assert len(make(basis="haar", prior="matching", region=[Paths(observed="band")]).region) == 1


@pytest.mark.once
@pytest.mark.parametrize(
    ("make_region", "error", "message"),
    [
        (lambda: ["upscal"], ValueError, "Did you mean 'upscale'"),
        (lambda: [3], TypeError, "Expected `region`"),
        (lambda: [Paths(basis="haar")], ValueError, "Expected a `schedule`"),
        (lambda: [Paths(weight=0.0)], ValueError, "Expected `weight` > 0"),
        (lambda: [Paths(weight=float("nan"))], ValueError, "Expected `weight` > 0"),
    ],
)
def test_bad_regions(make_region, error, message):
    with pytest.raises(error, match=message):
        make(region=make_region())


@pytest.mark.once
def test_a_region_that_does_not_fit_the_data_leaves_the_model_usable():
    model = make(schedule=schedules.Sequential(b=0.0), region=[Paths(observed="band")])
    with pytest.raises(ValueError, match="coordinate of the Pixel basis"):
        model.fit(images(), verbose=0)
    odd = np.random.default_rng(0).normal(size=(16, 5, 3, 1)).astype("float32")
    with pytest.raises(ValueError, match="even for the haar basis"):
        make(region=["upscale"]).fit(odd, verbose=0)
    history = make(region=["inpaint", "deblur"]).fit(odd, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
