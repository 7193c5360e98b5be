"""A model conditioned on vectors, sequences and images: training, sampling, likelihoods, files."""

import keras
import numpy as np
import pytest
from helpers.networks import as_numpy, perturb
from keras import ops

import keras_gud
from keras_gud.conditioning import Image, Sequence, Vector

RNG = np.random.default_rng(0)
N = 24
X = RNG.normal(size=(N, 4, 4, 1)).astype("float32")
GIVEN = {
    "place": RNG.normal(1e4, 1e3, size=(N, 2)).astype("float32"),
    "words": RNG.normal(size=(N, 3, 5)).astype("float32"),
    "sketch": RNG.integers(0, 256, size=(N, 2, 2, 1)).astype("uint8"),
    "label": RNG.integers(0, 3, N),
}
MASK = RNG.random((N, 3)) < 0.7
HOW = {"steps": 2, "seed": 0}


def make(**kwargs):
    kinds = {"place": Vector(), "words": Sequence(), "sketch": Image()}
    network = keras_gud.backbones.UNet(
        widths=(4,),
        blocks=1,
        heads=1,
        embedding_dim=8,
        classes=3,
        conditions={name: kind.kind for name, kind in kinds.items()},
    )
    return keras_gud.GUD(
        backbone=network, condition=kinds, classes=3, schedule="cosine", seed=0, **kwargs
    )


@pytest.fixture(scope="module")
def model():
    """Trained for a step; its averaged weights are random, so that all that is given matters."""
    made = make()
    made.fit({"x": X, "words_mask": MASK} | GIVEN, batch_size=N, verbose=0)
    perturb(made.network)
    for average, weight in zip(made.ema.average, made.network.trainable_weights, strict=True):
        average.assign(as_numpy(weight))
    return made


def rows(which):
    return {name: value[which] for name, value in GIVEN.items()}


# -- data ------------------------------------------------------------------------------------------


def stream(batch):
    yield batch


FORMS = {
    "y beside an array": lambda: (X, GIVEN),
    "a dict of arrays": lambda: ({"image": X} | GIVEN,),
    "a generator of x, y": lambda: (stream((X, GIVEN)),),
    "a generator of dicts": lambda: (stream({"x": X} | GIVEN),),
}


@pytest.mark.once
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_data_trains_alike(form):
    losses = []
    for arguments in (FORMS["a dict of arrays"](), FORMS[form]()):
        made = make()
        history = made.fit(*arguments, batch_size=N, shuffle=False, verbose=0)
        losses.append(history.history["loss"][0])
        statistics = [ops.convert_to_numpy(v) for v in made.conditions.variables]
        np.testing.assert_allclose(statistics[0], GIVEN["place"].mean(axis=0), rtol=1e-6)
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


@pytest.mark.once
def test_a_single_condition_stands_beside_the_data():
    made = keras_gud.GUD(condition="vector", backbone="tiny", seed=0)
    made.fit(X, GIVEN["place"], validation_split=0.5, verbose=0)
    assert made.sample(2, condition=GIVEN["place"][:2], **HOW).shape == (2, 4, 4, 1)


# -- sampling --------------------------------------------------------------------------------------


def test_a_sample_is_a_function_of_what_it_is_given(model):
    some = model.sample(3, condition=rows(slice(3)), **HOW)
    one = model.sample(2, condition=rows(slice(2)), batch_size=1, **HOW)
    np.testing.assert_allclose(some[:2], one, atol=1e-5)
    for name in GIVEN:
        changed = rows(slice(3)) | {name: GIVEN[name][3:6]}
        assert np.abs(model.sample(3, condition=changed, **HOW) - some).max() > 1e-4, name


