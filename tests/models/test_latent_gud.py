"""Latent diffusion: a `GUD` of latents between an encoder and a decoder that stay as they are."""

import functools

import keras
import numpy as np
import pytest
from helpers.conditions import label_forms
from helpers.one_weight import OneWeightPerValue
from keras import ops

import keras_gud
from keras_gud.data import encoded
from keras_gud.data.source import Source

SAME = keras.layers.Rescaling(1.0)
FEW = {"steps": 4, "seed": 1}
WIDE = keras_gud.datasets.load("digits", n=40)[:, :4]  # 4 x 8 x 1, uint8
WIDE_LABELS = np.arange(40) % 3


def vectors(n=48, seed=0):
    """Vectors of six entries in a plane, and a little noise."""
    rng = np.random.default_rng(seed)
    plane = rng.normal(size=(2, 6))
    x = rng.normal(size=(n, 2)) @ plane + 0.01 * rng.normal(size=(n, 6)) + 3.0
    return x.astype("float32")


def dense(weights, bias):
    """A linear map with these weights."""
    layer = keras.layers.Dense(weights.shape[1])
    layer.build((None, weights.shape[0]))
    layer.set_weights([weights, bias])
    return layer


def principal(x, n=2):
    """Encoder and decoder by the first n principal components, and their matrix."""
    mean = x.mean(axis=0)
    axes = np.linalg.svd(x - mean)[2][:n]
    return dense(axes.T, -axes @ mean), dense(axes, mean), axes


def pooled(**kwargs):
    """Images to averages over 2 x 2 pixels in two channels, and back."""
    encoder = keras.Sequential(
        [keras.layers.AveragePooling2D(2), keras.layers.Conv2D(2, 1, name="mix")]
    )
    decoder = keras.Sequential([keras.layers.UpSampling2D(2), keras.layers.Conv2D(1, 1)])
    return make(encoder, decoder, **({"basis": "haar"} | kwargs))


def make(encoder, decoder, seed=0, **kwargs):
    """A latent model with the smallest network there is."""
    parts = {"backbone": OneWeightPerValue(), "schedule": "cosine"} | kwargs
    return keras_gud.LatentGUD(encoder, decoder, seed=seed, **parts)


def fitted(x=WIDE, *args, **kwargs):
    """A pooled model that has been trained for a moment."""
    model = pooled(**kwargs)
    model.fit(x, *args, batch_size=16, epochs=2, verbose=0)
    return model


def weights(layer):
    """Copies of a layer's weights."""
    return [np.array(ops.convert_to_numpy(w)) for w in layer.weights]


# -- against the model of the latents --------------------------------------------------------------


def test_it_is_the_model_of_the_latents_decoded():
    """Trained on what the encoder makes of data, a plain GUD has the same losses and samples."""
    x = vectors()
    encoder, decoder, axes = principal(x)
    latents = (x - x.mean(axis=0)) @ axes.T
    kwargs = {"schedule": "cosine", "prior": keras_gud.priors.Isotropic(None), "seed": 0}
    # The scale of latents is the prior's alone.
    alone = keras_gud.GUD(backbone=OneWeightPerValue(), data_scale="none", **kwargs)
    both = make(encoder, decoder), alone
    logs = [
        model.fit(given, batch_size=16, epochs=3, validation_split=0.25, verbose=0).history
        for model, given in zip(both, (x, latents), strict=True)
    ]
    for name, values in logs[1].items():
        np.testing.assert_allclose(logs[0][name], values, rtol=1e-4, err_msg=name)
    ours, theirs = (model.sample(5, **FEW) for model in both)
    assert ours.shape == (5, 6)
    np.testing.assert_allclose(ours, theirs @ axes + x.mean(axis=0), atol=1e-4)


@pytest.mark.once
def test_samples_are_those_of_the_diffusion_model_decoded():
    model = fitted()
    alone = model.diffusion()
    assert type(alone) is keras_gud.GUD
    assert model.diffusion() is alone
    latents = alone.sample(5, **FEW)
    samples = model.sample(5, **FEW)
    assert latents.shape == (5, 2, 4, 2)
    assert (samples.shape, samples.dtype) == ((5, 4, 8, 1), "uint8")
    np.testing.assert_array_equal(samples, model.from_latents(latents))
    np.testing.assert_array_equal(samples, model.sample(5, batch_size=2, **FEW))
    model.fit(WIDE, epochs=1, verbose=0)  # which the other one sees
    np.testing.assert_array_equal(
        model.sample(5, **FEW), model.from_latents(alone.sample(5, **FEW))
    )


