"""The contract of a task, for every registered one, on the observation that it gives as example."""

import numpy as np
import pytest
from helpers.exact_model import COLOURED, ExactModel
from keras import layers

import keras_gud
from keras_gud import bases, tasks

HOW = {"steps": 2, "seed": 0}
TASKS = sorted(tasks.registry)


@pytest.fixture(scope="module")
def model():
    """Has a basis for every task."""
    names = ["pixel", bases.ChannelMix("luma"), bases.Haar(levels=2), "dct", "fourier"]
    return ExactModel(names, COLOURED, kind="uint8")


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(60, 180, size=COLOURED).astype("uint8")


@pytest.mark.parametrize("name", TASKS)
def test_shapes_types_and_seeds(name, model, image):
    task = tasks.registry[name]
    arguments = task.observe(image)
    draws = task.function(model, **arguments, **HOW, draws=3)
    assert draws.shape == (3, *COLOURED)
    assert draws.dtype == np.uint8
    floats, std = task.function(model, **arguments, **HOW, draws=3, return_std=True, as_float=True)
    assert floats.dtype == std.dtype == np.float32
    assert floats.shape == draws.shape
    np.testing.assert_allclose(std, floats.std(axis=0, ddof=1), atol=1e-3)
    np.testing.assert_array_equal(np.clip(np.floor(floats + 0.5), 0, 255), draws)


@pytest.mark.once
@pytest.mark.parametrize("name", TASKS)
def test_what_was_observed_without_noise_comes_back(name, model, image):
    task = tasks.registry[name]
    arguments = task.observe(image)
    if {"noise_std", "t"} & set(arguments):
        pytest.skip("the observation has noise")
    (draw,) = task.function(model, **arguments, **HOW, as_float=True)
    for argument, again in task.observe(draw).items():
        if isinstance(again, np.ndarray):
            np.testing.assert_allclose(again, arguments[argument], atol=0.02, err_msg=argument)


@pytest.mark.once
@pytest.mark.parametrize("name", TASKS)
def test_bad_options(name, model, image):
    task = tasks.registry[name]
    for options, message in (
        ({"draws": 0}, "`draws` to be an integer >= 1"),
        ({"return_std": True}, "at least 2 `draws`"),
        ({"draw": 3}, "Did you mean 'draws'"),
    ):
        with pytest.raises(ValueError, match=message):
            task.function(model, **task.observe(image), **HOW, **options)


@pytest.mark.once
@pytest.mark.parametrize("name", TASKS)
def test_a_model_that_has_seen_no_data(name, image):
    task, network = tasks.registry[name], layers.Dense(3)
    model = keras_gud.GUDModel("pixel", "isotropic", "cosine", network)
    with pytest.raises(ValueError, match="know its data"):
        task.function(model, **task.observe(image))