@pytest.mark.once
def test_one_row_is_that_of_all(model):
    same = {name: np.repeat(value[:1], 2, axis=0) for name, value in GIVEN.items()}
    expected = model.sample(2, condition=same, **HOW)
    found = model.sample(2, condition=rows(0) | {"label": GIVEN["label"][:1].repeat(2)}, **HOW)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_padding_changes_nothing(model):
    """A sequence of another length, whose further elements a mask hides."""
    words = GIVEN["words"][:2]
    padded = np.concatenate([words, np.full((2, 4, 5), 9.0, "float32")], axis=1)
    mask = np.arange(7)[None] < np.array([[3], [3]])
    given = rows(slice(2))
    expected = model.sample(2, condition=given, **HOW)
    found = model.sample(2, condition=given | {"words": padded, "words_mask": mask}, **HOW)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_guidance_is_linear_in_its_strength(model):
    """Of a single estimate: without, with, and beyond."""
    state = model.schedule(0.5)
    given = keras_gud.conditioning.given.sampling_condition
    z = ops.convert_to_tensor(X[:2])

    def eps(guidance, **how):
        told = given(model.conditions, 2, condition=rows(slice(2)), guidance=guidance, **how)
        told = {name: ops.convert_to_tensor(value) for name, value in told.items()}
        return ops.convert_to_numpy(model.denoiser(z, state, **told))

    without, within, beyond = eps(0.0), eps(1.0), eps(3.0)
    np.testing.assert_allclose(beyond, without + 3.0 * (within - without), atol=1e-4)
    np.testing.assert_allclose(eps(3.0, interval=(0.6, 0.9)), within, atol=1e-5)
    np.testing.assert_allclose(eps(3.0, interval=(0.4, 0.9)), beyond, atol=1e-5)
    place = eps({"place": 0.0})
    others = {name: value for name, value in rows(slice(2)).items() if name != "place"}
    told = given(model.conditions, 2, condition=others)
    told = {name: ops.convert_to_tensor(value) for name, value in told.items()}
    expected = ops.convert_to_numpy(model.denoiser(z, state, **told))
    np.testing.assert_allclose(place, expected, atol=1e-5)


@pytest.mark.once
def test_a_weaker_model_guides(model):
    given = {"condition": rows(slice(2))} | HOW
    own = model.sample(2, **given)
    same = model.sample(2, guidance_model=model, guidance=4.0, **given)
    np.testing.assert_allclose(same, own, atol=1e-4)
    weaker = make()
    weaker.adapt({"x": X} | GIVEN, verbose=0)  # an untrained one
    np.testing.assert_allclose(
        model.sample(2, guidance_model=weaker, guidance=1.0, **given), own, atol=1e-4
    )
    assert np.abs(model.sample(2, guidance_model=weaker, guidance=2.0, **given) - own).max() > 1e-3


# -- likelihoods, tasks, files ---------------------------------------------------------------------


def test_the_bound_is_that_of_what_is_given(model):
    beside = model.elbo(X[:4], condition=rows(slice(4)), draws=2)["bits_per_dim"]
    within = model.elbo({"x": X[:4]} | rows(slice(4)), draws=2)["bits_per_dim"]
    without = model.elbo(X[:4], draws=2)["bits_per_dim"]
    np.testing.assert_allclose(beside, within, rtol=1e-5)
    assert np.abs(beside - without).max() > 1e-3


def test_tasks_are_told(model):
    how = {"steps": 2, "seed": 0}
    given, others = (
        keras_gud.tasks.complete(model, X[:2], 0.5, condition=rows(which), **how)
        for which in (slice(2), slice(2, 4))
    )
    assert np.abs(given - others).max() > 1e-4


@pytest.mark.filterwarnings("ignore")
def test_saved_and_loaded(model, tmp_path):
    model.save(tmp_path / "m.keras")
    loaded = keras_gud.load(tmp_path / "m.keras")
    given = {"condition": rows(slice(2))} | HOW
    np.testing.assert_array_equal(loaded.sample(2, **given), model.sample(2, **given))


@pytest.mark.once
def test_the_configuration_makes_the_same_model():
    made = make()
    again = keras_gud.GUD.from_config(made.get_config())
    assert again.conditions.names == made.conditions.names == ("label", "place", "words", "sketch")
    assert [type(kind) for kind in again.conditions.kinds] == [
        type(kind) for kind in made.conditions.kinds
    ]


# -- exact -----------------------------------------------------------------------------------------

MAP = np.array([[1.0, 0.5], [-0.5, 2.0]])
WIDTH = 0.6


@keras.saving.register_keras_serializable(package="keras_gud_tests")
class LinearGaussian(keras.layers.Layer):
    """The mean of clean data given the noised ones and c, for data N(MAP c, WIDTH^2)."""

    conditions = {"condition": "vector"}

    def build(self, shapes):
        self.map = self.add_weight(shape=(2, 2), name="map", initializer="zeros")
        self.offset = self.add_weight(shape=(2,), name="offset", initializer="zeros")
        self.width = self.add_weight(shape=(), name="width", initializer="ones")

    def call(self, inputs):
        y, tokens, given = inputs
        gamma = tokens[:, 0, :1]
        alpha, noise = ops.sigmoid(-gamma), ops.sigmoid(gamma)
        mean = ops.matmul(given[:, :2], self.map) + self.offset
        mean, variance = mean * given[:, 2:], ops.square(self.width)
        gain = ops.sqrt(alpha) * variance / (alpha * variance + noise)
        return mean + gain * (y - ops.sqrt(alpha) * mean)


