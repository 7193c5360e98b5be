"""`fit` as Keras users know it, and nothing lost when it fails."""

import random

import keras
import numpy as np
import pytest
from helpers.marks import once
from helpers.mixed_precision import require_bfloat16_convolutions
from helpers.tiny_model import (
    TinyNet,
    as_numpy,
    assert_same,
    everything,
    images,
    make,
    raw_and_average,
    vectors,
)

import keras_gud


def test_nothing_before_fit():
    model = make()
    history = model.fit(vectors(300), epochs=2, verbose=0)
    assert set(history.history) == {"loss", "linear_loss"}
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    assert float(as_numpy([model.optimizer.learning_rate])[0]) == pytest.approx(2e-3)
    assert model.ema.decay == 0.999
    # 300 examples in batches of 128.
    assert int(as_numpy([model.optimizer.iterations])[0]) == 2 * 3


@pytest.mark.once
def test_untrained_models_start_where_their_prediction_says():
    """With its last layer at zero, the Wiener form is the best linear model; eps predicts 0."""
    x = vectors(512)
    wiener, plain = (make(prediction=name, data_scale="range") for name in ("wiener", "eps"))
    for model in (wiener, plain):
        model.adapt(x, verbose=0)
    loss, linear = wiener.evaluate(x, verbose=0)
    assert loss == pytest.approx(linear, rel=1e-5)
    assert plain.evaluate(x, verbose=0)[0] > 2 * linear


def test_callbacks_validation_and_learning_rate(tmp_path):
    model, seen = make(), []
    model.compile(keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(1e-2, 5, 0.5)))
    history = model.fit(
        vectors(64),
        batch_size=16,
        epochs=5,
        verbose=0,
        validation_split=0.25,
        callbacks=[
            keras.callbacks.EarlyStopping("val_loss", patience=0, min_delta=10.0),
            keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", monitor="val_loss"),
            keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs)),
        ],
    )
    assert history.epoch == [0, 1]
    assert set(seen[0]) == {"loss", "linear_loss", "val_loss", "val_linear_loss"}
    assert keras.saving.load_model(tmp_path / "best.keras").built


def test_validation_does_not_change_training():
    with_it, without = make(dropout=0.2), make(dropout=0.2)
    with_it.fit(vectors(48), batch_size=16, epochs=2, verbose=0, validation_data=vectors(8))
    without.fit(vectors(48), batch_size=16, epochs=2, verbose=0)
    assert_same(everything(with_it), everything(without))


@pytest.mark.once
def test_a_second_fit_does_not_adapt_again_unless_asked():
    model, x = make(data_scale="range"), vectors(64)
    model.fit(x, verbose=0)
    mean = as_numpy([model.prior.mean])[0]
    model.fit(x + 5.0, verbose=0)
    np.testing.assert_array_equal(as_numpy([model.prior.mean])[0], mean)
    model.fit(x + 5.0, verbose=0, adapt=True)
    np.testing.assert_allclose(as_numpy([model.prior.mean])[0], mean + 5.0, atol=1e-4)


def test_sample_weight_multiplies_the_loss_of_an_example():
    model, x = make(), vectors(40)
    model.adapt(x, verbose=0)
    weight = np.r_[np.ones(20), np.zeros(20)]
    half = np.array(model.evaluate(x[:20], verbose=0))
    for size in (40, 8):
        # As in Keras: the sum of weight times loss over the number of examples.
        whole = model.evaluate(x, sample_weight=weight, batch_size=size, verbose=0)
        np.testing.assert_allclose(whole, half / 2, rtol=1e-5)


def test_examples_of_weight_zero_do_not_train():
    """Whatever they hold, and also where they fill a batch."""
    x, models = vectors(40), []
    weight = np.r_[np.ones(20), np.zeros(20)]
    for shift in (0.0, 3.0):
        model = make()
        model.adapt(x, verbose=0)
        other = np.concatenate([x[:20], x[20:] + shift])
        kwargs = {"sample_weight": weight, "epochs": 2, "shuffle": False, "verbose": 0}
        model.fit(other, batch_size=20, **kwargs)
        models.append(model)
    assert_same(everything(models[0]), everything(models[1]))
    assert all(np.isfinite(v).all() for v in as_numpy(models[0].network.weights))
    assert np.abs(as_numpy(models[0].network.out.weights)[0]).max() > 0


def test_gradient_accumulation_steps():
    model, x = make(), vectors(64)
    model.compile(keras.optimizers.Adam(1e-2, gradient_accumulation_steps=4))
    model.adapt(x, verbose=0)
    before = as_numpy(model.network.trainable_variables)
    model.fit(x[:48], batch_size=16, verbose=0)
    for a, b in zip(as_numpy(model.network.trainable_variables), before, strict=True):
        np.testing.assert_array_equal(a, b)
    model.fit(x[:16], batch_size=16, verbose=0)
    after = as_numpy(model.network.trainable_variables)
    assert max(np.abs(a - b).max() for a, b in zip(after, before, strict=True)) > 1e-3


