"""Mistakes with labels: a clear error before training starts; nothing trained is lost."""

import numpy as np
import pytest
from helpers.one_weight import OneWeightPerValue
from helpers.tiny_model import as_numpy

import keras_gud
from keras_gud import backbones

pytestmark = pytest.mark.once

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 3)).astype("float32")
Y = np.arange(24) % 4
ONE_HOT = np.eye(4, dtype="int64")[Y]


def make(**kwargs):
    return keras_gud.GUD(**{"schedule": "cosine", "backbone": "tiny", "classes": 4} | kwargs)


def replaced(index, label):
    y = Y.copy()
    y[index] = label
    return y


def stream(*batches):
    yield from batches


def tf_data(*arrays):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(arrays).batch(8)


def loader(x, y):
    torch = pytest.importorskip("torch")
    rows = torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y))
    return torch.utils.data.DataLoader(rows, batch_size=8)


WITH = "because the model was made with classes=4.*Received"
MISSING, RANGE = f"Expected labels, integers .* 3, {WITH}", f"Expected labels .* 3, {WITH}: label"
BAD = {
    "no labels": (lambda: (X,), f"{MISSING}: y=None"),
    "none in a dict": (lambda: ({"image": X},), f"{MISSING}: y=None"),
    "none in a stream": (lambda: (stream(X),), f"{MISSING}: a batch without labels"),
    "none in tf.data": (lambda: (tf_data(X),), f"{MISSING}: a batch without labels"),
    "none in a later batch": (
        lambda: (stream((X[:8], Y[:8]), X[8:]),),
        f"{MISSING}: a batch without labels",
    ),
    "too large": (lambda: (X, replaced(17, 4)), f"{RANGE} 4 of example 17"),
    "negative": (lambda: (X, replaced(5, -1)), f"{RANGE} -1 of example 5"),
    "too large in a dict": (lambda: ({"x": X, "y": replaced(3, 9)},), f"{RANGE} 9 of example 3"),
    "too large in a stream": (
        lambda: (stream((X[:8], Y[:8]), (X[8:], replaced(10, 7)[8:])),),
        f"{RANGE} 7 of example 2",
    ),
    "too large in a loader": (lambda: (loader(X, replaced(17, 4)),), f"{RANGE} 4 of example 1"),
    "too large in tf.data": (lambda: (tf_data(X, replaced(2, 4)),), f"{RANGE} 4 of example 2"),
    "one-hot": (lambda: (X, ONE_HOT), r"labels of shape \(24, 4\).*one-hot.*argmax"),
    "one-hot in a stream": (lambda: (stream((X, ONE_HOT)),), r"\(24, 4\).*one-hot.*argmax"),
    "one-hot in tf.data": (lambda: (tf_data(X, ONE_HOT),), "one-hot.*argmax"),
    "a single one": (lambda: (X, 3), r"labels of shape \(n,\).*shape \(\)"),
    "floats": (lambda: (X, Y.astype("float32")), "integers from 0 to 3.*dtype float32"),
    "floats in a loader": (lambda: (loader(X, Y / 2.0),), "integers from 0 to 3.*dtype float64"),
    "words": (lambda: (X, np.array(["cat"] * 24)), r"integers from 0 to 3.*dtype.*np\.unique"),
    "bool": (lambda: (X, Y > 1), r"integers from 0 to 3.*dtype bool.*astype\(int\)"),
    "counted from 1": (lambda: (X, Y + 1), r"begin at 1 take labels - 1"),
    "too few": (lambda: (X, Y[:20]), "one label per example.*24 examples with 20 labels"),
    "too few in a stream": (lambda: (stream((X, Y[:20])),), "24 examples with 20 labels"),
    "beside a stream": (lambda: (stream((X, Y)), Y), "labels beside an array only.*generator"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_labels_stop_the_first_fit(what):
    arguments, message = BAD[what]
    model = make()
    with pytest.raises(ValueError, match=f"(?s){message}"):
        model.fit(*arguments(), verbose=0)
    assert not model.built


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (None, TypeError, "Expected `x` to be an array"),
        (X.tolist(), TypeError, r"Expected `x` to be an array.*np\.stack"),
        (X[:0], ValueError, "at least one example"),
        (X[0, 0], ValueError, "at least one example"),
    ],
    ids=["nothing", "list", "empty", "scalar"],
)
def test_bad_data_are_named_before_their_labels(x, error, message):
    with pytest.raises(error, match=message):
        make().fit(x, Y, verbose=0)


@pytest.fixture(scope="module")
def conditional():
    model = make(seed=0)
    model.fit(X, Y, verbose=0)
    return model


@pytest.fixture(scope="module")
def without():
    model = make(seed=0, classes=None, backbone=OneWeightPerValue())
    model.adapt(X, verbose=0)
    return model


def assert_unharmed(model, before):
    for value, old in zip(as_numpy(model.variables), before, strict=True):
        np.testing.assert_array_equal(value, old)


