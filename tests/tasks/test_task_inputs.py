"""What single tasks refuse, and what they return. `test_task_contract.py` has what they share."""

import numpy as np
import pytest
from helpers.exact_model import COLOURED, SHAPE, ExactModel

from keras_gud import bases, tasks

KERNEL = np.outer([0.25, 0.5, 0.25], [0.25, 0.5, 0.25])
MASK = np.arange(16).reshape(4, 4) % 3 == 0


@pytest.fixture(scope="module")
def model():
    names = ["pixel", bases.ChannelMix("luma"), bases.Haar(levels=2), "dct", "fourier"]
    return ExactModel(names, COLOURED, kind="uint8")


@pytest.fixture(scope="module")
def floats():
    return ExactModel(["haar"])


def image(shape=COLOURED, seed=0):
    return np.random.default_rng(seed).integers(60, 180, size=shape).astype("uint8")


def call(model, task, x=None, **keywords):
    """A task with usable arguments, but for those given."""
    usable = {
        "inpaint": {"image": image(), "missing": MASK},
        "denoise": {"noisy": image(), "noise_std": 10.0},
        "upscale": {"low_resolution": image((2, 2, 3)), "factor": 2},
        "colorize": {"grey": image((4, 4))},
        "deblur": {"blurred": image(), "kernel": KERNEL},
        "restore": {"observation": image(), "scale": 1.0, "noise_std": 5.0},
        "complete": {"partly_noised": np.zeros(COLOURED), "t": 0.5},
    }[task]
    return getattr(tasks, task)(model, **(usable | {"steps": 2, "seed": 0} | keywords))


@pytest.mark.once
@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("inpaint", "image"),
        ("denoise", "noisy"),
        ("upscale", "low_resolution"),
        ("colorize", "grey"),
        ("deblur", "blurred"),
        ("restore", "observation"),
        ("complete", "partly_noised"),
    ],
)
def test_bad_images(model, task, name):
    shape = {"upscale": (2, 2, 3), "colorize": (4, 4)}.get(task, COLOURED)
    batch = np.stack([image(shape, seed) for seed in range(3)]).astype("float32")
    for bad in (batch[:, :1], batch[None], batch[:0]):
        with pytest.raises(ValueError, match=f"Expected `{name}` of shape .*Received: {name} of"):
            call(model, task, **{name: bad})
    for bad in (np.nan, np.inf):
        broken = batch.copy()
        broken[1].flat[3] = bad
        with pytest.raises(ValueError, match=rf"(?s)`{name}`.*NaN or inf, first in example 1"):
            call(model, task, **{name: broken})
    with pytest.raises(ValueError, match=f"`{name}` to be an array of numbers"):
        call(model, task, **{name: batch > 1.0})


@pytest.mark.once
@pytest.mark.parametrize(("task", "name"), [("inpaint", "image"), ("complete", "partly_noised")])
def test_batches(model, task, name):
    batch = np.stack([image(seed=seed) for seed in range(3)]).astype("float32")
    if task == "complete":
        batch = batch / 128.0 - 1.0
    whole, std = call(model, task, draws=2, return_std=True, batch_size=3, **{name: batch})
    assert whole.shape == (3, 2, *COLOURED)
    assert std.shape == (3, *COLOURED)
    first = call(model, task, draws=3, **{name: batch[0]})
    assert np.abs(first[:2].astype(int) - whole[0]).max() <= 1  # rounding


def test_observed_pixels_are_bit_exact(model):
    x = image()
    draws = call(model, "inpaint", image=x, draws=3)
    assert (draws[:, ~MASK] == x[~MASK]).all()
    assert (draws[:, MASK] != x[MASK]).any()
    np.testing.assert_array_equal(call(model, "inpaint", missing=np.zeros((4, 4), bool))[0], x)
    np.testing.assert_array_equal(call(model, "denoise", noise_std=0.0)[0], x)
    odd = x + np.float32(0.3)
    kept = call(model, "inpaint", image=odd, as_float=True, draws=3)
    assert (kept[:, ~MASK] == odd[~MASK]).all()


