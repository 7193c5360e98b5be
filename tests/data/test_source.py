"""Data in every form become the same batches; nothing is lost, nothing is read twice."""

import itertools
import pickle

import keras
import numpy as np
import pytest

from keras_gud.data import arrays
from keras_gud.data import source as source_module
from keras_gud.data.arrays import ArrayBatches
from keras_gud.data.checks import check_finite
from keras_gud.data.source import Source

X = np.random.default_rng(0).normal(size=(21, 3)).astype("float32")
SIZES = [8, 8, 5]
BATCHES = np.split(X, np.cumsum(SIZES)[:-1])


def as_numpy(x):
    return keras.ops.convert_to_numpy(x) if keras.ops.is_tensor(x) else np.asarray(x)


class Batches(keras.utils.PyDataset):
    def __init__(self, batches=BATCHES, length=3):
        super().__init__()
        self.batches, self.length = batches, length

    @property
    def num_batches(self):
        return self.length

    def __getitem__(self, index):
        return (self.batches[index % len(self.batches)],)


def tf_data(x=X):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(x).batch(8)


def loader(x=X):
    torch = pytest.importorskip("torch")
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.tensor(x)), 8)


def generator(batches=BATCHES):
    yield from batches


# What opens the data, and the number of batches that is known beforehand.
KINDS = {
    "array": (lambda: X, 1),  # statistics are measured in larger batches than those of training
    "tensor": (lambda: keras.ops.convert_to_tensor(X), 1),
    "dict of arrays": (lambda: {"id": np.array(["a"] * 21), "image": X}, 1),
    "PyDataset": (Batches, 3),
    "tf.data": (tf_data, 3),
    "DataLoader": (loader, 3),
    "generator": (generator, None),
}


def for_training(source):
    """What Keras gets to see in one epoch."""
    found = source.keras_data
    if isinstance(found, keras.utils.PyDataset):
        found = map(found.__getitem__, range(found.num_batches))
    return [tuple(map(as_numpy, batch)) for batch in found]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read_whole_as_often_as_needed(kind):
    make, n_batches = KINDS[kind]
    source = Source(make(), batch_size=8)
    assert source.n_batches == n_batches
    np.testing.assert_array_equal(source.first, X[: len(source.first)])
    for _ in range(2):
        batches = list(source)
        assert all(type(x) is np.ndarray for x in batches)
        assert n_batches in (None, len(batches))
        np.testing.assert_array_equal(np.concatenate(batches), X)
    seen = for_training(source)
    assert [len(batch[0]) for batch in seen] == SIZES
    np.testing.assert_array_equal(np.concatenate([batch[0] for batch in seen]), X)


@pytest.mark.parametrize("kind", ["array", "PyDataset", "tf.data", "DataLoader", "generator"])
def test_reading_the_head_leaves_the_whole_for_training(kind):
    source = Source(KINDS[kind][0](), batch_size=8)
    next(iter(source))
    np.testing.assert_array_equal(np.concatenate([b[0] for b in for_training(source)]), X)


# -- arrays ---------------------------------------------------------------------------------------


def epoch_of(batches, epoch):
    batches.epoch = epoch
    return np.concatenate([batches[i][0] for i in range(batches.num_batches)])


@pytest.mark.once
def test_every_example_comes_once_an_epoch():
    batches = ArrayBatches(np.arange(21), batch_size=8, shuffle=True, seed=4)
    assert batches.num_batches == 3
    assert [len(batches[i][0]) for i in range(3)] == SIZES
    for epoch in range(3):
        np.testing.assert_array_equal(np.sort(epoch_of(batches, epoch)), np.arange(21))


@pytest.mark.once
def test_the_last_batch_is_filled_up_with_the_first_examples_of_the_epoch():
    batches = ArrayBatches(np.arange(21), None, 8, True, 4, fill=True)
    for epoch in range(2):
        rows = epoch_of(batches, epoch)
        np.testing.assert_array_equal(np.sort(rows[:21]), np.arange(21))
        np.testing.assert_array_equal(rows[21:], rows[:3])
    assert batches.order.sizes() == {8}
    alone = ArrayBatches(np.arange(5), None, 8, True, 4, fill=True)
    assert len(alone[0][0]) == 5
    in_order = ArrayBatches(np.arange(21), None, 8, False, 4, fill=True)
    np.testing.assert_array_equal(epoch_of(in_order, 0), np.arange(21))