MISTAKES = {
    "evaluate without": (lambda m: m.evaluate(X, verbose=0), f"{MISSING}: y=None"),
    "validation without": (
        lambda m: m.fit(X, Y, validation_data=X, verbose=0),
        f"{MISSING}: y=None",
    ),
    "split without": (lambda m: m.fit(X, validation_split=0.5, verbose=0), f"{MISSING}: y=None"),
    "bad validation": (
        lambda m: m.fit(X, Y, validation_data=(X, replaced(3, 5)), verbose=0),
        f"{RANGE} 5 of example 3",
    ),
    "split of too few": (
        lambda m: m.fit(X, Y[:20], validation_split=0.5, verbose=0),
        "24 examples with 20 labels",
    ),
    "call without": (lambda m: m(X), f"{MISSING}: x without labels"),
    "bad labels to predict": (
        lambda m: m.predict({"x": X, "label": replaced(3, 5)}, verbose=0),
        f"{RANGE} 5 of example 3",
    ),
    "too few to elbo": (lambda m: m.elbo(X, Y[:3]), "24 examples with 3 labels"),
    "elbo of a stream": (lambda m: m.elbo(stream(X), Y), "labels beside an array only"),
    "out of range": (lambda m: m.sample(3, 4), f"{RANGE} 4 of example 0"),
    "null by number": (lambda m: m.sample(2, [0, 4]), f"{RANGE} 4 of example 1"),
    "negative": (lambda m: m.sample(3, -1), f"{RANGE} -1"),
    "half a label": (lambda m: m.sample(3, 0.5), "integers from 0 to 3.*dtype float64"),
    "word": (lambda m: m.sample(3, "cat"), r"integers from 0 to 3.*dtype.*np\.unique"),
    "count": (lambda m: m.sample(3, [0, 1]), "3 examples with 2 labels"),
    "guidance alone": (lambda m: m.sample(3, guidance=2.0), "Expected `labels` with a `guidance`"),
    "no guidance alone": (lambda m: m.sample(3, guidance=0.0), "Expected `labels` with"),
    "guidances": (lambda m: m.sample(3, 0, [1.0, 2.0]), "`guidance` .* n=3 samples"),
    "nan": (lambda m: m.sample(3, 0, float("nan")), "`guidance` to be a finite number"),
    "strong": (lambda m: m.sample(3, 0, "strong"), "`guidance` .*Received: guidance='strong'"),
    "typo": (lambda m: m.sample(3, label=0), "label=0.*Did you mean 'labels'"),
    "other typo": (lambda m: m.sample(3, 0, guidence=2.0), "Did you mean 'guidance'"),
    "denoise": (lambda m: m.denoise(X, m.schedule(0.5), labels=7), f"{RANGE} 7"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_mistakes_cost_a_trained_model_nothing(conditional, what):
    mistake, message = MISTAKES[what]
    before = as_numpy(conditional.variables)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        mistake(conditional)
    assert_unharmed(conditional, before)


def test_a_bad_label_in_later_tf_data_poisons_nothing(conditional):
    tf = pytest.importorskip("tensorflow")
    before = as_numpy(conditional.variables)
    for use in (conditional.elbo, conditional.evaluate):
        for bad in (4, -1):
            with pytest.raises(tf.errors.InvalidArgumentError, match="one label from 0 to 3 per"):
                use(tf_data(X, replaced(17, bad)), verbose=0)
    for variable, after, old in zip(
        conditional.variables, as_numpy(conditional.variables), before, strict=True
    ):
        if variable is not conditional.objective.eval_index:
            np.testing.assert_array_equal(after, old)


NO_CLASSES = {
    "sample": lambda m: m.sample(2, labels=1),
    "denoise": lambda m: m.denoise(X, m.schedule(0.5), labels=1),
    "elbo": lambda m: m.elbo(X, labels=Y),
    "elbo of a stream": lambda m: m.elbo(stream(X), labels=Y),
}


@pytest.mark.parametrize("what", NO_CLASSES)
def test_labels_for_a_model_without_classes(without, what):
    with pytest.raises(ValueError, match="Expected no `labels`, .* made without `classes`"):
        NO_CLASSES[what](without)


def test_guidance_for_a_model_without_classes(without):
    with pytest.raises(ValueError, match="Expected `labels` with a `guidance` other than 1"):
        without.sample(2, guidance=2.0)


@pytest.mark.parametrize("classes", [0, -3, 2.5, "ten", True])
def test_classes_is_a_count(classes):
    with pytest.raises(ValueError, match="`classes` to be an integer >= 1. Received: classes="):
        make(classes=classes)


@pytest.mark.parametrize("rate", [-0.1, 1.0, "half", float("nan")])
def test_label_dropout_is_a_probability(rate):
    with pytest.raises(ValueError, match=r"`label_dropout` in \[0, 1\). Received: label_dropout="):
        make(label_dropout=rate)


class ThreeInputs(OneWeightPerValue):
    classes = 4

    def call(self, y, tokens, labels):
        return y


NETWORKS = {
    "none": (OneWeightPerValue(), 4, "classes=4.*OneWeightPerValue without.*Add the attribute"),
    "another count": (backbones.MLP(classes=3), 4, "classes=4, as the model.*MLP with classes=3"),
    "unasked": (backbones.MLP(classes=3), None, "without classes.*MLP with classes=3"),
    "called otherwise": (ThreeInputs(), 4, r"backbone\(\[y, tokens, labels\]\).*ThreeInputs"),
}


@pytest.mark.parametrize("what", NETWORKS)
def test_a_network_of_other_classes(what):
    backbone, classes, message = NETWORKS[what]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        make(backbone=backbone, classes=classes).adapt(X, verbose=0)


def test_a_bad_label_in_the_second_fit_of_a_stream(conditional):
    """A stream cannot be checked in advance without reading it twice."""
    batches = (X[:8], Y[:8]), (X[8:16], replaced(9, 4)[8:16])
    with pytest.raises(ValueError, match=f"{RANGE} 4 of example 1"):
        conditional.fit(stream(*batches), verbose=0)
    assert np.isfinite(conditional.sample(2, 1, steps=2, seed=0)).all()