@pytest.mark.once
@pytest.mark.parametrize(
    "shape", [(4, 4), (4, 4, 3), (4, 4, 1), (1, 4, 4), (2, 4, 4), (2, 4, 4, 3)]
)
def test_masks(model, shape):
    x = np.stack([image(seed=1), image(seed=2)])
    mask = np.zeros(shape, bool)
    mask[..., 0, :] = True
    draws = call(model, "inpaint", image=x, missing=mask)
    wide = mask if mask.shape[-1] in (1, 3) else mask[..., None]
    kept = ~np.broadcast_to(wide, x.shape)
    np.testing.assert_array_equal(draws[:, 0][kept], x[kept])


@pytest.mark.once
def test_nothing_observed_gives_samples(model):
    draws = call(
        model, "inpaint", missing=np.ones((4, 4), bool), draws=500, steps=30, as_float=True
    )
    error = np.abs(draws.mean(axis=0) - model.mean) / np.sqrt(np.diag(model.covariance)).max()
    assert error.max() < 4.5 / np.sqrt(500)


@pytest.mark.once
def test_the_units_of_8_bit_models(model):
    """One grey value known to be 100 +- 10 moves the mean as Bayes' rule in raw units says."""
    noise_std = np.full(COLOURED, 1e6)
    noise_std[0, 0, 0] = 10.0
    x = np.full(COLOURED, 100.0)
    draws = call(
        model, "denoise", noisy=x, noise_std=noise_std, draws=2000, steps=50, as_float=True
    )
    variance = model.covariance[0, 0]
    expected = model.mean[0, 0, 0] + variance / (variance + 100.0) * (100.0 - model.mean[0, 0, 0])
    spread = np.sqrt(variance * 100.0 / (variance + 100.0))
    assert abs(draws[:, 0, 0, 0].mean() - expected) < (4.5 / np.sqrt(2000) + 0.01) * spread
    assert abs(draws[:, 0, 0, 0].std() / spread - 1.0) < 4.5 / np.sqrt(4000) + 0.02


@pytest.mark.once
@pytest.mark.parametrize("task", ["upscale", "colorize"])
def test_8_bit_averages(model, task):
    """Means of the draws are the observed ones, whatever the offset of the model's units."""
    draws = call(model, task, draws=3, as_float=True)
    if task == "upscale":
        again, given = draws.reshape(3, 2, 2, 2, 2, 3).mean(axis=(2, 4)), image((2, 2, 3))
    else:
        again, given = draws @ np.array([0.299, 0.587, 0.114]), image((4, 4))
    np.testing.assert_allclose(again, np.broadcast_to(given, again.shape), atol=2e-3)


@pytest.mark.once
@pytest.mark.parametrize("boundary", ["reflect", "wrap"])
def test_8_bit_blur(model, boundary):
    """A brightening kernel: the offset of the units is scaled with the image."""
    x, kernel = (
        np.full(COLOURED, 50.0),
        2.0 * np.array([[0.0, 0.1, 0.0], [0.1, 0.6, 0.1], [0.0, 0.1, 0.0]]),
    )
    draws = call(model, "deblur", blurred=2.0 * x, kernel=kernel, boundary=boundary, as_float=True)
    np.testing.assert_allclose(draws[0], x, atol=0.02)


