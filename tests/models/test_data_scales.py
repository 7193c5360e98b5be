"""Data in any units train the same and come back in their own."""

import keras
import numpy as np
import pytest
from helpers.one_weight import OneWeightPerValue

import keras_gud
from keras_gud import schedules

pytestmark = pytest.mark.once

RNG = np.random.default_rng(0)
PICTURES = np.clip(RNG.normal(120.0, 50.0, (64, 6, 6, 1)), 0, 255).astype("uint8")
FORMS = {
    "uint8": PICTURES,
    "int64": PICTURES.astype("int64"),
    "0..255": PICTURES.astype("float32"),
    "0..1": (PICTURES / 255.0).astype("float32"),
    "-1..1": (PICTURES / 127.5 - 1.0).astype("float32"),
    "float64": PICTURES / 255.0,
}
STEPS = {"0..1": 1 / 255, "-1..1": 1 / 127.5, "float64": 1 / 255}


def fit(x, epochs=2, **arguments):
    arguments = {"backbone": OneWeightPerValue(), "schedule": "cosine", "seed": 0} | arguments
    model = keras_gud.GUD(**arguments)
    history = model.fit(x, batch_size=16, epochs=epochs, verbose=0).history
    return model, history


@pytest.fixture(scope="module")
def reference():
    return fit(PICTURES)


@pytest.mark.parametrize("form", list(FORMS))
def test_the_same_pictures_train_the_same_in_every_form(form, reference):
    x = FORMS[form]
    model, history = fit(x)
    np.testing.assert_allclose(history["loss"], reference[1]["loss"], rtol=1e-4)
    samples, expected = (m.sample(8, steps=4, seed=0) for m in (model, reference[0]))
    assert samples.dtype == ("float32" if x.dtype.kind == "f" else x.dtype)
    step = STEPS.get(form, 1.0)
    low = float(x.min()) - float(PICTURES.min()) * step
    # Rounding to grey levels may differ by one where the float is half-way between them.
    assert np.abs((samples - low) / step - expected).max() < 1.01
    assert np.abs((samples - low) / step - expected).mean() < 0.02


@pytest.mark.parametrize("form", ["int64", "0..255", "0..1", "-1..1"])
def test_bits_per_dim_of_floats_are_apart_by_their_step(form, reference):
    model, _ = fit(FORMS[form])
    bits = model.elbo(FORMS[form][:4], draws=4)["bits_per_dim"]
    expected = reference[0].elbo(PICTURES[:4], draws=4)["bits_per_dim"]
    apart = np.log2(STEPS.get(form, 1.0))
    np.testing.assert_allclose(bits, expected + apart, atol=1e-3)


SCALES = 10.0 ** np.arange(-12, 13, 4)


@pytest.mark.parametrize("prior", ["isotropic", "matching"])
def test_columns_of_a_table_come_back_in_their_units(prior):
    """Scales of 24 orders of magnitude side by side, a coin, and a constant.

    The prediction is the exact denoiser of independent Gaussians, so that nothing need be learnt.
    """
    n = 2048
    rng = np.random.default_rng(1)
    columns = [1e3 * s + s * rng.normal(size=n) for s in SCALES]
    x = np.stack([*columns, rng.integers(0, 2, n), np.full(n, 3.25)], axis=1)
    model, _ = fit(x, epochs=0, prior=prior, prediction="wiener")
    samples = model.sample(4000, steps=30, seed=0, batch_size=1000).astype("float64")
    size = len(SCALES)
    deviation = x[:, :size].std(axis=0)
    np.testing.assert_allclose(samples[:, :size].std(axis=0) / deviation, 1.0, atol=0.05)
    shift = samples[:, :size].mean(axis=0) - x[:, :size].mean(axis=0)
    np.testing.assert_allclose(shift / deviation, 0.0, atol=0.05)
    assert set(np.unique(samples[:, size])) == {0.0, 1.0}
    assert samples[:, size].mean() == pytest.approx(0.5, abs=0.05)
    assert np.all(samples[:, size + 1] == 3.25)


