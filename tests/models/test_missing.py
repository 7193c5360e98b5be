"""Training on tables and images with gaps: NaN where a value is missing."""

import keras
import numpy as np
import pytest
from helpers.one_weight import OneWeightPerValue
from helpers.tiny_model import vectors

import keras_gud
from keras_gud import metrics


@keras.saving.register_keras_serializable(package="keras_gud_tests")
class ToldOfEveryValue(OneWeightPerValue):
    """The smallest network that is given a gamma for every value."""

    gamma_map = True


def with_gaps(x, share=0.3, seed=0):
    gaps = np.random.default_rng(seed).random(x.shape) < share
    gaps[np.arange(len(x)), np.arange(len(x)) % x.shape[1]] = False  # something is left
    return np.where(gaps, np.nan, x).astype("float32")


def smallest(x, **kwargs):
    """An adapted model whose estimates of a component do not depend on the others."""
    kwargs = {"backbone": ToldOfEveryValue(), "missing": True, "seed": 0} | kwargs
    model = keras_gud.GUD(schedule="cosine", **kwargs)
    model.adapt(x, verbose=0)
    return model


@pytest.fixture(scope="module")
def table():
    return with_gaps(vectors(64))


@pytest.fixture(scope="module")
def model(table):
    return smallest(table)


def test_the_loss_is_the_mean_over_what_is_there(model):
    x = vectors(6)
    loss = model.evaluate(x, return_dict=True, verbose=0)
    alone = []
    for keep in ([0, 1, 3], [2]):
        part = np.full_like(x, np.nan)
        part[:, keep] = x[:, keep]
        alone.append(model.evaluate(part, return_dict=True, verbose=0))
        again = model.evaluate(part, batch_size=4, return_dict=True, verbose=0)
        assert again == pytest.approx(alone[-1], rel=1e-5)
    for name, whole in loss.items():
        assert 0.75 * alone[0][name] + 0.25 * alone[1][name] == pytest.approx(whole, rel=1e-5)


def test_what_is_missing_has_no_gradient(table):
    model = smallest(table)
    model.compile(keras.optimizers.SGD(0.1))
    x = table.copy()
    x[:, 1] = np.nan
    model.fit(x[:12], batch_size=6, verbose=0)
    scale = keras.ops.convert_to_numpy(model.network.scale)
    assert scale[1] == 0.0
    assert (scale[[0, 2, 3]] != 0.0).all()


def test_a_table_with_gaps_from_training_to_a_file(table, tmp_path):
    model = keras_gud.GUD(
        backbone="tiny", backbone_dtype="mixed_bfloat16", region=["inpaint"], missing=True, seed=0
    )
    history = model.fit(table, batch_size=32, validation_data=table[:8], verbose=0).history
    assert np.isfinite([history["loss"], history["val_loss"]]).all()
    np.testing.assert_allclose(model.data_space.scaling.centre, np.nanmean(table, axis=0), 1e-5)
    made = model.sample(3, given={0: 1.5}, steps=2, seed=0)
    assert np.isfinite(made).all()
    assert (made[:, 0] == 1.5).all()
    bits = model.predict(table[:8], verbose=0)
    assert np.isfinite(bits).all()
    model.save(tmp_path / "gaps.keras")
    loaded = keras.saving.load_model(tmp_path / "gaps.keras")
    np.testing.assert_allclose(loaded.predict(table[:8], verbose=0), bits, rtol=1e-5)


@pytest.mark.once
def test_bits_are_per_value_that_is_there(model):
    model.compile(metrics=[metrics.NegativeElbo(draws=32)])
    x = vectors(2)[:1]
    x[0, 1:] = np.nan
    terms = model.elbo(x)
    total = sum(value for name, value in terms.items() if name != "bits_per_dim")
    assert terms["bits_per_dim"] == pytest.approx(total / np.log(2.0), rel=1e-6)
    measured = model.evaluate(x, return_dict=True, verbose=0)["negative_elbo"]
    assert measured == pytest.approx(terms["bits_per_dim"][0], rel=1e-5)