def test_frozen_layers_keep_their_weights():
    net = TinyNet()
    net.hidden.trainable = False
    model = keras_gud.GUD(schedule="cosine", backbone=net, seed=0)
    model.adapt(vectors(32), verbose=0)
    before = as_numpy(net.hidden.weights)
    model.fit(vectors(32), epochs=2, verbose=0)
    for a, b in zip(as_numpy(net.hidden.weights), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.abs(as_numpy(net.out.weights)[0]).max() > 0
    assert np.isfinite(model.sample(3, steps=3, seed=0)).all()


@pytest.mark.parametrize("globally", once([False, True], but=[False]))
def test_mixed_precision_is_for_the_network_alone(globally):
    require_bfloat16_convolutions()
    policy = keras.config.dtype_policy()
    if globally:
        keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        kwargs = {} if globally else {"backbone_dtype": "mixed_bfloat16"}
        model = keras_gud.GUD(schedule="cosine", backbone="tiny", seed=0, **kwargs)
        x = images(16)
        history = model.fit(x, epochs=1, verbose=0)
    finally:
        keras.config.set_dtype_policy(policy)
    assert np.isfinite(history.history["loss"][0])
    assert model.network.compute_dtype == "bfloat16"
    assert model.dtype_policy.name == "float32"
    assert {v.dtype for v in model.ema.weights} == {"float32"}
    assert {keras.backend.standardize_dtype(v.dtype) for v in model(x).values()} == {"float32"}


@pytest.mark.once
def test_summary_and_single_batches(capsys):
    model, x = make(), vectors(16)
    model.adapt(x, verbose=0)
    model.compile()
    model.summary()
    assert "tiny_net" in capsys.readouterr().out
    first = model.train_on_batch(x)
    assert np.isfinite(np.ravel(first)).all()
    assert np.isfinite(np.ravel(model.test_on_batch(x))).all()
    assert {k: tuple(v.shape) for k, v in model(x).items()} == {"loss": (16,), "linear_loss": (16,)}


class Break(keras.callbacks.Callback):
    """Raises after a batch."""

    def __init__(self, error, batch):
        super().__init__()
        self.error, self.batch = error, batch

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.batch:
            raise self.error


class BadNet(TinyNet):
    """Fails while the training step is traced, once it is told to."""

    broken = False

    def call(self, inputs, training=None):
        if self.broken:
            raise RuntimeError("broken network")
        return super().call(inputs, training=training)


@pytest.fixture(scope="module")
def survivor():
    model = keras_gud.GUD(schedule="cosine", backbone=BadNet(), seed=0)
    model.fit(vectors(64), batch_size=16, verbose=0)
    return model


def still_works(model):
    raw, average = raw_and_average(model)
    assert all(np.isfinite(v).all() for v in (*raw, *average))
    assert np.isfinite(model.sample(2, steps=2, seed=0)).all()
    history = model.fit(vectors(32), batch_size=16, verbose=0)
    assert np.isfinite(history.history["loss"][0])


@pytest.mark.parametrize("error", [RuntimeError("stop"), KeyboardInterrupt()])
@pytest.mark.parametrize("batch", [0, 2])
def test_interrupted_in_a_callback(survivor, error, batch):
    steps = int(as_numpy([survivor.optimizer.iterations])[0])
    with pytest.raises(type(error)):
        survivor.fit(vectors(64), batch_size=16, verbose=0, callbacks=[Break(error, batch)])
    # The weights are those after the last finished step.
    assert int(as_numpy([survivor.optimizer.iterations])[0]) == steps + batch + 1
    still_works(survivor)


@pytest.mark.parametrize("batch_size", [16, 13])
def test_an_error_inside_the_step_loses_nothing(survivor, batch_size):
    # Without a compiled step, the noise has been drawn by the time that the network fails.
    before = {k: v for k, v in everything(survivor).items() if "seed_generator" not in k}
    survivor.network.broken = True
    try:
        # Keras has compiled its step; only an eager or a new one meets the broken network.
        survivor.compile(survivor.optimizer, run_eagerly=False)
        with pytest.raises(RuntimeError, match="broken network"):
            survivor.fit(vectors(64), batch_size=batch_size, verbose=0)
    finally:
        survivor.network.broken = False
    after = {k: v for k, v in everything(survivor).items() if "seed_generator" not in k}
    assert_same(after, before)
    still_works(survivor)


@pytest.mark.once
@pytest.mark.parametrize("bad", [vectors(8)[:, :3], vectors(8) * np.nan, vectors(8).astype(int)])
def test_bad_data_lose_nothing(survivor, bad):
    before = everything(survivor)
    with pytest.raises(ValueError, match="Expected"):
        survivor.fit(bad, verbose=0)
    assert_same(everything(survivor), before)


class BreakValidation(keras.callbacks.Callback):
    """Ctrl-C while the model is being evaluated."""

    def on_test_batch_end(self, batch, logs=None):
        raise KeyboardInterrupt


@pytest.mark.once
def test_interrupted_in_validation(survivor):
    steps = int(as_numpy([survivor.optimizer.iterations])[0])
    kwargs = {"validation_data": vectors(32), "callbacks": [BreakValidation()]}
    with pytest.raises(KeyboardInterrupt):
        survivor.fit(vectors(64), batch_size=16, verbose=0, **kwargs)
    # The whole epoch before it has been learnt.
    assert int(as_numpy([survivor.optimizer.iterations])[0]) == steps + 4
    still_works(survivor)


@pytest.mark.once
def test_the_seed_is_that_of_the_initial_weights_too():
    def weights(seed):
        model = keras_gud.GUD(schedule="cosine", backbone="tiny", seed=seed)
        model.adapt(np.random.default_rng(0).normal(size=(32, 3)), verbose=0)
        return np.concatenate([np.ravel(keras.ops.convert_to_numpy(w)) for w in model.weights])

    before = random.getstate()
    first, same, other = weights(3), weights(3), weights(4)
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)
    assert random.getstate() == before