@pytest.mark.once
def test_a_linear_condition_gives_conditional_densities_and_means():
    c = RNG.normal(3.0, 2.0, size=(4096, 2))
    x = c @ MAP.T + WIDTH * RNG.normal(size=c.shape)
    made = keras_gud.GUD(
        schedule=keras_gud.schedules.Cosine(gamma_max=16.0),  # N(0, 1) holds at t = 1
        backbone=LinearGaussian(),
        prediction="x0",
        data_scale="none",
        condition="vector",
        seed=0,
    )
    made.adapt({"x": x.astype("float32"), "condition": c}, verbose=0)
    told, prior = made.conditions.kinds[0], made.prior
    centre, scale = (ops.convert_to_numpy(v) for v in (told.centre, told.scale))
    mean, size = (ops.convert_to_numpy(v) for v in (prior.mean, prior.scale))
    network = made.network
    network.map.assign((MAP * scale).T / size)
    network.offset.assign((MAP @ centre - mean) / size)
    network.width.assign(WIDTH / np.mean(size))
    for average, weight in zip(made.ema.average, network.trainable_weights, strict=True):
        average.assign(as_numpy(weight))
    found = made.log_prob(x[:16].astype("float32"), condition=c[:16], start="prior")["log_prob"]
    expected = -0.5 * np.sum((x - c @ MAP.T)[:16] ** 2, axis=1) / WIDTH**2
    expected -= np.log(2 * np.pi * WIDTH**2)
    np.testing.assert_allclose(found, expected, atol=0.01)
    drawn = made.sample(4000, condition=c[0], seed=0, steps=30)
    np.testing.assert_allclose(drawn.mean(axis=0), MAP @ c[0], atol=5 * WIDTH / 4000**0.5)


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.once
@pytest.mark.parametrize(
    ("fit", "message"),
    [
        (lambda: (X,), "'label', 'place', 'words', 'sketch' with the data"),
        (lambda: (X, GIVEN["place"]), "as a dictionary"),
        (lambda: (X, GIVEN | {"place": GIVEN["place"][:5]}), "24 examples with 5 rows"),
        (lambda: (X, {k: v for k, v in GIVEN.items() if k != "words"}), "'words' with the data"),
        (lambda: (stream((X, GIVEN | {"words": GIVEN["words"][0]})),), "'words' to be numbers"),
        (lambda: (stream({"x": X}),), "'place'"),
        (lambda: (X, GIVEN | {"plcae": GIVEN["place"]}), "Received: 'plcae'. Did you.*'place'"),
    ],
)
def test_data_that_cannot_be_used(fit, message):
    made = make()
    with pytest.raises(ValueError, match=message):
        made.fit(*fit(), verbose=0)
    assert not made.built


@pytest.mark.once
def test_a_condition_for_a_model_without():
    made = keras_gud.GUD(schedule="cosine", backbone="tiny")
    made.adapt(X, verbose=0)
    with pytest.raises(ValueError, match="made without one"):
        made.sample(2, condition=GIVEN["place"][:2])


@pytest.mark.once
def test_an_unknown_kind():
    with pytest.raises(ValueError, match="Did you mean 'vector'"):
        keras_gud.GUD(condition="vectors")


@pytest.mark.once
def test_a_network_that_is_not_given_them():
    made = keras_gud.GUD(backbone=keras_gud.backbones.get("tiny"), condition="vector")
    with pytest.raises(ValueError, match="attribute conditions = {'condition': 'vector'}"):
        made.fit(X, GIVEN["place"], verbose=0)


@pytest.mark.once
def test_a_guiding_model_of_other_data(model):
    other = keras_gud.GUD(schedule="cosine", backbone="tiny")
    other.adapt(X[:, :2], verbose=0)
    with pytest.raises(ValueError, match="`guidance_model` of the same basis"):
        model.sample(2, guidance_model=other)


@pytest.mark.once
def test_an_exported_sampler_of_them_is_refused(model, tmp_path):
    with pytest.raises(ValueError, match="without conditions but labels"):
        model.export_sampler(tmp_path / "sampler")