@pytest.mark.once
def test_the_order_is_a_function_of_seed_and_epoch():
    def order(seed, epoch):
        return epoch_of(ArrayBatches(np.arange(21), None, 8, True, seed), epoch).tolist()

    worn = ArrayBatches(np.arange(21), None, 8, True, seed=4)
    for epoch in (5, 0, 2):
        epoch_of(worn, epoch)
    assert epoch_of(worn, 3).tolist() == order(4, 3)
    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4


@pytest.mark.once
def test_batches_can_be_read_in_any_order():
    batches = ArrayBatches(np.arange(21), None, 8, True, seed=4)
    ordered = epoch_of(batches, 1)
    fresh = ArrayBatches(np.arange(21), None, 8, True, seed=4)
    fresh.epoch = 1
    np.testing.assert_array_equal(fresh[2][0], ordered[16:])
    np.testing.assert_array_equal(fresh[0][0], ordered[:8])


@pytest.mark.once
def test_without_shuffling_every_epoch_is_the_array():
    batches = ArrayBatches(np.arange(21), batch_size=8)
    np.testing.assert_array_equal(epoch_of(batches, 1), np.arange(21))


def test_weights_go_with_their_examples():
    source = Source(X, np.arange(1, 22), batch_size=8, shuffle=True, seed=1)
    weight_of = {tuple(x): i + 1 for i, x in enumerate(X)}
    for x, target, weight in for_training(source):
        assert weight.tolist() == [weight_of[tuple(row)] for row in x]
        np.testing.assert_array_equal(target, weight)


# -- streams ---------------------------------------------------------------------------------------


@pytest.mark.once
@pytest.mark.parametrize("n", [2, 4, 7])
def test_a_long_generator_is_measured_on_its_head_and_trained_on_whole(n, monkeypatch):
    monkeypatch.setattr(source_module, "MAX_PEEK_BATCHES", 4)
    read = []

    def counted():
        for i in range(n):
            read.append(i)
            yield np.full((2, 3), i, "float32")

    source = Source(counted())
    assert read == [0]  # only what was needed
    assert [x[0, 0] for x in source] == list(range(min(n, 4)))
    assert len(read) == min(n, 4)
    assert [batch[0][0, 0] for batch in for_training(source)] == list(range(n))


def endless_generator():
    return (X[:8] + i for i in itertools.count())


