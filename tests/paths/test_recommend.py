"""What is recommended for data whose best path is known."""

import numpy as np
import pytest

from keras_gud import bases, oracle, paths, schedules

pytestmark = pytest.mark.once

RNG = np.random.default_rng(0)


def fields(power, n=2000, size=8):
    """Gaussian fields on a torus, of a power spectrum k^-power."""
    k = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size))
    k[0, 0] = 1.0 / size
    white = np.fft.fft2(RNG.normal(size=(n, size, size)), axes=(1, 2))
    return np.fft.ifft2(white * k ** (-power / 2), axes=(1, 2)).real[..., None]


def test_white_noise_has_no_order():
    advice = paths.recommend(fields(0.0))
    assert advice.gaps["best together"] == pytest.approx(advice.gaps["best"], rel=0.01)
    assert "take schedule='cosine'" in str(advice)
    assert abs(advice.figures["spectrum falls as k^-"]) < 0.2


def test_smooth_fields_gain_by_an_order():
    advice = paths.recommend(fields(4.0))
    assert advice.figures["spectrum falls as k^-"] == pytest.approx(4.0, abs=0.3)
    assert advice.gaps["best together"] > 1.15 * advice.gaps["best"]
    assert "model.optimize_path(x)" in str(advice)
    assert "tasks.extend" in str(advice)
    assert all(advice.gaps[name] >= 0.99 * advice.gaps["best"] for name in ("cosine", "columns"))


@pytest.mark.parametrize("name", ["cosine", "columns", "hierarchical"])
def test_the_gap_is_that_of_the_gaussian_oracle(name):
    x = fields(2.0, size=4)
    gap = paths.recommend(x, steps=16).gaps[name]
    z = (x - x.mean(axis=0)) / np.sqrt(np.mean((x - x.mean(axis=0)) ** 2))
    flat = z.reshape(len(z), -1)
    ends = {"gamma_min": -7.0, "gamma_max": 5.0}
    schedule = schedules.get(name, **ends)
    basis = bases.get(schedule.home or "pixel")
    basis.build((None, 4, 4, 1))
    schedule.adapt(np.ones((4, 4, 1)), coordinates=basis.coordinates)
    covariance = flat.T @ flat / len(flat)
    truth = oracle.Gaussian.from_data_space(np.zeros((4, 4, 1)), covariance, basis)
    found = paths.cost(truth, schedule, truth.sample(256, seed=1), times=32)
    assert gap == pytest.approx(found.gap(16) / 16, rel=0.05)


def test_other_kinds_of_data():
    table = RNG.normal(size=(300, 5)) * np.array([1e-6, 1.0, 1e6, 3.0, 0.0])
    advice = paths.recommend(table)
    assert advice.figures["constant components"] == pytest.approx(0.2)
    assert set(advice.gaps) == {"cosine", "vp", "flow", "edm", "best together", "best"}
    series = RNG.normal(size=(300, 200, 3)).cumsum(axis=1)
    assert "blurring" in paths.recommend(series).gaps
    volumes = RNG.integers(0, 255, size=(50, 8, 9, 10, 2)).astype("uint8")
    assert paths.recommend(volumes).gaps["best"] > 0.0
    photographs = RNG.integers(0, 255, size=(50, 30, 40, 3)).astype("uint8")
    assert "correlation along row" in paths.recommend(photographs).figures


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (np.zeros((5, 4)), "all of them are the same"),
        (np.ones((1, 4)), "n >= 2 and finite"),
        (np.full((5, 4), np.nan), "n >= 2 and finite"),
    ],
)
def test_data_that_say_nothing(x, said):
    with pytest.raises(ValueError, match=said):
        paths.recommend(x)
