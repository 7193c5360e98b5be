"""Data sets of grain: every kind is read, checked, counted, shuffled by epoch and trained on."""

import itertools

import keras
import numpy as np
import pytest
from helpers.conditions import label_forms
from helpers.one_weight import OneWeightPerValue

import keras_gud
from keras_gud.data import source as source_module
from keras_gud.data.checks import check_finite
from keras_gud.data.source import Source

grain = pytest.importorskip("grain")

X = np.random.default_rng(0).integers(0, 256, (21, 2, 2, 1)).astype("uint8")
SIZES = [8, 8, 5]


def rows(form="x", x=X):
    """The examples, one by one."""
    label = np.arange(len(x)) % 3
    if form == "dict":
        return [{"image": x[i], "label": label[i]} for i in range(len(x))]
    if form == "x, y, weight":
        return [(x[i], label[i], np.float32(1 + i)) for i in range(len(x))]
    return [(x[i], label[i]) for i in range(len(x))] if form == "x, y" else list(x)


def of_map(form="x", x=X):
    return grain.MapDataset.source(rows(form, x)).batch(8)


def of_iter(form="x", x=X):
    return grain.MapDataset.source(rows(form, x)).to_iter_dataset().batch(8)


def of_loader(form="x", x=X, epochs=1):
    return grain.DataLoader(
        data_source=rows(form, x),
        sampler=grain.samplers.IndexSampler(len(x), num_epochs=epochs, shuffle=False),
        operations=[grain.transforms.Batch(8)],
    )


KINDS = {"MapDataset": of_map, "IterDataset": of_iter, "DataLoader": of_loader}
everywhere = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)


def as_numpy(x):
    return np.array(keras.ops.convert_to_numpy(x))


@pytest.mark.once
@everywhere
def test_it_is_read_whole_as_often_as_needed(make):
    source = Source(make())
    assert source.n_batches == (3 if make is of_map else None)
    np.testing.assert_array_equal(source.first, X[:8])
    for _ in range(2):
        assert [len(x) for x in source] == SIZES
        np.testing.assert_array_equal(np.concatenate(list(source)), X)
        seen = list(source.keras_data)
        assert {len(batch) for batch in seen} == {1}
        np.testing.assert_array_equal(np.concatenate([batch[0] for batch in seen]), X)


@pytest.mark.once
@everywhere
@pytest.mark.parametrize("form", ["dict", "x, y", "x, y, weight"])
def test_labels_and_weights_come_along(make, form):
    source = Source(make(form), forms=label_forms(3))
    label = [given["label"] for _, given in source.examples()]
    np.testing.assert_array_equal(np.concatenate(label), np.arange(21) % 3)
    weights = [batch[2] for batch in source.keras_data if len(batch) == 3]
    assert np.concatenate(weights or [[]]).tolist() == [*range(1, 22)] * ("weight" in form)


@pytest.mark.once
@everywhere
def test_every_batch_is_checked(make):
    x = np.ones((21, 3), "float32")
    x[10, 1] = np.nan
    source = Source(make(x=x))
    source.guard(check_finite)
    read = iter(source.keras_data)
    next(read)
    with pytest.raises(ValueError, match="Expected finite data. Received: NaN or inf"):
        next(read)
    with pytest.raises(ValueError, match="0 .. 1.*Received"):
        Source(make("x, y"), forms=label_forms(2))


def test_training_and_evaluation_are_those_of_the_same_batches_of_another_kind():
    class Batches(keras.utils.PyDataset):
        in_order = True

        def __len__(self):
            return 2

        def __getitem__(self, i):
            return (X[8 * i : 8 * i + 8],)

    def trained(*kinds):
        # One after the other, since every model is compiled for itself.
        model, losses = keras_gud.GUD(schedule="cosine", backbone=OneWeightPerValue(), seed=1), []
        for batches in kinds:
            history = model.fit(batches, epochs=2, validation_data=batches, verbose=0).history
            losses.append([history["loss"], history["val_loss"]])
        return np.array(losses)

    kinds = [make("x, y", X[:16]) for make in KINDS.values()]
    found, expected = trained(*kinds), trained(*[Batches()] * 3)
    if keras.backend.backend() == "tensorflow":
        # There Keras learns in the step after the last that data of unknown length have ended,
        # when the random numbers have moved on.
        found, expected = found[:2, :, 0], expected[:2, :, 0]
        np.testing.assert_allclose(found[:, 0], expected[:, 0], rtol=1e-5)
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.once
def test_a_map_dataset_shuffles_anew_in_every_epoch_and_only_by_the_epoch():
    shuffled = grain.MapDataset.source(rows()).shuffle(seed=1).batch(8)
    batches = Source(shuffled).shuffler

    def epoch(number):
        batches.epoch = number
        return np.concatenate([batches[i] for i in range(batches.num_batches)])

    first, second = epoch(0), epoch(1)
    assert (first != second).any()
    for order in (first, second):
        assert sorted(map(bytes, order)) == sorted(map(bytes, X))
    np.testing.assert_array_equal(epoch(0), first)
    whole = list(itertools.islice(shuffled.repeat(2), 6))
    np.testing.assert_array_equal(np.concatenate(whole), np.concatenate([first, second]))


@pytest.mark.once
@pytest.mark.parametrize(
    "make",
    [
        lambda: of_map().repeat(),
        lambda: of_map().repeat().to_iter_dataset(),
        lambda: grain.experimental.RepeatIterDataset(of_iter()).map(lambda x: x),
        lambda: of_loader(epochs=None),
    ],
)
def test_of_endless_data_the_head_is_measured(make, monkeypatch):
    monkeypatch.setattr(source_module, "MAX_PEEK_BATCHES", 4)
    source = Source(make())
    assert source.n_batches is None
    assert source.endless
    assert len(list(source)) == 4


@pytest.mark.once
def test_a_batch_that_was_filtered_out_says_what_to_do():
    with pytest.raises(ValueError, match="to_iter_dataset"):
        Source(of_map().filter(lambda batch: len(batch) == 5))


@pytest.mark.once
def test_an_empty_data_set_is_refused():
    with pytest.raises(ValueError, match="Expected at least one batch"):
        Source(grain.MapDataset.range(0).batch(8))
