"""Presets against the marginals of the systems they stand for, as their papers give them."""

import json

import keras
import numpy as np
import pytest
from helpers.marks import once
from helpers.one_weight import OneWeightPerValue
from keras import ops

import keras_gud
from keras_gud import presets, priors

SHAPE = (8, 8, 2)
T = np.linspace(0.0, 1.0, 41, dtype="float32").astype("float64")


def images(n=64, shape=SHAPE, seed=0):
    rng = np.random.default_rng(seed)
    smooth = rng.normal(size=(n, *shape)).cumsum(axis=1).cumsum(axis=2)
    return np.clip(128 + 12 * smooth, 0, 255).astype("uint8")


def spatial(values):
    """The same for all channels, one row for each time."""
    return np.repeat(values[..., None], SHAPE[-1], axis=-1)


# -- alpha and sigma of the originals, ``(times, *SHAPE)`` or broadcasting to it ----------------


def over_time(function):
    return lambda: function(T[:, None, None, None])


def vp(t):
    """Mean and standard deviation of x(t) given x(0): Song et al. (2021), eq. 29."""
    decay = np.exp(-0.25 * t**2 * (20 - 0.1) - 0.5 * t * 0.1)
    return decay, np.sqrt(1 - decay**2)


def subvp(t):
    decay = np.exp(-0.25 * t**2 * (20 - 0.1) - 0.5 * t * 0.1)
    return decay, 1 - decay**2


def ve(t):
    return np.ones_like(t), 0.01 * (50 / 0.01) ** t


def edm(t):
    return np.ones_like(t), (0.002 ** (1 / 7) + t * (80 ** (1 / 7) - 0.002 ** (1 / 7))) ** 7


def cosine(t):
    return np.cos(np.pi * t / 2), np.sin(np.pi * t / 2)


def flow_matching(t):
    return 1 - t, t


def variational(t):
    """Before anything is learned: linear in log SNR, sigma^2 = sigmoid(gamma)."""
    gamma = -13.3 + 18.3 * t
    return np.sqrt(1 / (1 + np.exp(gamma))), np.sqrt(1 / (1 + np.exp(-gamma)))


def cosine_eigenvalues():
    """Of minus the Laplacian with reflecting edges: (pi k/N)^2 summed over the axes."""
    k = (np.pi * np.arange(8) / 8) ** 2
    return spatial(k[:, None] + k)


def heat_dissipation():
    t = T[:, None, None, None]
    width = np.exp(np.log(0.5) * (1 - t) + np.log(24) * t)
    return np.exp(-cosine_eigenvalues() * width**2 / 2), 0.01 * np.ones(SHAPE)


def blurring():
    t = T[:, None, None, None]
    first, last = np.arctan(np.exp(-0.5 * 10)), np.arctan(np.exp(0.5 * 10))
    angle = first + t * (last - first)
    time = (20 * np.sin(np.pi * t / 2) ** 2) ** 2 / 2
    frequency_scaling = np.exp(-cosine_eigenvalues() * time) * (1 - 0.001) + 0.001
    return np.cos(angle) * frequency_scaling, np.sin(angle)


def fourier_frequencies():
    return spatial(np.hypot(np.fft.fftfreq(8)[:, None], np.fft.fftfreq(8)))


def spectrum():
    """Mean power of the images at each frequency, in units of white noise's."""
    x = (images().astype("float64") + 0.5) / 128 - 1
    power = (np.abs(np.fft.fft2(x - x.mean(axis=0), axes=(1, 2))) ** 2).mean(axis=0) / 64
    power, k = power + 1 / (12 * 128**2), np.round(fourier_frequencies(), 6)
    return sum((k == s) * power[k == s].mean() for s in np.unique(k))


def shortest_path(power=None):
    """alpha^2 Sigma + sigma^2 = Sigma^(1 - t), alpha^2 + sigma^2 = 1."""
    power = spectrum() if power is None else power
    now = power ** (1 - T[:, None, None, None])
    alpha2 = (now - 1) / (power - 1)
    return np.sqrt(np.maximum(alpha2, 0)), np.sqrt(np.maximum(1 - alpha2, 0))


def renormalization():
    """K of the cutoff is the part of a mode's variance that is still data."""
    k = np.hypot(fourier_frequencies(), 0.01)
    high, low = k.max() * np.exp(5.0), k.min() * np.exp(-5.0)
    cutoff = high * (low / high) ** T[:, None, None, None]
    kept = 1 / (1 + k**2 / cutoff**2)
    return np.sqrt(kept), np.sqrt(1 - kept)


