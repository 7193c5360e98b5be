"""Power-function averages of the weights against a NumPy reference, and in files."""

import keras
import numpy as np
import pytest
from helpers.tiny_model import as_numpy, assert_same, everything, make, raw_and_average, vectors
from keras import ops

import keras_gud
from keras_gud.training import changed_network
from keras_gud.training.power_average import new_share
from keras_gud.training.power_profile import exponent

WIDTHS = (0.05, 0.1)


def trained(steps=3, widths=WIDTHS, eager=True, **kwargs):
    model = make(**kwargs)
    model.adapt(vectors(), verbose=0)
    # A compilation for every model would take most of the time.
    model.compile(keras.optimizers.Adam(1e-2), run_eagerly=eager)
    model.power_averages.keep(model, widths)
    if widths:
        model.power_averages.number_run()
    for _ in range(steps):
        model.train_on_batch(vectors(16))
    return model


def vector(arrays):
    return np.concatenate([np.ravel(a) for a in arrays])


def averages_of(model):
    return as_numpy([model.power_averages.averages])[0]


def test_averages_are_sums_over_the_profile():
    model, seen = trained(0, eager=False), []
    for _ in range(7):
        seen.append(raw_and_average(model)[0])
        model.train_on_batch(vectors(16))
    for width, average in zip(WIDTHS, averages_of(model), strict=True):
        shares = np.diff((np.arange(8) / 7) ** (exponent(width) + 1))
        expected = sum(share * vector(each) for share, each in zip(shares, seen, strict=True))
        np.testing.assert_allclose(average, expected, atol=1e-6)
    assert float(model.power_averages.count) == 7


@pytest.mark.parametrize("step", [1, 2, 1000, 1e6])
def test_share_of_a_step_is_exact_in_float32(step):
    k = exponent(0.05)
    expected = -np.expm1((k + 1) * np.log1p(-1 / step)) if step > 1 else 1.0
    found = new_share(ops.convert_to_tensor(step, "float32"), k)
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, rtol=1e-5)


@pytest.mark.once
def test_training_is_the_same_with_them():
    model, other = trained(3), trained(3, widths=())
    assert_same(
        dict(zip("abcd", as_numpy(other.network.weights), strict=True)),
        dict(zip("abcd", as_numpy(model.network.weights), strict=True)),
    )
    assert not other.power_averages.variables


def test_a_saved_model_goes_on_with_them(tmp_path):
    model = trained()
    model.save(tmp_path / "model.keras")
    loaded = keras_gud.load(tmp_path / "model.keras", compile=True)
    for each in (model, loaded):
        each.train_on_batch(vectors(16))
    assert loaded.power_averages.widths == WIDTHS
    assert_same(everything(loaded), everything(model), atol=1e-6)


@pytest.mark.once
def test_files_of_weights_with_and_without_them(tmp_path):
    model, other = trained(), trained(2, widths=())
    for each, name in ((model, "with"), (other, "without")):
        each.save_weights(tmp_path / f"{name}.weights.h5")
    model.load_weights(tmp_path / "without.weights.h5")
    assert (float(model.power_averages.count), int(model.power_averages.run)) == (0, 0)
    for average in averages_of(model):
        np.testing.assert_array_equal(average, vector(as_numpy(other.network.weights)))
    other.load_weights(tmp_path / "with.weights.h5")
    assert not other.power_averages.variables


@pytest.mark.once
def test_they_begin_again_with_other_weights():
    model = trained()
    model.network.hidden.enable_lora(2)
    with pytest.warns(UserWarning, match="starts anew"):
        changed_network.follow_network(model)
    assert model.power_averages.averages.shape == (2, model.network.count_params())
    model.train_on_batch(vectors(16))
    assert float(model.power_averages.count) == 1
    assert int(model.power_averages.run) == 0


@pytest.mark.once
def test_they_begin_again_where_a_network_is_loaded():
    model = trained()
    model.load_backbone(trained(1, widths=(), seed=4))
    assert float(model.power_averages.count) == 0
    for average in averages_of(model):
        np.testing.assert_array_equal(average, vector(as_numpy(model.network.weights)))


@pytest.mark.once
def test_the_summary_has_them_only_if_they_are_kept(capsys):
    for widths, said in ((WIDTHS, True), ((), False)):
        trained(0, widths=widths).summary()
        assert ("averages of widths 0.05, 0.1" in capsys.readouterr().out) is said


@pytest.mark.once
def test_they_can_be_ended():
    model = trained()
    model.power_averages.keep(model, ())
    model.train_on_batch(vectors(16))
    assert model.power_averages.variables == []
