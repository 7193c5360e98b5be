"""What users of Keras do: every argument does what Keras says, or is refused by name."""

import inspect
import warnings

import keras
import numpy as np
import pytest
from helpers.marks import once
from helpers.one_weight import OneWeightPerValue
from keras import ops

import keras_gud

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 5)).astype("float32")
Y = np.arange(48) % 3

# Every argument of Keras' methods, and what becomes of it: "ours" is in our signature, "keras" is
# handed on, "refused" raises by name. One that is new in Keras has to be decided on.
ARGUMENTS = {
    "fit": {
        "ours": "x y batch_size epochs verbose callbacks validation_split validation_data shuffle "
        "class_weight sample_weight",
        "keras": "initial_epoch steps_per_epoch validation_steps validation_batch_size "
        "validation_freq",
    },
    "evaluate": {
        "ours": "x y batch_size sample_weight",
        "keras": "verbose steps callbacks return_dict kwargs",
    },
    "predict": {"ours": "x batch_size verbose steps callbacks"},
    "compile": {
        "ours": "optimizer loss metrics weighted_metrics",
        "keras": "run_eagerly steps_per_execution jit_compile auto_scale_loss",
        "refused": "loss_weights",
    },
    "save": {"ours": "filepath overwrite", "keras": "zipped kwargs"},
    "save_weights": {"ours": "filepath overwrite", "keras": "max_shard_size"},
    "load_weights": {"ours": "filepath", "keras": "skip_mismatch kwargs"},
    "quantize": {"refused": "mode config filters kwargs"},
    "export": {"refused": "filepath format verbose input_signature kwargs"},
    "get_build_config": {},
    "build_from_config": {"ours": "config"},
}


def make(backbone=None, **arguments):
    arguments = {"schedule": "cosine", "seed": 0} | arguments
    return keras_gud.GUD(backbone=backbone or OneWeightPerValue(), **arguments)


def dense_network():
    """Two layers that know how to enable LoRA, called with y and the tokens."""
    keras.utils.set_random_seed(0)
    y, tokens = keras.Input((5,)), keras.Input((1, 3))
    h = keras.layers.Dense(8, activation="silu")(
        keras.layers.Concatenate()([y, keras.layers.Flatten()(tokens)])
    )
    return keras.Model([y, tokens], keras.layers.Dense(5)(h))


def values(variables):
    return [np.array(ops.convert_to_numpy(v)) for v in variables]


@pytest.mark.once
@pytest.mark.parametrize("method", ARGUMENTS)
def test_every_argument_of_keras_is_decided_on(method):
    decided = {name for names in ARGUMENTS[method].values() for name in names.split()}
    known = set(inspect.signature(getattr(keras.Model, method)).parameters) - {"self"}
    assert known <= decided
    ours = inspect.signature(getattr(keras_gud.GUD, method)).parameters
    assert set(ARGUMENTS[method].get("ours", "").split()) <= set(ours)
    if "keras" in ARGUMENTS[method]:
        assert any(p.kind is p.VAR_KEYWORD for p in ours.values())


def test_class_weight_is_the_sample_weight_of_its_classes():
    def trained(**weights):
        model = make(backbone=dense_network())
        history = model.fit(X, Y, epochs=2, batch_size=16, verbose=0, **weights).history
        return history["loss"], values(model.network.trainable_variables)

    classes = {0: 2.0, 1: 0.0}
    by_class, by_sample, unweighted = (
        trained(class_weight=classes),
        trained(sample_weight=np.array([2.0, 0.0, 1.0])[Y]),
        trained(),
    )
    assert by_class[0] == by_sample[0]
    for one, other, plain in zip(by_class[1], by_sample[1], unweighted[1], strict=True):
        np.testing.assert_array_equal(one, other)
        assert not np.array_equal(one, plain)