def ordered(index, b, low=-7, high=5):
    """The paper's eq. 21; index counts from 0 in the order of generation."""
    last = index.max()
    t = T[:, None, None, None]
    gamma = low + (high - low) * np.clip((t - b * (last - index) / last) / (1 - b), 0, 1)
    return 1 / np.sqrt(1 + np.exp(gamma)), 1 / np.sqrt(1 + np.exp(-gamma))


COLUMNS = np.broadcast_to(np.arange(8)[None, :, None], SHAPE)


def paper_ends(variance):
    """Ends of gamma by the paper's eq. 19, with the signal-to-noise ratios of its app. B."""
    log_variance = np.log(variance)
    gamma_noise = max(3, np.log(0.99**2 / (1 - 0.99**2)) - log_variance.min())
    return log_variance.min() - 7, log_variance.max() + gamma_noise


def columns():
    x = (images().astype("float64") + 0.5) / 128 - 1
    return ordered(COLUMNS, 0.4, *paper_ends(x.var(axis=0) + 1 / (12 * 128**2)))


def by_column(b):
    return lambda: ordered(COLUMNS, b)


def by_row(b):
    return lambda: ordered(np.broadcast_to(np.arange(8)[:, None, None], SHAPE), b)


def bands(levels):
    """Of a Haar pyramid, 0 the coarsest."""
    edge = np.maximum(np.arange(8)[:, None], np.arange(8))
    return spatial(sum((edge >= 8 >> n).astype(int) for n in range(1, levels + 1)))


def by_band(levels):
    return lambda: ordered(bands(levels), levels / (levels + 1))


MARGINALS = {
    "vp": over_time(vp),
    "subvp": over_time(subvp),
    "ve": over_time(ve),
    "edm": over_time(edm),
    "cosine": over_time(cosine),
    "flow_matching": over_time(flow_matching),
    "variational": over_time(variational),
    "nonisotropic": over_time(vp),
    "offset_noise": over_time(vp),
    "equal_snr": over_time(cosine),
    "heat_dissipation": heat_dissipation,
    "blurring": blurring,
    "shortest_path": shortest_path,
    "renormalization": renormalization,
    "groupwise": by_column(7 / 8),
    "columns": columns,
    "rolling": by_row(7 / 11),
    "diffusion_forcing": by_row(7 / 57),
    "wavelet_score": by_band(3),
    "cascaded": by_band(2),
}
# `haar_columns`: held against the formulas of the paper's sec. 5.3 in the schedules' own tests.
LINEAR = ("principal_components", "ordering", "power_spectrum")
ELSEWHERE = {"haar_columns", *LINEAR}


def build(name, x=None):
    model = keras_gud.GUD(preset=name, backbone=OneWeightPerValue())
    model.adapt(images() if x is None else x, verbose=0)
    return model


@pytest.mark.once
@pytest.mark.parametrize("name", MARGINALS)
def test_marginals_are_those_of_the_original(name):
    model = build(name)
    with np.errstate(divide="ignore"):
        alpha, sigma = np.broadcast_arrays(*MARGINALS[name]())
        gamma = 2 * (np.log(sigma) - np.log(alpha))
    state = model.schedule(T.astype("float32"))
    low, high = (ops.convert_to_numpy(model.schedule(end).gamma) for end in (0.0, 1.0))
    inside = (gamma >= low.min()) & (gamma <= high.max())  # our ends are finite
    assert inside.mean() > 0.3
    norm = np.sqrt(alpha**2 + sigma**2)
    shape = (len(T), *SHAPE)
    for ours, theirs in ((state.alpha, alpha / norm), (state.sigma, sigma / norm)):
        ours = np.broadcast_to(ops.convert_to_numpy(ours), shape)
        theirs = np.broadcast_to(theirs, shape)[np.broadcast_to(inside, shape)]
        np.testing.assert_allclose(ours[np.broadcast_to(inside, shape)], theirs, atol=1e-5)


def component_variance(basis, x):
    """Of 8-bit images, which are 1/128 wide in every component of an orthogonal basis."""
    z0 = ops.convert_to_numpy(basis((x.astype("float32") + 0.5) / 128 - 1))
    return z0.astype("float64").var(axis=0) + 1 / (12 * 128**2)


def linear(variance, l, a, gamma_denoise, time):
    """The paper's eqs. 18 and 20, with the `gamma_noise` of its app. B."""
    gamma_noise = max(3, np.log(0.99**2 / (1 - 0.99**2)) - np.log(variance).min())
    slope = gamma_noise - gamma_denoise + a * (l.max() - l.min())
    first = gamma_denoise + np.log(variance) + a * (l - l.max())
    return first + time[:, None, None, None] * slope