@pytest.mark.once
def test_the_diffusion_model_is_saved_alone(tmp_path):
    alone = fitted().diffusion()
    alone.save(tmp_path / "alone.keras")
    loaded = keras.saving.load_model(tmp_path / "alone.keras")
    np.testing.assert_array_equal(loaded.sample(2, **FEW), alone.sample(2, **FEW))


@pytest.mark.once
def test_units_of_8_bit_data():
    model = make(keras.layers.Rescaling(1.0), keras.layers.Rescaling(1.0))
    model.adapt(WIDE, verbose=0)
    latents = model.to_latents(WIDE)
    np.testing.assert_allclose(latents, (WIDE + 0.5) / 128.0 - 1.0, atol=1e-6)
    np.testing.assert_array_equal(model.from_latents(latents), WIDE)
    assert model.from_latents(np.full((1, 4, 8, 1), 9.0)).max() == 255


@pytest.mark.once
def test_states_on_the_way_are_decoded():
    samples, path = fitted().sample(2, states=2, **FEW)
    assert path.shape == (3, *samples.shape)
    assert path.dtype == "uint8"


@pytest.mark.once
def test_noise_of_data_and_back():
    x = vectors()
    encoder, decoder, _ = principal(x)
    model = make(encoder, decoder)
    model.adapt(x, verbose=0)
    noise = model.to_noise(x[:4])
    assert noise.shape == (4, 2)
    np.testing.assert_allclose(
        model.from_noise(noise), model.from_latents(model.to_latents(x[:4])), atol=2e-2
    )
    assert model.interpolate(x[0], x[1], n=3).shape == (3, 6)


@pytest.mark.once
def test_the_scale_of_the_latents_does_not_matter():
    """No scale factor: the prior measures it."""
    x = vectors()
    encoder, decoder, axes = principal(x)
    mean = x.mean(axis=0)
    large = dense(100.0 * axes.T, -100.0 * axes @ mean), dense(axes / 100.0, mean)
    losses, samples = [], []
    for pair in ((encoder, decoder), large):
        model = make(*pair, schedule="linear")
        losses.append(model.fit(x, epochs=2, verbose=0).history["loss"])
        samples.append(model.sample(4, **FEW))
    np.testing.assert_allclose(*losses, rtol=1e-4)
    np.testing.assert_allclose(*samples, atol=1e-3)


@pytest.mark.once
def test_priors_that_are_given_stay():
    """Also those of a preset."""
    for kwargs in ({"preset": "edm"}, {"prior": "isotropic"}, {"prior": "matching"}):
        expected = keras_gud.GUD(**kwargs).prior.get_config() | {"name": ""}
        model = keras_gud.LatentGUD(SAME, SAME, **kwargs)
        assert model.prior.get_config() | {"name": ""} == expected


# -- training --------------------------------------------------------------------------------------


@pytest.mark.once
def test_training_lowers_the_loss_and_leaves_the_autoencoder_alone():
    model = pooled()
    encoder, decoder = model.encoder, model.decoder
    model.adapt(WIDE, verbose=0)
    before = weights(encoder) + weights(decoder)
    first = model.evaluate(WIDE, verbose=0)[0]
    model.compile(keras.optimizers.Adam(0.02))
    model.fit(WIDE, batch_size=8, epochs=10, verbose=0)
    assert model.evaluate(WIDE, verbose=0)[0] < 0.97 * first
    assert len(before) == 4
    for old, new in zip(before, weights(encoder) + weights(decoder), strict=True):
        np.testing.assert_array_equal(new, old)
    frozen = {id(w) for layer in (encoder, decoder) for w in layer.weights}
    assert not frozen & {id(w) for w in model.weights}
    assert encoder.trainable  # as its owner left it


