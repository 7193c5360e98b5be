"""Sampling from a trained model."""

import keras
import numpy as np
import pytest
from helpers.tiny_model import as_numpy, images, make, vectors

import keras_gud
from keras_gud import NoisingState, schedules


@pytest.fixture(scope="module")
def trained():
    """A network that has learned four correlated numbers, on a family of schedules."""
    keras.utils.set_random_seed(0)  # whatever ran before
    # As they are: of columns of equal variances the linear family has one member.
    kwargs = {"data_scale": "range", "ema_decay": 0.99, "seed": 3}
    model = keras_gud.GUD(schedule=schedules.Linear(a=(0.5, 1.5)), backbone="tiny", **kwargs)
    epochs, x = 20, vectors(2048)
    rate = keras.optimizers.schedules.CosineDecay(1e-2, epochs * len(x) // 128)
    model.compile(keras.optimizers.Adam(rate))
    model.fit(x, epochs=epochs, verbose=0)
    return model


def test_samples_have_the_mean_and_covariance_of_the_data(trained):
    """Within 0.15 of each entry (variances are 1; sampling error is about 0.02)."""
    x, data = trained.sample(2000, steps=50, seed=0, batch_size=2000), vectors(2048)
    np.testing.assert_allclose(x.mean(0), data.mean(0), atol=0.15)
    np.testing.assert_allclose(np.cov(x.T), np.cov(data.T), atol=0.15)


def test_same_seed_same_sample_whatever_the_batch(trained):
    whole = trained.sample(7, steps=20, seed=4)
    for n, size in ((7, 3), (5, None), (1, None)):
        part = trained.sample(n, steps=20, seed=4, batch_size=size)
        np.testing.assert_allclose(part, whole[:n], atol=1e-3)
    assert np.abs(trained.sample(7, steps=20, seed=5) - whole).max() > 0.1
    assert np.abs(trained.sample(7, steps=20) - trained.sample(7, steps=20)).max() > 0.1


@pytest.mark.once
def test_states_on_the_way_and_the_noise_left_at_the_end(trained):
    x, path = trained.sample(3, steps=20, seed=0, states=4)
    assert path.shape == (5, 3, 4)
    kept = trained.sample(3, steps=20, seed=0, denoise=False)
    np.testing.assert_allclose(path[-1], kept, atol=1e-4)
    gap = np.abs(x - kept).max()
    sigma = float(np.max(keras.ops.convert_to_numpy(trained.schedule(0.0).sigma)))
    assert 0 < gap < 6 * sigma


@pytest.mark.once
def test_parameters_choose_the_path(trained):
    low, middle, high = (trained.sample(4, steps=20, seed=0, a=a) for a in (0.5, 1.0, 1.5))
    assert np.abs(low - high).max() > 1e-3
    # Left open, a parameter takes the middle of its range.
    np.testing.assert_allclose(trained.sample(4, steps=20, seed=0), middle, atol=1e-5)
    with pytest.warns(UserWarning, match="outside the range"):
        trained.sample(1, steps=2, a=3.0)


@pytest.mark.once
def test_weights_are_never_baked_in(trained):
    old = as_numpy(trained.ema.average)
    before = trained.sample(3, steps=10, seed=0)
    for average, value in zip(trained.ema.average, old, strict=True):
        average.assign(value * 1.5)
    changed = trained.sample(3, steps=10, seed=0)
    for average, value in zip(trained.ema.average, old, strict=True):
        average.assign(value)
    assert np.abs(changed - before).max() > 1e-2
    np.testing.assert_array_equal(trained.sample(3, steps=10, seed=0), before)


@pytest.mark.once
def test_progress(trained, capsys):
    trained.sample(2, steps=10, seed=0, progress=True)
    assert "10 of 10 steps" in capsys.readouterr().out


def test_eight_bit_samples():
    model = make(basis="haar", schedule="hierarchical")
    x = images(64)
    model.fit(x, epochs=1, verbose=0)
    samples, path = model.sample(5, steps=10, seed=0, states=2)
    assert samples.dtype == path.dtype == np.uint8
    assert samples.shape == (5, 4, 4, 1)


@pytest.mark.once
def test_denoise_gives_the_clean_data_back_where_there_is_no_noise(trained):
    x = vectors(6, seed=8)
    clean = NoisingState(keras.ops.full((1, 1), -12.0))
    estimate = keras.ops.convert_to_numpy(trained.denoise(x, clean))
    np.testing.assert_allclose(estimate, x, atol=0.05)
