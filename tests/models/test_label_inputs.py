"""Every form of data carries its labels beside the right examples."""

import keras
import numpy as np
import pytest
from helpers.conditions import label_forms
from helpers.marks import once
from helpers.tiny_model import as_numpy
from keras import ops

import keras_gud
from keras_gud.data.batch import pick, pick_label
from keras_gud.data.source import Source

CLASSES = 5
N = 40
LABELS = np.random.default_rng(1).integers(0, CLASSES, N)
# The label of an example can be read off it: each of its values is 3 (label + 1) and a little.
X = (3.0 * (LABELS[:, None] + 1) + np.random.default_rng(0).uniform(0, 1, (N, 2))).astype("float32")
WEIGHT = np.ones(N, "float32")


def label_of(x):
    return ops.floor(x[:, 0] / 3.0) - 1.0


FORMS = {
    "x, y": lambda x, y: (x, y),
    "x, y of one column": lambda x, y: (x, y[:, None]),
    "x, y, weight": lambda x, y: (x, y, np.ones(len(x), "float32")),
    "dict": lambda x, y: {"image": x, "label": y, "id": np.array(["a"] * len(x))},
    "dict with labels": lambda x, y: {"x": x, "labels": y.astype("uint8")},
    "dict with y, weight": lambda x, y: ({"data": x, "y": y}, None, np.ones(len(x), "float32")),
}
SLICES = [slice(i, i + 8) for i in range(0, N, 8)]


class Batches(keras.utils.PyDataset):
    def __init__(self, form):
        super().__init__()
        self.form = form

    def __len__(self):
        return len(SLICES)

    def __getitem__(self, index):
        return FORMS[self.form](X[SLICES[index]], LABELS[SLICES[index]])


def tf_data(form):
    tf = pytest.importorskip("tensorflow")
    elements = FORMS[form](X, LABELS)
    return tf.data.Dataset.from_tensor_slices(elements).batch(8)


def loader(form):
    torch = pytest.importorskip("torch")
    rows = FORMS[form](X, LABELS)

    class Rows(torch.utils.data.Dataset):
        def __len__(self):
            return N

        def __getitem__(self, i):
            if isinstance(rows, dict):
                return {key: value[i] for key, value in rows.items()}
            return tuple(row[i] for row in rows)

    return torch.utils.data.DataLoader(Rows(), batch_size=8)


TUPLES = ["x, y", "x, y of one column", "x, y, weight"]
SOURCES = {
    **{f"PyDataset of {form}": lambda f=form: Batches(f) for form in FORMS},
    **{f"tf.data of {form}": lambda f=form: tf_data(f) for form in [*TUPLES, "dict"]},
    **{f"DataLoader of {form}": lambda f=form: loader(f) for form in [*TUPLES, "dict"]},
    **{
        f"generator of {form}": lambda f=form: (FORMS[f](X[s], LABELS[s]) for s in SLICES)
        for form in FORMS
    },
    "dict of arrays": lambda: {"image": X, "label": LABELS},
    "dict of tensors": lambda: {
        "image": ops.convert_to_tensor(X),
        "label": ops.convert_to_tensor(LABELS),
    },
}


def batches_of(source):
    found = source.keras_data
    if isinstance(found, keras.utils.PyDataset):
        found = map(found.__getitem__, range(found.num_batches))
    return list(found)


def as_array(x):
    return ops.convert_to_numpy(x) if ops.is_tensor(x) else np.asarray(x)


@pytest.mark.parametrize("name", SOURCES)
def test_labels_come_through_whole_and_in_order(name):
    source = Source(SOURCES[name](), batch_size=8, forms=label_forms(CLASSES))
    np.testing.assert_array_equal(np.concatenate(list(source)), X)
    batches = batches_of(source)
    assert {len(batch) for batch in batches} == {3 if "weight" in name else 1}
    for batch in batches:
        assert set(batch[0]) == {"x", "label"}
    labels = np.concatenate([as_array(pick_label(batch[0])) for batch in batches])
    np.testing.assert_array_equal(labels, LABELS)
    np.testing.assert_array_equal(np.concatenate([as_array(pick(b[0])) for b in batches]), X)