def test_labels_and_guidance():
    network = OneWeightPerValue()
    network.classes = 3
    model = pooled(classes=3, backbone=network)
    model.fit(WIDE, WIDE_LABELS, batch_size=16, validation_data=(WIDE, WIDE_LABELS), verbose=0)
    samples = model.sample(3, labels=[0, 1, 2], guidance=2.0, **FEW)
    alone = model.diffusion().sample(3, labels=[0, 1, 2], guidance=2.0, **FEW)
    np.testing.assert_array_equal(samples, model.from_latents(alone))
    model.fit({"image": WIDE, "label": WIDE_LABELS}, verbose=0)
    with pytest.raises(ValueError, match="Expected labels, integers from 0 to 2"):
        model.fit(WIDE, verbose=0)


class Batches(keras.utils.PyDataset):
    """The images with labels and weights, eight at a time."""

    def __len__(self):
        return 5

    def __getitem__(self, index):
        rows = slice(8 * index, 8 * index + 8)
        return WIDE[rows], WIDE_LABELS[rows], np.ones(len(WIDE[rows]), "float32")


def tf_data(known=True):
    """The same as a `tf.data.Dataset`, whose length may have to be counted."""
    tf = pytest.importorskip("tensorflow")
    ds = tf.data.Dataset.from_tensor_slices({"image": WIDE, "label": WIDE_LABELS})
    return ds.batch(8) if known else ds.filter(lambda _: True).batch(8)


def loader():
    """The same as a `DataLoader`."""
    torch = pytest.importorskip("torch")
    rows = torch.utils.data.TensorDataset(torch.tensor(WIDE), torch.tensor(WIDE_LABELS))
    return torch.utils.data.DataLoader(rows, batch_size=8)


STREAMS = {
    "PyDataset": lambda: Batches(),
    "tf.data": tf_data,
    "tf.data of unknown length": lambda: tf_data(known=False),
    "DataLoader": loader,
    "generator": lambda: (Batches()[i % 5] for i in range(5 * 2)),
}


CASES = [(name, 3) for name in STREAMS] + [("tf.data", None), ("DataLoader", None)]


@functools.cache
def trained_on_the_array(classes):
    """The layers, the losses and the weights of a model that was trained on the array."""
    autoencoder = pooled()
    return autoencoder, *trained(autoencoder, classes, WIDE, y=WIDE_LABELS, batch_size=8)


def trained(autoencoder, classes, x, **kwargs):
    """The losses and the weights of a model that sees the data in their order."""
    network = OneWeightPerValue()
    if classes:
        network.classes = classes
    parts = {"classes": classes, "label_dropout": 0.5, "backbone": network}
    model = make(autoencoder.encoder, autoencoder.decoder, **parts)
    kwargs = {"validation_data": (WIDE, WIDE_LABELS)} | kwargs
    history = model.fit(x, epochs=2, shuffle=False, verbose=0, **kwargs)
    return history.history, weights(model)


@pytest.mark.once
@pytest.mark.parametrize(("name", "classes"), CASES)
def test_streams_train_as_the_array_does(name, classes):
    autoencoder, expected_logs, expected = trained_on_the_array(classes)
    kwargs = {"steps_per_epoch": 5} if name == "generator" else {}
    if name != "generator":
        kwargs["validation_data"] = STREAMS[name]()
    logs, found = trained(autoencoder, classes, STREAMS[name](), **kwargs)
    for key, values in expected_logs.items():
        np.testing.assert_allclose(logs[key], values, rtol=1e-4, err_msg=key)
    for got, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.once
def test_a_stream_in_order_is_not_shuffled():
    """It cannot be: the batches come as they are, all of them."""
    autoencoder, expected_logs, _ = trained_on_the_array(None)
    model = make(autoencoder.encoder, autoencoder.decoder)
    history = model.fit(tf_data(), epochs=2, verbose=0)
    np.testing.assert_allclose(history.history["loss"], expected_logs["loss"], rtol=1e-4)


@pytest.mark.once
def test_threads_read_ahead_but_no_other_process_encodes():
    source = Source(Batches(workers=2, use_multiprocessing=True), forms=label_forms(3))
    batches = encoded.encode_stream(source, lambda x: x[:, 0, 0])
    assert (batches.workers, batches.use_multiprocessing) == (2, False)
    x, given, weight = zip(*batches, strict=True)
    np.testing.assert_array_equal(np.concatenate(x), WIDE[:, 0, 0])
    np.testing.assert_array_equal(np.concatenate([g["label"] for g in given]), WIDE_LABELS)
    np.testing.assert_array_equal(np.concatenate(weight), np.ones(40))


# -- saving ----------------------------------------------------------------------------------------