BAD = [
    ("inpaint", {"missing": MASK.astype(int)}, "`missing` of booleans"),
    ("inpaint", {"missing": MASK[:3]}, r"`missing` of shape \(4, 4, 3\) or \(4, 4\)"),
    ("inpaint", {"missing": np.zeros((2, 4, 4), bool)}, "one for each of 1 images"),
    ("inpaint", {"noise_std": -1.0}, "finite `noise_std` >= 0"),
    ("inpaint", {"noise_std": np.ones(5)}, "array of such that broadcasts against"),
    ("denoise", {"noise_std": "much"}, "`noise_std` to be a finite number"),
    ("denoise", {"noise_std": np.nan}, "`noise_std` to be a finite number"),
    ("upscale", {"factor": 3}, r"`factor` to be one of \[2, 4\].*Received: factor=3"),
    ("upscale", {"factor": 8}, r"`factor` to be one of \[2, 4\]"),
    ("upscale", {"factor": 1}, r"`factor` to be one of \[2, 4\]"),
    ("upscale", {"factor": -2}, r"`factor` to be one of \[2, 4\]"),
    ("upscale", {"factor": 2.5}, "`factor` to be an integer"),
    (
        "upscale",
        {"factor": 4},
        r"of shape \(1, 1, 3\).*Received: low_resolution of shape \(2, 2, 3\)",
    ),
    ("upscale", {"noise_std": np.ones((2, 2, 3))}, "`noise_std` to be a finite number"),
    ("colorize", {"grey": image()}, r"of shape \(4, 4, 1\) or \(4, 4\)"),
    ("colorize", {"noise_std": -0.1}, "finite `noise_std` >= 0"),
    ("deblur", {"boundary": "wrapp"}, "Did you mean 'wrap'"),
    ("deblur", {"kernel": np.ones(3)}, "`kernel` with 2 axes"),
    ("deblur", {"kernel": np.zeros((3, 3))}, "not all 0"),
    ("deblur", {"kernel": KERNEL[:2], "boundary": "reflect"}, "symmetric along each axis"),
    ("restore", {"scale": np.ones(5)}, "`scale` to be a finite number, or an array"),
    ("restore", {"scale": np.nan}, "`scale` to be a finite number"),
    ("restore", {"basis": "pca"}, "`basis` to be one of the model's"),
    ("restore", {"basis": "hare"}, "Did you mean 'haar'"),
    ("complete", {"t": 0.0}, r"`t` to be a number in \(0, 1\]"),
    ("complete", {"t": "half"}, r"`t` to be a number in \(0, 1\]"),
    ("inpaint", {"seed": 0.5}, "`seed` to be an integer"),
    ("inpaint", {"labels": 1}, "Expected no `labels`"),
    ("denoise", {"sampler": "dpm++"}, "reverse SDE"),
]


@pytest.mark.once
@pytest.mark.parametrize(("task", "keywords", "message"), BAD)
def test_bad_arguments(model, task, keywords, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        call(model, task, **keywords)


@pytest.mark.once
@pytest.mark.parametrize("task", ["inpaint", "upscale", "colorize", "deblur"])
def test_a_model_without_the_basis_is_told_what_to_train(task):
    other = ExactModel(["dct" if task != "deblur" else "pixel"], COLOURED)
    with pytest.raises(ValueError, match=rf'region=\["{task}"\]'):
        call(other, task)


@pytest.mark.once
def test_noise_of_many_sizes_needs_pixels(floats):
    with pytest.raises(ValueError, match=r'region=\["denoise"\]'):
        tasks.denoise(floats, np.zeros(SHAPE), np.linspace(0, 1, 16).reshape(SHAPE))


@pytest.mark.once
def test_8_bit_images_for_a_model_of_floats(floats):
    with pytest.raises(ValueError, match="which are floats"):
        tasks.denoise(floats, image(SHAPE), 1.0)


@pytest.mark.once
def test_the_view_with_observed_components_is_preferred():
    model = ExactModel(["dct", "fourier"])
    model.views[0].observed = ()
    tasks.deblur(model, np.zeros(SHAPE), KERNEL, steps=1)
    assert model.checked[-1][0] is model.views[1]
    tasks.deblur(model, np.zeros(SHAPE), KERNEL, steps=1, boundary="reflect")
    assert model.checked[-1][0] is model.views[0]


@pytest.mark.once
def test_seeds(floats):
    noisy = np.zeros(SHAPE)
    one, two = (tasks.denoise(floats, noisy, 1.0, steps=2, seed=5) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    free = [tasks.denoise(floats, noisy, 1.0, steps=2) for _ in range(2)]
    assert np.abs(free[0] - free[1]).max() > 1e-3
