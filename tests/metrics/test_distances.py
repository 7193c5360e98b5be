"""Distances between sets of images: against SciPy, closed forms, and an established package."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import linalg

from keras_gud import metrics
from keras_gud.metrics import Features, FeatureStatistics, Score, frechet_distance


def moments(x):
    x = ops.cast(x, "float32")
    colours = ops.mean(x, axis=(1, 2))
    return ops.concatenate([colours, ops.mean(ops.abs(x[:, 1:] - x[:, :-1]), axis=(1, 2))], axis=-1)


def images(n, seed=0, shift=0.0, shape=(8, 6, 3)):
    rng = np.random.default_rng(seed)
    smooth = rng.normal(size=(n, *shape)).cumsum(axis=1)
    return np.clip(128 + shift + 25 * smooth, 0, 255).astype("uint8")


def distance(x, y, features):
    return frechet_distance(features.statistics(x), features.statistics(y)).value


# -- the Frechet distance --------------------------------------------------------------------------


@pytest.mark.once
def test_the_formula_by_scipys_matrix_root():
    features = Features(moments, "moments")
    x, y = images(100), images(80, seed=1, shift=20.0)
    one, other = features(x), features(y)
    c1, c2 = np.cov(one.T), np.cov(other.T)
    expected = np.sum((one.mean(0) - other.mean(0)) ** 2)
    expected += np.trace(c1 + c2 - 2 * linalg.sqrtm(c1 @ c2).real)
    assert distance(x, y, features) == pytest.approx(expected, rel=1e-6)
    assert distance(x, x, features) == pytest.approx(0.0, abs=1e-6 * np.trace(c1))


@pytest.mark.once
def test_diagonal_gaussians_in_closed_form():
    """Sum of (m1 - m2)^2 + (s1 - s2)^2."""
    rng = np.random.default_rng(0)
    m, s = rng.normal(size=(2, 5)), rng.uniform(0.1, 2.0, size=(2, 5))
    parts = [FeatureStatistics(m[i], np.diag(s[i] ** 2), 100, "toy") for i in range(2)]
    expected = np.sum((m[0] - m[1]) ** 2 + (s[0] - s[1]) ** 2)
    assert frechet_distance(*parts).value == pytest.approx(expected, rel=1e-10)


@pytest.mark.once
def test_singular_covariances():
    one = FeatureStatistics(np.zeros(2), np.diag([1.0, 0.0]), 100, "toy")
    other = FeatureStatistics(np.zeros(2), np.diag([0.0, 4.0]), 100, "toy")
    assert frechet_distance(one, other).value == pytest.approx(5.0)


@pytest.mark.once
@pytest.mark.usefixtures("torchvision")
def test_an_established_package_finds_the_same_on_the_same_features():
    torch = pytest.importorskip("torch")
    fid = pytest.importorskip("torchmetrics.image.fid")

    class Moments(torch.nn.Module):
        num_features = 6

        def forward(self, x):
            x = x.float()
            edges = (x[:, :, 1:] - x[:, :, :-1]).abs()
            return torch.cat([x.mean(dim=(2, 3)), edges.mean(dim=(2, 3))], dim=1)

    metric = fid.FrechetInceptionDistance(feature=Moments()).set_dtype(torch.float64)
    x, y = images(200), images(150, seed=1, shift=10.0)
    for batch, real in ((x, False), (y, True)):
        metric.update(torch.as_tensor(np.moveaxis(batch, -1, 1).copy()), real=real)
    ours = distance(x, y, Features(moments, "moments"))
    assert ours == pytest.approx(float(metric.compute()), rel=1e-4)


def test_batches_give_what_the_whole_gives():
    x = images(90)
    whole = Features(moments, "moments").statistics(x)
    stream = Features(moments, "moments", batch_size=7).statistics(iter([x[:40], x[40:]]))
    np.testing.assert_allclose(stream.mean, whole.mean, rtol=1e-10)
    np.testing.assert_allclose(stream.covariance, whole.covariance, rtol=1e-10)
    assert stream.n == whole.n == 90


def test_any_keras_network_extracts():
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dropout(0.5),
        ]
    )
    features = Features(network, "conv", size=(12, 12))
    np.testing.assert_array_equal(features(images(5)), features(images(5)))  # no dropout
    statistics = features.statistics(images(40), "some images")
    assert statistics.space == "conv, images resized to 12x12"
    assert statistics.mean.shape == (4,)


@pytest.mark.once
def test_over_seeds():
    features = Features(moments, "moments")
    reference = features.statistics(images(100, seed=99), "reference")
    score = metrics.frechet_over_seeds(lambda seed: images(50, seed), reference, features, seeds=4)
    values = [
        frechet_distance(features.statistics(images(50, s)), reference).value for s in range(4)
    ]
    assert score.value == pytest.approx(np.mean(values))
    assert score.error == pytest.approx(np.std(values, ddof=1) / 2)
    assert score.protocol.endswith("50 images against 100 of reference, mean of 4 seeds")
    with pytest.raises(ValueError, match="same number of images for every seed"):
        metrics.frechet_over_seeds(lambda seed: images(50 + seed), reference, features)
    with pytest.raises(ValueError, match="Expected `seeds` to be an integer >= 2"):
        metrics.frechet_over_seeds(images, reference, features, seeds=1)


# -- unlike is not compared with unlike ------------------------------------------------------------


@pytest.mark.once
def test_statistics_of_different_spaces():
    x = images(20)
    one = Features(moments, "moments").statistics(x)
    for other in (Features(moments, "other"), Features(moments, "moments", size=(4, 4))):
        with pytest.raises(ValueError, match="Expected statistics in the same space"):
            frechet_distance(one, other.statistics(x))


@pytest.mark.once
def test_scores_are_compared_with_their_like():
    features = Features(moments, "moments")
    reference = features.statistics(images(50), "reference")
    near, far, fewer = (
        frechet_distance(features.statistics(images(n, seed=1, shift=shift)), reference)
        for n, shift in ((30, 5.0), (30, 40.0), (20, 40.0))
    )
    assert near < far
    assert far > near
    assert far - near == pytest.approx(float(far) - float(near))
    assert str(near).endswith(
        "(Frechet distance, moments, images as they are, 30 images against 50 of reference)"
    )
    for compare in (lambda: near < fewer, lambda: near - fewer, lambda: near > 3.0):
        with pytest.raises(ValueError, match="Expected a score of the same protocol"):
            compare()


@pytest.mark.once
def test_too_few_images_say_how_many_are_needed():
    with pytest.raises(ValueError, match=r"at least 7 for moments.*Received: 6 images"):
        Features(moments, "moments").statistics(images(6))


@pytest.mark.once
@pytest.mark.parametrize(
    ("extractor", "message"),
    [
        (lambda x: x, r"Expected finite features \(8, d\)"),
        (lambda x: moments(x)[:3], r"Received: shape \(3, 6\)"),
        (lambda x: moments(x) * np.nan, "with NaN or inf"),
    ],
)
def test_bad_extractors(extractor, message):
    with pytest.raises(ValueError, match=message):
        Features(extractor, "bad")(images(8))


@pytest.mark.once
def test_bad_arguments():
    with pytest.raises(ValueError, match="Expected `name` to be a non-empty text"):
        Features(moments, "")
    with pytest.raises(ValueError, match="Expected `size` to be an integer >= 1"):
        Features(moments, "moments", size=(0, 4))
    with pytest.raises(ValueError, match=r"Expected images \(batch, height, width, channels\)"):
        Features(moments, "moments")(images(8)[0])


# -- the power spectrum ----------------------------------------------------------------------------


@pytest.mark.once
def test_white_noise_has_its_variance_at_every_scale(rng):
    k, power = metrics.radial_spectrum(3.0 + 2.0 * rng.normal(size=(3000, 8, 12, 2)))
    np.testing.assert_allclose(power, 4.0, rtol=0.08)
    assert (np.diff(k) > 0).all()


@pytest.mark.once
def test_a_wave_has_its_power_where_it_belongs(rng):
    phase = 2 * np.pi * rng.uniform(size=(500, 1, 1, 1))
    wave = np.cos(2 * np.pi * np.arange(16)[None, None, :, None] / 4 + phase)  # k = 1/4
    k, power = metrics.radial_spectrum(np.broadcast_to(wave, (500, 16, 16, 1)))
    assert 2**-0.5 < k[power.argmax()] / 0.25 < 2**0.5
    assert power.max() > 1e6 * np.sort(power)[-2]


@pytest.mark.once
def test_the_distance_is_that_of_log_powers(rng):
    noise = rng.normal(size=(300, 8, 8, 1))
    score = metrics.spectrum_distance(100 * noise, 50 * noise, "noise")
    assert score.value == pytest.approx(np.log(4), rel=1e-3)
    assert metrics.spectrum_distance(noise, noise).value == 0.0
    assert score.protocol == "radial spectrum, 8x8, 300 images against 300 of noise"
    with pytest.raises(ValueError, match="Expected images of the reference's shape"):
        metrics.spectrum_distance(noise[:, :4], noise)
    with pytest.raises(ValueError, match="Expected at least two images"):
        metrics.radial_spectrum(noise[:1])
    assert isinstance(score, Score)
