"""Every form of data that Keras takes trains the same model."""

import keras
import numpy as np
import pytest
from helpers.marks import once
from helpers.tiny_model import as_numpy, images, make, vectors

from keras_gud.data.arrays import ArrayBatches
from keras_gud.data.source import Source

X = images(40)
BATCHES = [X[i : i + 8] for i in range(0, 40, 8)]


class Batches(keras.utils.PyDataset):
    def __init__(self, form):
        super().__init__()
        self.form = form

    def __len__(self):
        return len(BATCHES)

    def __getitem__(self, index):
        return FORMS[self.form](BATCHES[index])


FORMS = {
    "x": lambda x: (x,),
    "x, y": lambda x: (x, np.arange(len(x))),
    "x, y, weight": lambda x: (x, np.arange(len(x)), np.ones(len(x), "float32")),
    "dict": lambda x: {"image": x, "label": np.arange(len(x)), "id": np.array(["a"] * len(x))},
}


def tf_data(form):
    tf = pytest.importorskip("tensorflow")
    elements = FORMS[form](X)
    ds = tf.data.Dataset.from_tensor_slices(elements if form == "dict" else tuple(elements))
    return ds.batch(8)


def loader(form):
    torch = pytest.importorskip("torch")
    rows = [X, np.arange(40)] if form == "x, y" else [X]

    class Rows(torch.utils.data.Dataset):
        def __len__(self):
            return 40

        def __getitem__(self, i):
            if form == "dict":
                return {"image": X[i], "label": i, "id": "a"}
            return tuple(r[i] for r in rows)

    return torch.utils.data.DataLoader(Rows(), batch_size=8)


SOURCES = {
    **{f"PyDataset of {form}": lambda f=form: Batches(f) for form in FORMS},
    **{f"tf.data of {form}": lambda f=form: tf_data(f) for form in FORMS},
    **{f"DataLoader of {form}": lambda f=form: loader(f) for form in ("x", "x, y", "dict")},
    **{f"generator of {f}": lambda f=f: (FORMS[f](b) for b in BATCHES) for f in FORMS},
    "array": lambda: X,
    "backend tensor": lambda: keras.ops.convert_to_tensor(X),
    "dict of arrays": lambda: {"image": X, "label": np.arange(40)},
}


@pytest.mark.parametrize("name", SOURCES)
def test_batches_come_through_whole_and_in_order(name):
    source = Source(SOURCES[name](), batch_size=8)
    np.testing.assert_array_equal(np.concatenate(list(source)), X)
    np.testing.assert_array_equal(source.first, X[: len(source.first)])


@pytest.mark.parametrize(
    "name",
    once(
        [
            "PyDataset of dict",
            "tf.data of dict",
            "tf.data of x, y, weight",
            "DataLoader of dict",
            "DataLoader of x, y",
            "generator of dict",
            "dict of arrays",
        ],
        but=["tf.data of dict", "DataLoader of dict"],
    ),
)
def test_fit_takes_it_and_loses_no_batch(name):
    model = make(data_scale="range")
    history = model.fit(SOURCES[name](), batch_size=8, epochs=1, verbose=0)
    assert int(as_numpy([model.optimizer.iterations])[0]) == 5
    assert int(as_numpy([model.ema.count])[0]) == 5
    assert np.isfinite(history.history["loss"][0])
    mean = as_numpy([model.prior.mean])[0]
    np.testing.assert_allclose(mean, (X.mean(0) + 0.5) / 128 - 1, atol=1e-5)
    assert model.evaluate(X, verbose=0)[0] == pytest.approx(
        model.evaluate(tf_data("dict") if "tf" in name else Batches("x"), verbose=0)[0], rel=1e-5
    )


def test_endless_data_need_a_number_of_steps():
    def forever():
        while True:
            yield (vectors(16),)

    model = make()
    model.fit(forever(), epochs=2, steps_per_epoch=3, verbose=0)
    assert int(as_numpy([model.optimizer.iterations])[0]) == 6


def test_order_of_an_array_is_a_function_of_seed_and_epoch():
    def order(seed, epoch):
        batches = ArrayBatches(np.arange(10), None, 4, True, seed)
        batches.epoch = epoch
        return np.concatenate([batches[i][0] for i in range(batches.num_batches)])

    assert sorted(order(0, 0)) == list(range(10))
    np.testing.assert_array_equal(order(0, 3), order(0, 3))
    assert (order(0, 0) != order(0, 1)).any()
    assert (order(0, 0) != order(1, 0)).any()