@pytest.mark.parametrize("name", SOURCES)
def test_without_classes_labels_are_dropped(name):
    for batch in batches_of(Source(SOURCES[name](), batch_size=8)):
        assert not isinstance(batch[0], dict)


def test_shuffling_keeps_labels_beside_their_examples():
    source = Source(X, WEIGHT, 8, True, seed=3, y=LABELS, forms=label_forms(CLASSES))
    seen = []
    for epoch in range(2):
        source.keras_data.epoch = epoch
        for x, _, _ in batches_of(source):
            np.testing.assert_array_equal(x["label"], as_array(label_of(x["x"])))
            seen.append(x["label"])
    assert (seen[0] != seen[5]).any()


class Probe(keras_gud.GUD):
    """Counts the examples that `call` is given, and those whose label is another's."""

    def build(self, input_shape):
        super().build(input_shape)
        self.seen, self.wrong = (
            self.add_weight(shape=(), trainable=False, initializer="zeros") for _ in range(2)
        )

    def call(self, x, training=False):
        wrong = ops.not_equal(label_of(x["x"]), ops.cast(x["label"], "float32"))
        self.wrong.assign(self.wrong + ops.sum(ops.cast(wrong, "float32")))
        self.seen.assign(self.seen + ops.cast(ops.size(wrong), "float32"))
        return super().call(x, training=training)

    def counts(self):
        result = tuple(int(v) for v in as_numpy([self.seen, self.wrong]))
        self.seen.assign(0.0)
        self.wrong.assign(0.0)
        return result


@pytest.fixture(scope="module")
def probe():
    model = Probe(schedule="cosine", backbone="tiny", classes=CLASSES, seed=0)
    model.adapt(X, verbose=0)
    model.compile()
    return model


FITS = {
    "array": lambda: {"x": X, "y": LABELS},
    "list of labels": lambda: {"x": X, "y": LABELS.tolist()},
    "weighted array": lambda: {"x": X, "y": LABELS, "sample_weight": WEIGHT},
    "PyDataset": lambda: {"x": Batches("x, y")},
    "tf.data": lambda: {"x": tf_data("dict")},
    "DataLoader": lambda: {"x": loader("x, y")},
    "weighted generator": lambda: {"x": SOURCES["generator of x, y, weight"]()},
}


@pytest.mark.parametrize("name", once(FITS, but=["weighted array", "tf.data"]))
def test_fit_and_evaluate_are_given_them(probe, name):
    probe.fit(**FITS[name](), batch_size=8, verbose=0)
    assert probe.counts() == (N, 0)
    probe.evaluate(**FITS[name](), batch_size=8, verbose=0)
    assert probe.counts() == (N, 0)


HELD = {
    "split": lambda: {"validation_split": 0.4},
    "pair": lambda: {"validation_data": (X[:16], LABELS[:16])},
    "triple": lambda: {"validation_data": (X[:16], LABELS[:16], WEIGHT[:16])},
    "dict": lambda: {"validation_data": {"image": X[:16], "label": LABELS[:16]}},
}


@pytest.mark.once
@pytest.mark.parametrize("name", HELD)
@pytest.mark.parametrize("form", ["array", "dict"])
def test_validation_is_given_them(probe, name, form):
    x = {"x": X, "y": LABELS} if form == "array" else {"x": {"image": X, "label": LABELS}}
    probe.fit(**x, **HELD[name](), batch_size=8, verbose=0)
    assert probe.counts() == ((N, 0) if name == "split" else (N + 16, 0))


def perturb(variables):
    rng = np.random.default_rng(0)
    for variable in variables:
        variable.assign(0.2 * rng.normal(size=variable.shape).astype("float32"))


@pytest.mark.parametrize("name", ["tf.data of x, y", "DataLoader of dict", "generator of dict"])
def test_the_bound_is_that_of_the_labels_of_a_stream(probe, name):
    perturb(probe.ema.average)  # so that labels matter though nothing much was learned
    expected = probe.elbo(X, LABELS, draws=4)["bits_per_dim"]
    found = probe.elbo(SOURCES[name](), draws=4)["bits_per_dim"]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert np.abs(probe.elbo(X, draws=4)["bits_per_dim"] - expected).max() > 1e-3