@pytest.mark.once
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"x": X, "class_weight": {0: 1.0}}, "labels beside `class_weight`"),
        ({"x": X, "y": Y, "class_weight": {0: -1.0}}, "numbers >= 0"),
        ({"x": X, "y": Y, "class_weight": [1.0, 2.0]}, "a dict from classes"),
        ({"x": iter([X]), "class_weight": {0: 1.0}}, "beside arrays only"),
    ],
)
def test_class_weights_that_cannot_be(arguments, said):
    with pytest.raises(ValueError, match=said):
        make().fit(**arguments, verbose=0)


def test_the_average_follows_a_network_with_lora():
    model = make(backbone=dense_network())
    model.fit(X, epochs=2, batch_size=16, verbose=0)
    before, averages = model.sample(4, steps=3, seed=0), values(model.ema.average)
    for layer in model.network.layers:
        if isinstance(layer, keras.layers.Dense):
            layer.enable_lora(2)
    # What LoRA adds begins at nothing: samples are those of before.
    np.testing.assert_allclose(model.sample(4, steps=3, seed=0), before, atol=1e-5)
    model.compile(keras.optimizers.Adam(1e-2))
    kernels = values(layer._kernel for layer in model.network.layers if hasattr(layer, "_kernel"))
    model.fit(X, epochs=2, batch_size=16, verbose=0)
    after = values(layer._kernel for layer in model.network.layers if hasattr(layer, "_kernel"))
    for old, new in zip(kernels, after, strict=True):
        np.testing.assert_array_equal(old, new)  # frozen
    assert len(model.ema.average) == len(averages) + 4
    assert not np.allclose(model.sample(4, steps=3, seed=0), before, atol=1e-5)
    with pytest.raises(ValueError, match=r"2 layers with `enable_lora`"):
        model.save("model.keras")