@pytest.mark.once
@pytest.mark.parametrize("name", LINEAR)
def test_linear_schedules_of_the_paper(name):
    x = images(100)  # more than the principal components
    model, params, time, gamma_denoise = build(name, x), {"a": 0.8}, T, -7
    variance = component_variance(model.basis, x)
    if name == "principal_components":
        gamma_denoise, time = -3, np.sqrt(T) / (np.sqrt(T) + np.sqrt(1 - T))
    else:  # k and -k have one variance, the power spectrum
        variance = (variance + np.roll(variance[::-1, ::-1], 1, axis=(0, 1))) / 2
    l, k = -np.log(variance), fourier_frequencies()
    if name == "ordering":
        params["r"] = 0.3
        stretched = l.min() + (k - k.min()) / np.ptp(k) * np.ptp(l)
        l = 0.7 * l + 0.3 * stretched
    if name == "power_spectrum":
        shells = np.round(k, 6)
        power = sum((shells == s) * variance[shells == s].mean() for s in np.unique(shells))
        variance = variance / power
    expected = linear(variance, l, 0.8, gamma_denoise, time)
    gamma = ops.convert_to_numpy(model.schedule(T.astype("float32"), **params).gamma)
    np.testing.assert_allclose(
        1 / (1 + np.exp(-gamma.astype("float64"))), 1 / (1 + np.exp(-expected)), atol=1e-5
    )


def test_every_preset_is_tested_and_known():
    assert set(MARGINALS) | ELSEWHERE == set(presets.ALL)
    assert all(presets.ALL[name] is getattr(presets, name) for name in presets.ALL)


@pytest.mark.once
def test_priors_of_the_frequencies():
    k = fourier_frequencies()
    scale = {
        name: ops.convert_to_numpy(build(name).prior.scale).astype("float64")
        for name in ("nonisotropic", "offset_noise", "renormalization", "equal_snr")
    }
    # The field of a unit-variance noise per pixel: the mean power is 1.
    for name, corner in (("nonisotropic", 0.0625), ("renormalization", 0.01)):
        power = 1 / (k**2 + corner**2)
        np.testing.assert_allclose(scale[name] ** 2, power / power.mean(), rtol=1e-5)
    # White noise plus 0.1 times one number for each channel, in the orthonormal transform.
    expected = np.where(k == 0, 1 + 0.1**2 * 64, 1)
    np.testing.assert_allclose(scale["offset_noise"] ** 2, expected, rtol=1e-5)
    x = (images().astype("float64") + 0.5) / 128 - 1
    power = (np.abs(np.fft.fft2(x, axes=(1, 2))) ** 2).mean(axis=0) / 64
    power -= np.abs(np.fft.fft2(x.mean(axis=0), axes=(0, 1))) ** 2 / 64
    power += 1 / (12 * 128**2)
    for shell in np.unique(np.round(k, 6)):
        same = np.abs(k - shell) < 1e-5
        np.testing.assert_allclose(scale["equal_snr"][same] ** 2, power[same].mean(), rtol=1e-3)


@pytest.mark.once
def test_heat_dissipation_never_noises_the_mean():
    model = build("heat_dissipation")
    gamma = np.broadcast_to(ops.convert_to_numpy(model.schedule(T).gamma), (len(T), *SHAPE))
    np.testing.assert_allclose(gamma[:, 0, 0], 2 * np.log(0.01), rtol=1e-6)
    assert gamma[-1, 1, 1].min() > 10.0


@pytest.mark.once
@pytest.mark.parametrize("length", [5, 9])
@pytest.mark.parametrize("uncertainty", [0.0, 1.0, 10.0])
def test_the_pyramid_of_diffusion_forcing(length, uncertainty):
    """Level of token h at row m of their scheduling matrix, ``clip(S + u h - m, 0, S)``."""
    steps = 10
    schedule = presets.diffusion_forcing(steps, uncertainty)["schedule"]
    schedule.adapt(np.ones((length, 3)))
    rows = np.arange(steps + int(uncertainty * (length - 1)) + 1)
    level = np.clip(steps + uncertainty * np.arange(length) - rows[:, None], 0, steps)
    t = (1 - rows / rows[-1]).astype("float32")
    gamma = ops.convert_to_numpy(schedule(t).gamma)[..., 0]
    np.testing.assert_allclose((gamma + 7) / 12 * np.ones(length), level / steps, atol=1e-5)


def test_arguments_replace_those_of_a_preset():
    model = keras_gud.GUD(preset=presets.edm(sigma_max=20.0), weighting="eps", prior="matching")
    assert model.objective.weighting == "eps"
    assert model.objective.prediction == "edm"
    assert isinstance(model.prior, priors.Matching)
    assert model.schedule.sigma_max == 20.0


