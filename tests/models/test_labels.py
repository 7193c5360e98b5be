"""A model with classes: what it generates for each, guidance, saving, the labels it hides."""

import keras
import numpy as np
import pytest
from helpers.tiny_model import as_numpy, assert_same, everything
from keras import ops

import keras_gud
from keras_gud import NoisingState
from keras_gud.conditioning import Conditions

CENTRES = np.array([[2.0, 0.0, -1.0], [-2.0, 1.0, -1.0]])
SPREAD = 0.5


def pairs(n=512, seed=0):
    """Vectors around one of two centres, and which one."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    return (CENTRES[y] + SPREAD * rng.normal(size=(n, 3))).astype("float32"), y


def make(**kwargs):
    keras.utils.set_random_seed(5)
    kwargs = {"schedule": "cosine", "backbone": "tiny", "classes": 2, "seed": 3} | kwargs
    return keras_gud.GUD(**kwargs)


@pytest.fixture(scope="module")
def trained():
    model = make(ema_decay=0.98, data_scale="range")
    epochs, batches = 40, 16
    rate = keras.optimizers.schedules.CosineDecay(5e-3, epochs * batches)
    model.compile(keras.optimizers.Adam(rate))
    model.fit(*pairs(64 * batches), batch_size=64, epochs=epochs, verbose=0)
    return model


@pytest.fixture(scope="module")
def briefly():
    """One that has learned enough for labels to matter, not more."""
    model = make()
    model.compile(keras.optimizers.Adam(3e-3))
    model.fit(*pairs(128), batch_size=32, epochs=4, verbose=0)
    return model


@pytest.mark.once
def test_each_class_is_generated_when_asked_for(trained):
    asked = np.arange(400) % 2
    x = trained.sample(400, asked, steps=60, seed=0, batch_size=150)
    for label, centre in enumerate(CENTRES):
        np.testing.assert_allclose(x[asked == label].mean(0), centre, atol=0.15)
        np.testing.assert_allclose(x[asked == label].std(0), SPREAD, atol=0.15)


@pytest.mark.once
def test_without_labels_all_data_are_generated(trained):
    x = trained.sample(400, steps=60, seed=0, batch_size=150)
    share = (x[:, 0] > 0).mean()
    assert 0.3 < share < 0.7
    for side, centre in ((x[:, 0] > 0, CENTRES[0]), (x[:, 0] < 0, CENTRES[1])):
        np.testing.assert_allclose(x[side].mean(0), centre, atol=0.4)


@pytest.mark.once
def test_guidance_0_is_the_unconditional_and_1_the_conditional_sample(trained):
    def sample(*args):
        return trained.sample(6, *args, steps=10, seed=1, batch_size=3)

    np.testing.assert_array_equal(sample(1, 0.0), sample())
    np.testing.assert_array_equal(sample(1, 1.0), sample(1))
    assert np.abs(sample(1) - sample()).max() > 0.5


@pytest.mark.once
def test_guidance_may_differ_from_sample_to_sample(trained):
    """Both ends also come out where the network is evaluated twice."""
    strengths = [0.0, 1.0, 2.0]
    mixed = trained.sample(6, 0, np.tile(strengths, 2), steps=10, seed=1, batch_size=3)
    for i, strength in enumerate(strengths):
        alone = trained.sample(6, 0, strength, steps=10, seed=1, batch_size=3)
        np.testing.assert_allclose(mixed[i::3], alone[i::3], atol=1e-3)
        assert np.abs(mixed[(i + 1) % 3 :: 3] - alone[(i + 1) % 3 :: 3]).max() > 1e-2


@pytest.mark.once
def test_more_guidance_pushes_further(trained):
    means = [trained.sample(150, 0, w, steps=30, seed=0)[:, 0].mean() for w in (0, 0.5, 1, 2)]
    assert means[0] < means[1] - 0.2 < means[2] - 0.4
    assert means[2] < means[3] - 0.02


@pytest.mark.once
def test_the_guided_estimate(trained):
    rng = np.random.default_rng(0)
    z = ops.convert_to_tensor(rng.normal(size=(4, 3)).astype("float32"))
    state = NoisingState(ops.convert_to_tensor(rng.normal(size=(4, 1)).astype("float32")))
    told = {"label": ops.convert_to_tensor(np.array([0, 1, 1, 0], "int32"))}
    strength = np.array([0.5, 2.0, -1.0, 3.0], "float32")

    def eps(**condition):
        return ops.convert_to_numpy(trained.denoiser(z, state, **condition))

    null, label = eps(), eps(**told)
    expected = (1 - strength[:, None]) * null + strength[:, None] * label
    guided = eps(**told, guidance=ops.convert_to_tensor(strength))
    np.testing.assert_allclose(guided, expected, atol=1e-4)
    assert np.abs(label - null).max() > 0.1


@pytest.mark.once
def test_a_sample_depends_on_its_seed_index_and_label_alone(trained):
    asked = np.arange(7) % 2
    whole = trained.sample(7, asked, 2.0, steps=10, seed=4)
    for n in (7, 3):
        part = trained.sample(n, asked[:n], 2.0, steps=10, seed=4, batch_size=3)
        np.testing.assert_allclose(part, whole[:n], atol=1e-3)
    for labels_of_all in (1, [1] * 7, np.ones((7, 1), int)):
        every = trained.sample(7, labels_of_all, steps=10, seed=4, batch_size=3)
        mixed = trained.sample(7, asked, steps=10, seed=4, batch_size=3)
        np.testing.assert_allclose(every[asked == 1], mixed[asked == 1], atol=1e-3)


@pytest.mark.once
def test_denoise_is_told_labels(trained):
    """Where most is noise, the best guess is near the centre of the class."""
    noisy = NoisingState(ops.full((1, 1), 2.0))
    x = np.zeros((2, 3), "float32")
    guess = ops.convert_to_numpy(trained.denoise(x, noisy, labels=[0, 1]))
    np.testing.assert_allclose(guess[:, 0], CENTRES[:, 0], atol=0.5)
    middle = ops.convert_to_numpy(trained.denoise(x, noisy))
    assert guess[1, 0] + 0.4 < middle[0, 0] < guess[0, 0] - 0.4


@pytest.mark.once
def test_a_label_shortens_the_description_of_an_example(trained):
    x, y = pairs(200, seed=1)
    right, wrong, none = (
        trained.elbo(x, told, draws=8)["bits_per_dim"] for told in (y, 1 - y, None)
    )
    assert right.mean() < none.mean() - 0.1
    assert none.mean() < wrong.mean()
    of_0 = trained.elbo(x, 0, draws=8)["bits_per_dim"]
    np.testing.assert_allclose(of_0[y == 0], right[y == 0], rtol=1e-4)


@pytest.mark.once
def test_predict_takes_labels_from_a_dictionary_and_else_none(trained):
    x, y = pairs(20, seed=1)
    told = trained.predict({"x": x, "label": y}, verbose=0)
    np.testing.assert_allclose(told, trained.elbo(x, y)["bits_per_dim"], rtol=1e-5)
    np.testing.assert_allclose(
        trained.predict(x, verbose=0), trained.elbo(x)["bits_per_dim"], rtol=1e-5
    )


@pytest.mark.once
def test_evaluation_hides_no_label(trained):
    x, y = pairs(300, seed=1)
    right, wrong = (trained.evaluate(x, y_, verbose=0)[0] for y_ in (y, 1 - y))
    assert trained.evaluate(x, y, batch_size=70, verbose=0)[0] == pytest.approx(right, rel=1e-5)
    assert right < wrong - 0.1


def test_saved_and_loaded(briefly, tmp_path):
    briefly.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert (loaded.classes, loaded.conditions.kinds[0].dropout) == (2, 0.1)
    samples = [m.sample(3, [0, 1, 1], 2.0, steps=3, seed=0) for m in (briefly, loaded)]
    np.testing.assert_allclose(*samples, atol=1e-5)
    assert_same(everything(loaded), everything(briefly))


@pytest.mark.once
def test_a_configuration_of_before_there_were_labels():
    config = make(classes=None).get_config()
    del config["classes"], config["label_dropout"]
    assert keras_gud.GUD.from_config(config).classes is None


def test_training_in_two_calls_is_the_same_as_in_one():
    (x, y), results = pairs(48), []
    for stops in ([3], [2, 3]):
        model = make(label_dropout=0.5)
        for start, stop in zip([0, *stops], stops, strict=False):
            model.fit(x, y, batch_size=16, epochs=stop, initial_epoch=start, verbose=0)
        results.append(everything(model))
    assert_same(*results)


# -- labels hidden in training ---------------------------------------------------------------------


def for_loss(label, dropout, classes=4):
    seed = keras.random.SeedGenerator(0)
    before = as_numpy([seed.state])[0]
    uniform = lambda shape: keras.random.uniform((len(label), *shape), seed=seed)  # noqa: E731
    conditions = Conditions.of(None, classes, dropout or 0.0)
    conditions.build((4,), {})
    given = {} if label is None else {"label": label}
    told = conditions.for_training(given, None if dropout is None else uniform)
    drawn = (as_numpy([seed.state])[0] != before).any()
    return {k: ops.convert_to_numpy(v) for k, v in told.items()}, drawn


@pytest.mark.once
@pytest.mark.parametrize("rate", [0.0, 0.25, 0.9])
def test_the_share_of_hidden_labels(rate):
    label = np.arange(8000) % 4
    told, drawn = for_loss(label, rate)
    hidden = told["label"] == 4
    assert drawn
    assert hidden.mean() == pytest.approx(rate, abs=0.02)
    np.testing.assert_array_equal(told["label"][~hidden], label[~hidden])
    for k in range(4):  # whatever the label
        assert hidden[label == k].mean() == pytest.approx(rate, abs=0.04)


@pytest.mark.once
def test_nothing_is_drawn_without_need():
    label = np.arange(4)
    told, drawn = for_loss(label, None)
    assert not drawn
    np.testing.assert_array_equal(told["label"], label)
    assert for_loss(None, 0.5, classes=None) == ({}, False)


# -- networks of one's own -------------------------------------------------------------------------


@keras.saving.register_keras_serializable(package="keras_gud_tests")
class Offsets(keras.layers.Layer):
    """One vector for each label."""

    def __init__(self, classes=2, **kwargs):
        super().__init__(**kwargs)
        self.classes = classes

    def build(self, input_shape):
        self.offsets = self.add_weight(shape=(self.classes + 1, input_shape[0][-1]))

    def call(self, inputs):
        y, _, label = inputs
        return ops.take(self.offsets, label, axis=0) + 0.0 * y


@pytest.mark.once
def test_a_network_of_ones_own_is_told_labels_last():
    model = make(backbone=Offsets(), prediction="eps")
    model.adapt(pairs()[0], verbose=0)
    z, state = ops.zeros((3, 3)), NoisingState(ops.zeros((1, 1)))
    told = ops.convert_to_tensor(np.array([1, 0, 2], "int32"))
    eps = ops.convert_to_numpy(model.denoiser(z, state, label=told))
    np.testing.assert_allclose(eps, as_numpy([model.network.offsets])[0][[1, 0, 2]], atol=1e-6)