@pytest.mark.once
def test_an_optimizer_of_other_weights_starts_anew():
    model = make(backbone=dense_network())
    model.fit(X, batch_size=16, verbose=0)
    model.network.layers[-1].enable_lora(2)
    with pytest.warns(UserWarning, match="which starts anew"):
        history = model.fit(X, batch_size=16, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.once
def test_quantize_is_refused_before_anything_is_spoiled():
    model = make(backbone=dense_network())
    model.fit(X, batch_size=16, verbose=0)
    before = model.sample(2, steps=3, seed=0)
    with pytest.raises(ValueError, match=r"Expected float weights.*mixed_bfloat16"):
        model.quantize("int8")
    np.testing.assert_array_equal(model.sample(2, steps=3, seed=0), before)


@pytest.mark.parametrize("way", ["from_config", "again"])
def test_built_from_configs_and_weights(way, tmp_path):
    model = make(backbone="tiny", basis="pca")
    model.fit(X, batch_size=16, verbose=0)
    model.save_weights(tmp_path / "a.weights.h5")
    other = (
        keras_gud.GUD.from_config(model.get_config())
        if way == "from_config"
        else make(backbone="tiny", basis="pca")
    )
    with pytest.raises(ValueError, match="know its data before weights are loaded"):
        other.load_weights(tmp_path / "a.weights.h5")
    with pytest.raises(ValueError, match="know its data before it is built"):
        other.build((None, 5))
    other.build_from_config(model.get_build_config())
    with pytest.raises(ValueError, match=r"statistics of its data before it samples.*load_weights"):
        other.sample(2, steps=3)
    other.load_weights(tmp_path / "a.weights.h5")
    expected = model.sample(2, steps=3, seed=0)
    np.testing.assert_allclose(other.sample(2, steps=3, seed=0), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.once
def test_a_model_without_statistics_is_adapted_by_fit():
    config, built = make(backbone="tiny"), make(backbone="tiny")
    built.adapt(X, verbose=0)
    config.build_from_config(built.get_build_config())
    history = config.fit(X, batch_size=16, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert np.isfinite(config.sample(2, steps=3)).all()


@pytest.mark.once
def test_float16_scales_its_loss():
    """Of a loss so small that its gradient is 0 in float16, unless it is scaled."""
    model = make(backbone="tiny", backbone_dtype="mixed_float16")
    model.compile("sgd")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()))
    assert isinstance(model.optimizer.inner_optimizer, keras.optimizers.Adam)


def test_float16_gradients_do_not_vanish():
    """Of examples of so little weight that their gradients are 0 in float16, unless scaled."""

    def share_that_moved(scaled):
        model = make(backbone="tiny", backbone_dtype="mixed_float16")
        model.adapt(X, verbose=0)
        before = values(model.network.trainable_variables)
        model.compile(keras.optimizers.SGD(1e6), auto_scale_loss=scaled)
        model.fit(X, batch_size=48, sample_weight=np.full(48, 1e-7), verbose=0)
        pairs = zip(before, values(model.network.trainable_variables), strict=True)
        return np.mean(np.concatenate([np.ravel(old != new) for old, new in pairs]))

    assert share_that_moved(scaled=True) > 2.0 * share_that_moved(scaled=False)


@pytest.mark.parametrize("labels", once([2, [0, 2]], but=[2]))
def test_a_class_that_was_never_seen(labels):
    model = make(classes=4, backbone="tiny")
    seen = Y != 2
    model.fit(X[seen], Y[seen], batch_size=16, verbose=0)
    np.testing.assert_array_equal(values([model.objective.seen])[0], [16.0, 16.0, 0.0, 0.0])
    with pytest.warns(UserWarning, match="Class 2 did not occur in training"):
        model.sample(2, labels=labels, steps=2)


@pytest.mark.once
def test_data_without_contrast_are_scaled():
    """8-bit images of a standard deviation of 7 grey levels, by the exact denoiser of Gaussians."""
    x = np.clip(np.round(128 + 7 * RNG.normal(size=(2000, 4, 4, 1))), 0, 255).astype("uint8")
    model = make(prediction="wiener")
    model.adapt(x, verbose=0)
    samples = model.sample(500, steps=32, seed=0).astype("float64")
    assert samples.std() == pytest.approx(x.std(), rel=0.05)


def batches(n=3):
    return (X[16 * i : 16 * i + 16] for i in range(n))


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.parametrize(
    ("arguments", "epochs", "said"),
    [
        ({}, 1, "stops after 1 of 3 epochs and 3 steps"),
        ({"steps_per_epoch": 2}, 2, "stops after 2 of 3 epochs and 3 steps"),
    ],
)
def test_a_generator_that_ends_is_not_trained_on_twice(arguments, epochs, said):
    model = make()
    with pytest.warns(UserWarning, match=said):
        history = model.fit(batches(), epochs=3, verbose=0, **arguments)
    assert len(history.epoch) == epochs
    assert float(ops.convert_to_numpy(model.ema.count)) == 3


@pytest.mark.once
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_more_steps_than_there_are_batches():
    with pytest.warns(UserWarning, match=r"Epoch 1 had 3 of the 10 steps asked for"):
        make().fit(X, batch_size=16, steps_per_epoch=10, epochs=2, verbose=0)


class StopAtOnce(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = True


@pytest.mark.once
def test_an_epoch_that_is_stopped_is_not_short_of_data():
    model = make()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*steps asked for")
        model.fit(X, batch_size=16, epochs=2, verbose=0, callbacks=[StopAtOnce()])
    assert float(ops.convert_to_numpy(model.ema.count)) == 1


@pytest.mark.once
def test_a_model_says_what_it_is():
    model = make(schedule="vp")
    assert repr(model) == (
        "<GUD: basis=Pixel, prior=Isotropic, schedule=VP, backbone='OneWeightPerValue', no "
        "data seen>"
    )
    model.adapt(np.random.default_rng(0).normal(size=(16, 4)), verbose=0)
    assert repr(model).endswith("OneWeightPerValue of 4e-06M weights, data_shape=(4,)>")


@pytest.mark.once
def test_a_model_says_what_it_is_conditioned_on():
    model = keras_gud.GUD(classes=3, condition={"place": "vector"})
    assert "classes=3, condition={'place': 'vector'}, backbone=" in repr(model)