def test_a_model_of_a_preset_is_saved_with_its_parts(tmp_path):
    config = json.loads(json.dumps(keras_gud.GUD(preset="diffusion_forcing").get_config()))
    restored = keras_gud.GUD.from_config(config)
    assert restored.region[0].observed == ("noise",)
    restored.schedule.adapt(np.ones((16, 3)))
    assert restored.schedule.ranges["b"] == pytest.approx((15 / 65, 15 / 65))


@pytest.mark.once
def test_groups_and_windows_are_those_of_the_data():
    """How many of 12 columns, and of 6 frames, are neither finished nor untouched at a time."""

    def moving(schedule, shape):
        schedule.adapt(np.ones(shape), coordinates={"column": np.arange(12) * np.ones(12)})
        t = np.linspace(0.013, 0.987, 400, dtype="float32")
        slope = ops.convert_to_numpy(schedule(t).dgamma_dt)
        return (slope.reshape(len(t), -1) > 0).sum(axis=1)

    assert moving(presets.groupwise(over=0)["schedule"], (12,)).max() == 1
    assert moving(presets.groupwise(groups=3, over=0)["schedule"], (12,)).max() == 4
    four = presets.groupwise(groups=3, over=0)["schedule"]
    four.adapt(np.ones(12))
    assert np.bincount(ops.convert_to_numpy(four.groups)).tolist() == [4, 4, 4]
    assert np.median(moving(presets.rolling(window=2)["schedule"], (6,))) == 2
    with pytest.raises(ValueError, match=r"at most 12 `groups`.*groups=13"):
        presets.groupwise(groups=13, over=0)["schedule"].adapt(np.ones(12))


@pytest.mark.once
@pytest.mark.parametrize("name", ["columns", "haar_columns", "ordering", "power_spectrum"])
def test_ends_of_the_paper(name):
    """Eq. 19 read backwards: the signal-to-noise ratios at both ends are those of app. B."""
    model = build(name)
    variance = ops.convert_to_numpy(model.prior.variance).astype("float64")
    first, last = (
        np.log(variance) - ops.convert_to_numpy(model.schedule(end, a=1.0).gamma)[0]
        if name in LINEAR
        else np.log(variance) - ops.convert_to_numpy(model.schedule(end).gamma)[0]
        for end in (0.0, 1.0)
    )
    assert -first.min() == pytest.approx(-7, abs=1e-4)
    noise = max(3, np.log(0.99**2 / (1 - 0.99**2)) - np.log(variance).min())
    assert -last.max() == pytest.approx(noise, abs=1e-4)


@pytest.mark.once
def test_the_published_shortest_path():
    schedule = presets.shortest_path(amplitude=1.59, corner=0.0086)["schedule"]
    k = fourier_frequencies()
    schedule.adapt(np.ones(SHAPE), coordinates={"frequency": k})
    with np.errstate(divide="ignore"):
        alpha, sigma = shortest_path(1.59 / (0.0086 + k) ** 2)
        gamma = np.clip(2 * (np.log(sigma) - np.log(alpha)), -10, 10)
    ours = np.broadcast_to(ops.convert_to_numpy(schedule(T).gamma), (len(T), *SHAPE))
    np.testing.assert_allclose(ours, gamma, atol=1e-3)


@pytest.mark.once
def test_sigma_max_by_technique_1():
    x = images(50)
    pairs = x[:, None].astype("float64") - x[None]
    largest = np.sqrt((pairs**2).sum(axis=(2, 3, 4)).max()) / 255
    schedule = presets.ve(data=x)["schedule"]
    assert np.exp(schedule.gamma_max / 2) == pytest.approx(largest)
    with pytest.raises(ValueError, match="at least two 8-bit images"):
        presets.ve(data=x / 255.0)


@pytest.mark.parametrize(
    ("name", "shape"),
    once(
        [
            ("variational", (8, 8, 1)),
            ("diffusion_forcing", (6, 2)),
            ("heat_dissipation", (8, 4, 1)),
        ],
        but=[("diffusion_forcing", (6, 2))],
    ),
)
def test_presets_train_and_sample(name, shape):
    keras.utils.set_random_seed(0)
    x = images(64, shape) if len(shape) == 3 else np.random.default_rng(0).normal(size=(64, *shape))
    model = keras_gud.GUD(preset=name, backbone=OneWeightPerValue(), seed=0)
    history = model.fit(x, epochs=2, batch_size=16, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    samples = model.sample(2, steps=3, seed=0)
    assert samples.shape == (2, *shape)
    assert np.isfinite(samples).all()


@pytest.mark.parametrize(
    ("preset", "message"),
    [("bluring", "Did you mean 'blurring'"), (3, "Expected `preset` to be one of")],
)
def test_unknown_presets(preset, message):
    with pytest.raises(ValueError, match=message):
        keras_gud.GUD(preset=preset)