@pytest.mark.once
def test_columns_of_pandas_with_gaps():
    pandas = pytest.importorskip("pandas")
    x = pandas.DataFrame({"age": pandas.array([30, None, 50, 41] * 8, "Int64"), "size": 1.5})
    x.loc[::2, "size"] = [0.5 + 0.1 * i for i in range(16)]
    model = smallest(x)
    scaling = model.data_space.scaling
    assert scaling.centre[0] == pytest.approx(121 / 3)
    assert (scaling.low[0], scaling.high[0], scaling.step[0]) == (30.0, 50.0, 1.0)
    assert str(model.sample(2, steps=2, seed=0)["age"].dtype) == "Int64"
    with pytest.raises(ValueError, match=r"Received: some in \['age'\].*missing=True"):
        keras_gud.GUD(backbone="tiny").fit(x, verbose=0)
    x = x.dropna()
    x["size"] = np.nan
    with pytest.raises(ValueError, match="every column.*NaN alone in 'size'"):
        smallest(x)


@pytest.mark.once
@pytest.mark.parametrize("stream", ["generator", "tf.data"])
def test_streams_with_gaps(stream, table):
    batches = [table[i : i + 16] for i in range(0, 64, 16)]
    if stream == "tf.data":
        tensorflow = pytest.importorskip("tensorflow")
        make = lambda x: tensorflow.data.Dataset.from_tensor_slices(x).batch(16)  # noqa: E731
    else:
        make = lambda x: ((x[i : i + 16],) for i in range(0, 64, 16))  # noqa: E731
    model = keras_gud.GUD(backbone=ToldOfEveryValue(), missing=True, seed=0)
    history = model.fit(make(np.concatenate(batches)), verbose=0).history
    assert np.isfinite(history["loss"]).all()
    x = table.copy()
    x[40] = np.nan  # in a later batch
    with pytest.raises(Exception, match="(?i)expected"):
        model.fit(make(x), verbose=0)


@pytest.mark.once
@pytest.mark.parametrize("dense", [True, False], ids=["few", "many"])
def test_images_with_gaps(dense, monkeypatch):
    if not dense:
        monkeypatch.setattr("keras_gud.training.fit_components.MAX_DENSE", 0)
    x = np.random.default_rng(0).normal(3.0, 2.0, (32, 4, 4, 1))
    x = with_gaps(x.reshape(32, 16)).reshape(x.shape)
    model = smallest(x)
    z = (x - model.data_space.scaling.centre) / model.data_space.scaling.scale
    mean = keras.ops.convert_to_numpy(model.prior.mean)
    np.testing.assert_allclose(mean, np.nanmean(z, axis=0), atol=1e-5)
    assert np.isfinite(model.evaluate(x, verbose=0)).all()
    x[:, 0, 1] = np.nan
    with pytest.raises(ValueError, match=r"every position.*NaN alone in \(0, 1, 0\)"):
        smallest(x)


@pytest.mark.once
def test_where_nothing_may_be_missing_it_is_said(model, table):
    for function in (model.log_prob, model.to_noise, model.optimize_path):
        with pytest.raises(ValueError, match="NaN or inf, first in example 0.*`elbo` is of"):
            function(table[:3] * np.array([1.0, np.nan, 1.0, 1.0]))
    model.compile(metrics=[metrics.BitsPerDim()])
    with pytest.raises(ValueError, match="NaN or inf"):
        model.evaluate(table, verbose=0)


@pytest.mark.once
def test_data_that_cannot_be_trained_on(table):
    with pytest.raises(ValueError, match="missing=True"):
        smallest(table, missing=False)
    for value, match in ((np.nan, "at least one value.*example 7"), (np.inf, "Received: inf")):
        x = table.copy()
        x[7] = value
        with pytest.raises(ValueError, match=match):
            smallest(x)


@pytest.mark.once
def test_models_that_cannot_have_gaps():
    with pytest.raises(ValueError, match="basis='pixel'.*'DCT'"):
        keras_gud.GUD(basis="dct", missing=True)
    with pytest.raises(ValueError, match="basis='pixel'.*Haar"):
        keras_gud.GUD(region=["upscale"], missing=True)
    with pytest.raises(ValueError, match="`missing` to be True or False"):
        keras_gud.GUD(missing="allow")
    with pytest.raises(ValueError, match="told what is missing"):
        smallest(vectors(16), backbone=OneWeightPerValue())
    identity = keras.layers.Rescaling(1.0)
    with pytest.raises(ValueError, match="an encoder needs all values"):
        keras_gud.LatentGUD(identity, identity, missing=True)