ENDLESS = {
    "generator": endless_generator,
    "PyDataset": lambda: Batches(length=None),
    "tf.data": lambda: tf_data().repeat(),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_of_endless_data_the_head_is_measured(kind, monkeypatch):
    monkeypatch.setattr(source_module, "MAX_PEEK_BATCHES", 4)
    source = Source(ENDLESS[kind]())
    assert source.n_batches is None
    assert len(list(source)) == 4


@pytest.mark.once
def test_the_end_of_an_endless_stream_is_where_keras_stops():
    source = Source(endless_generator())
    list(itertools.islice(source, 3))
    seen = [batch[0] for batch in itertools.islice(source.keras_data, 6)]
    np.testing.assert_array_equal(seen, [X[:8] + i for i in range(6)])


# -- forms of a batch ------------------------------------------------------------------------------

FORMS = {
    "array": lambda x: x,
    "(x,)": lambda x: (x,),
    "(x, y)": lambda x: (x, np.arange(len(x))),
    "(x, y, weight)": lambda x: (x, np.arange(len(x)), np.full(len(x), 2.0, "float32")),
    "[x, y]": lambda x: [x, np.arange(len(x))],
    "image in a dict": lambda x: {"label": np.zeros((len(x), 2)), "image": x},
    "a single array beside scalars and strings": lambda x: {
        "id": np.array(["a"] * len(x)),
        "bytes": np.array([b"a"] * len(x), object),
        "pixels": x,
        "label": np.arange(len(x)),
    },
    "dict in a tuple": lambda x: ({"image": x}, np.arange(len(x))),
}


@pytest.mark.once
@pytest.mark.parametrize("form", FORMS)
def test_labels_and_strings_are_dropped(form):
    source = Source(generator([FORMS[form](x) for x in BATCHES]))
    np.testing.assert_array_equal(np.concatenate(list(source)), X)
    seen = for_training(source)
    assert {len(batch) for batch in seen} == {3 if "weight" in form else 1}
    if "weight" in form:
        assert all((batch[2] == 2.0).all() for batch in seen)


@pytest.mark.once
@pytest.mark.parametrize(
    "batch",
    [{"left": X, "right": X, "id": np.array(["a"] * 21)}, {"label": np.arange(21)}, {}],
)
def test_an_ambiguous_dictionary_lists_its_keys(batch):
    with pytest.raises(ValueError, match=r"Expected a dictionary .*Received: keys \[") as error:
        Source(batch)
    assert str(sorted(batch)) in str(error.value)


# -- checks while reading --------------------------------------------------------------------------

BAD = BATCHES[1].copy()
BAD[2, 1] = np.nan
SPOILT = [BATCHES[0], BAD, BATCHES[2]]
STREAMS = {
    "PyDataset": lambda: Batches(SPOILT),
    "DataLoader": lambda: loader(np.concatenate(SPOILT)),
    "generator": lambda: generator(SPOILT),
    "tf.data": lambda: tf_data(np.concatenate(SPOILT)),
}


@pytest.mark.parametrize("kind", STREAMS)
def test_a_guarded_stream_stops_at_a_bad_batch(kind):
    source = Source(STREAMS[kind]())
    source.guard(check_finite)
    found = source.keras_data
    batches = iter([0, 1, 2]) if kind == "PyDataset" else iter(found)

    def read():
        batch = next(batches)
        return as_numpy(found[batch][0] if kind == "PyDataset" else batch[0])

    np.testing.assert_array_equal(read(), BATCHES[0])
    # TensorFlow raises an error of its own, with the same words.
    with pytest.raises(Exception, match="Expected finite data. Received: NaN or inf"):
        read()


@pytest.mark.once
def test_a_guarded_array_is_checked_at_once():
    source = Source(np.concatenate([np.zeros((3000, 3), "float32"), *SPOILT]))
    with pytest.raises(ValueError, match="Expected finite data"):
        source.guard(check_finite)


@pytest.mark.once
def test_weights_of_a_stream_must_fit_its_batches():
    with pytest.raises(ValueError, match="one sample weight per example.*8 examples with 3"):
        Source(generator([(BATCHES[0], None, np.ones(3))]))


def test_what_a_loader_hands_to_its_workers_can_be_pickled():
    source = Source(loader())
    collate = pickle.loads(pickle.dumps(source.keras_data.collate_fn))
    rows = [source.keras_data.dataset[i] for i in range(8)]
    np.testing.assert_array_equal(as_numpy(collate(rows)[0]), BATCHES[0])


@pytest.mark.once
def test_the_users_loader_is_left_alone():
    original = loader()
    before = original.collate_fn
    Source(original)
    assert original.collate_fn is before
    assert len(next(iter(original))) == 1


# -- splitting -------------------------------------------------------------------------------------


@pytest.mark.once
def test_split_holds_the_last_examples_out():
    (x, weight), (held, weight_held) = arrays.split(X, np.arange(21), 0.25)
    np.testing.assert_array_equal(x, X[:15])
    np.testing.assert_array_equal(held, X[15:])
    assert weight.tolist() == list(range(15))
    assert weight_held.tolist() == list(range(15, 21))


@pytest.mark.once
def test_split_of_a_dictionary_without_weights():
    (x, weight), (held, weight_held) = arrays.split({"image": X, "id": np.arange(21)}, None, 0.5)
    assert (len(x), len(held), weight, weight_held) == (10, 11, None, None)


@pytest.mark.once
@pytest.mark.parametrize("fraction", [-0.1, 1.0, 1.5, 0.99])
def test_split_leaves_nothing_empty(fraction):
    with pytest.raises(ValueError, match="`validation_split` to leave examples on both sides"):
        arrays.split(X, None, fraction)


@pytest.mark.once
def test_split_needs_an_array():
    with pytest.raises(ValueError, match="`x` to be an array.*Received: x of type Batches"):
        arrays.split(Batches(), None, 0.5)