def test_a_file_holds_the_autoencoder(tmp_path):
    model = fitted()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is keras_gud.LatentGUD
    for old, new in ((model.encoder, loaded.encoder), (model.decoder, loaded.decoder)):
        assert old is not new
        for a, b in zip(weights(old), weights(new), strict=True):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(loaded.sample(3, **FEW), model.sample(3, **FEW))
    for each in (model, loaded):
        each.fit(WIDE, batch_size=16, epochs=3, initial_epoch=2, verbose=0)
    np.testing.assert_array_equal(loaded.sample(3, **FEW), model.sample(3, **FEW))


@pytest.mark.once
def test_an_interrupted_training_goes_on(tmp_path):
    autoencoder = pooled()

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def train(*callbacks):
        model = make(autoencoder.encoder, autoencoder.decoder, basis="haar")
        model.fit(WIDE, batch_size=16, epochs=4, callbacks=callbacks, verbose=0)
        return model

    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        train(backup, Stop())
    again = train(keras.callbacks.BackupAndRestore(tmp_path / "backup"))
    np.testing.assert_array_equal(again.sample(3, **FEW), train().sample(3, **FEW))


# -- what cannot be --------------------------------------------------------------------------------


@pytest.mark.once
@pytest.mark.parametrize("name", ["log_prob", "bits_per_dim", "elbo", "predict"])
def test_likelihoods_are_of_latents(name):
    model = pooled()
    model.adapt(WIDE, verbose=0)
    with pytest.raises(ValueError, match=r"Expected a question about latents.*model.diffusion\(\)"):
        getattr(model, name)(WIDE)
    if name == "elbo":
        latents = model.to_latents(WIDE)
        assert np.isfinite(model.diffusion().elbo(latents, draws=2)["bits_per_dim"]).all()


@pytest.mark.once
def test_likelihood_metrics_are_refused():
    with pytest.raises(ValueError, match="Expected a question about latents"):
        pooled().compile(metrics=[keras_gud.metrics.NegativeElbo()])


class TwoOutputs(keras.layers.Layer):
    """Mean and log-variance."""

    def call(self, x):
        return x, ops.zeros_like(x)


@pytest.mark.once
def test_something_that_is_no_layer_is_refused():
    with pytest.raises(TypeError, match=r"Expected `encoder` to be a Keras layer .* Received: enc"):
        keras_gud.LatentGUD(lambda x: x, SAME)
    with pytest.raises(TypeError, match=r"Expected `decoder` to be a Keras layer .* Received: dec"):
        keras_gud.LatentGUD(SAME, None)


@pytest.mark.once
@pytest.mark.parametrize(
    ("encoder", "decoder", "message"),
    [
        (SAME, keras.layers.UpSampling2D(2), r"`decoder` to return the shape .*\(2, 8, 16, 1\)"),
        (TwoOutputs(), SAME, r"`encoder` to return the latent, one tensor.*take the mean"),
        (keras.layers.Conv1D(2, 1), SAME, r"`encoder` to be called with .*Received: Conv1D, which"),
        (SAME, keras.layers.Conv1D(2, 1), r"`decoder` to be called with .*Received: Conv1D, which"),
        (keras.layers.AveragePooling2D(4), keras.layers.UpSampling2D(4), "haar"),
    ],
)
def test_pairs_that_do_not_fit_the_data_are_refused(encoder, decoder, message):
    with pytest.raises(ValueError, match=message):
        make(encoder, decoder, basis="haar").fit(WIDE, verbose=0)


@pytest.mark.once
def test_other_data_are_refused():
    model = pooled()
    with pytest.raises(ValueError, match="know its data before it encodes"):
        model.to_latents(WIDE)
    model.adapt(WIDE, verbose=0)
    with pytest.raises(ValueError, match="Expected uint8 data"):
        model.fit(WIDE.astype("float32"), verbose=0)
    with pytest.raises(ValueError, match=r"Expected data of shape \(batch, 4, 8, 1\)"):
        model.evaluate(WIDE[:, :2], verbose=0)
    with pytest.raises(ValueError, match=r"Expected data of shape \(batch, 2, 4, 2\)"):
        model.from_latents(WIDE.astype("float32"))


@pytest.mark.once
def test_misspelt_arguments_name_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'schedule'"):
        keras_gud.LatentGUD(SAME, SAME, shedule="cosine")