@pytest.mark.parametrize("kind", ["uint16", "int16"])
def test_volumes_of_16_bits_come_back(kind):
    rng = np.random.default_rng(0)
    x = np.clip(rng.normal(900.0, 200.0, (64, 4, 4, 4, 1)), 0, 4095).astype(kind)
    model, _ = fit(x)
    assert model.data_space.scaling.expected(x).std() == pytest.approx(1.0, abs=0.01)
    samples = model.sample(64, steps=8, seed=0)
    assert samples.dtype == x.dtype
    assert samples.min() >= x.min()
    assert samples.max() <= x.max()
    assert samples.mean() == pytest.approx(900.0, abs=60.0)
    back = model.data_space.scaling
    assert np.array_equal(back.rounded(back.to_raw(back.expected(x))), x)


def test_a_constant_border_changes_nothing_for_the_others():
    """The path of the schedule that starts from variances, and the scale of what varies."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 4, 4, 1)).astype("float32")
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    paths = []
    for data in (x, padded):
        model = keras_gud.GUD(schedule="linear", backbone=OneWeightPerValue(), data_scale=1.0)
        model.adapt(data, verbose=0)
        state = model.schedule(np.array([0.0, 1.0], "float32"))
        paths.append(keras.ops.convert_to_numpy(state.gamma).reshape(2, -1))
    np.testing.assert_allclose(paths[1].min(axis=1), paths[0].min(axis=1), atol=0.05)
    np.testing.assert_allclose(paths[1].max(axis=1), paths[0].max(axis=1), atol=0.05)


def test_negligible_variances_do_not_stretch_the_path():
    """The border of the photographs whose path went from -19 to 4."""
    variance = np.array([1.0] * 900 + [1e-9] * 100)
    schedule, paper = schedules.Linear(), schedules.Linear(floor=0.0)
    for each in (schedule, paper):
        each.adapt(variance)
    start, letter = (
        keras.ops.convert_to_numpy(each(np.zeros(1, "float32")).gamma).min()
        for each in (schedule, paper)
    )
    assert letter == pytest.approx(-7.0 + np.log(1e-9), abs=1e-3)
    assert start == pytest.approx(-7.0, abs=1e-3)


# -- what a user may fix ---------------------------------------------------------------------------


@pytest.mark.parametrize("data_scale", [2.0, np.full((6, 6, 1), 2.0), "none", "range"])
def test_a_scale_may_be_given(data_scale, tmp_path):
    x = FORMS["0..255"]
    model, _ = fit(x, epochs=1, data_scale=data_scale)
    expected = x / 2.0 if not isinstance(data_scale, str) else x
    found = model.data_space.scaling.expected(x)
    np.testing.assert_allclose(found.std(), expected.std(), rtol=1e-5)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.data_space.scaling.get_config() == model.data_space.scaling.get_config()
    assert np.array_equal(again.sample(2, steps=2, seed=0), model.sample(2, steps=2, seed=0))


@pytest.mark.parametrize("data_scale", [0.0, -1.0, np.nan, np.inf, "unit", "rang", [1.0, 0.0]])
def test_scales_that_are_none_are_refused(data_scale):
    with pytest.raises(ValueError, match="Expected `data_scale`"):
        keras_gud.GUD(data_scale=data_scale)


def test_a_scale_of_the_wrong_shape_is_refused():
    model = keras_gud.GUD(data_scale=np.ones((5, 6, 1)))
    with pytest.raises(ValueError, match=r"broadcast to the data's shape \(6, 6, 1\).*\(5, 6, 1\)"):
        model.adapt(PICTURES, verbose=0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_tables_with_holes_are_refused(bad):
    x = RNG.normal(size=(32, 3))
    x[5, 1] = bad
    with pytest.raises(ValueError, match="finite"):
        keras_gud.GUD().fit(x, verbose=0)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (2_000_000_000 + PICTURES.astype("int64"), "differ by more than the rounding of float32"),
        (1e12 + PICTURES.astype("float64"), "up to 1e[+]12.*Subtract their mean first"),
        (10**12 + PICTURES.astype("int64"), r"between -2\*\*31 and 2\*\*31.*astype\('float64'\)"),
        (np.stack([np.arange(32.0), 1e12 + np.arange(32.0)], axis=1), "in column 1"),
    ],
)
def test_data_of_which_float32_keeps_nothing_are_refused(x, message):
    with pytest.raises(ValueError, match=message):
        keras_gud.GUD(backbone=OneWeightPerValue()).adapt(x, verbose=0)
