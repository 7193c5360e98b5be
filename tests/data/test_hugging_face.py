"""Data sets of Hugging Face: images decoded, labels found, rows shuffled by epoch."""

import numpy as np
import pytest
from helpers.conditions import label_forms
from helpers.one_weight import OneWeightPerValue

import keras_gud
from keras_gud.conditioning.forms import Form, Forms
from keras_gud.data.source import Source

datasets = pytest.importorskip("datasets")
Image = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.once

PIXELS = np.random.default_rng(0).integers(256, size=(21, 4, 6, 3)).astype("uint8")
LABELS = np.arange(21) % 3


def pictures(pixels=PIXELS, modes=("RGB",), labels=LABELS, size=None):
    images = [Image.fromarray(p).convert(modes[i % len(modes)]) for i, p in enumerate(pixels)]
    if size is not None:
        images[1] = images[1].resize(size)
    features = datasets.Features(
        {"picture": datasets.Image(), "kind": datasets.ClassLabel(num_classes=3)}
    )
    return datasets.Dataset.from_dict({"picture": images, "kind": labels}, features=features)


def read(source):
    data = source.keras_data
    return [data[i][0] for i in range(data.num_batches)]


def test_images_and_labels_are_read_in_the_order_of_the_epoch():
    source = Source(pictures(), batch_size=8, shuffle=True, seed=1, forms=label_forms(3))
    assert source.n_batches == 3
    orders = []
    for epoch in (0, 1):
        source.shuffler.epoch = epoch
        batches = read(source)
        rows = [int(np.flatnonzero((PIXELS == x).all(axis=(1, 2, 3)))[0]) for b in batches
                for x in b["x"]]  # fmt: skip
        assert sorted(rows[:21]) == list(range(21))
        assert rows[21:] == rows[:3]  # the last batch is filled up, as that of an array
        np.testing.assert_array_equal(np.concatenate([b["label"] for b in batches]), LABELS[rows])
        orders.append(rows)
    assert orders[0] != orders[1]


def test_statistics_and_evaluation_take_every_row_once():
    for shuffle in (True, False):
        source = Source(pictures(), batch_size=8, shuffle=shuffle, seed=1, forms=label_forms(3))
        assert [len(x) for x in source] == [8, 8, 5]
    assert [len(batch["x"]) for batch in read(source)] == [8, 8, 5]


@pytest.mark.parametrize(
    ("mode", "shape", "dtype"),
    [("L", (4, 6, 1), "uint8"), ("P", (4, 6, 3), "uint8"), ("RGBA", (4, 6, 4), "uint8"),
     ("LA", (4, 6, 4), "uint8"), ("1", (4, 6, 1), "uint8"), ("CMYK", (4, 6, 3), "uint8"),
     ("I;16", (4, 6, 1), "uint16")],
)  # fmt: skip
def test_modes(mode, shape, dtype):
    if mode == "I;16":
        grey = PIXELS[..., 0].astype("uint16") * 257
        data = datasets.Dataset.from_dict(
            {"image": [Image.fromarray(x) for x in grey]}, datasets.Features(image=datasets.Image())
        )
    else:
        data = pictures(modes=(mode,)).remove_columns("kind")
    first = Source(data).first
    assert (first.shape[1:], first.dtype) == (shape, dtype)
    if mode == "I;16":
        np.testing.assert_array_equal(first[..., 0], grey)


def test_arrays_in_columns_are_read_as_they_are():
    data = datasets.Dataset.from_dict(
        {"x": PIXELS[..., 0] / 255, "name": ["a"] * 21},
        datasets.Features(x=datasets.Array2D((4, 6), "float32"), name=datasets.Value("string")),
    )
    np.testing.assert_allclose(Source(data).first, PIXELS[..., 0] / 255, rtol=1e-6)


def test_a_transform_of_the_users_is_applied():
    halved = pictures().with_transform(
        lambda rows: rows | {"picture": [np.asarray(i)[::2, ::2] for i in rows["picture"]]}
    )
    np.testing.assert_array_equal(Source(halved, forms=label_forms(3)).first, PIXELS[:, ::2, ::2])


def test_a_model_is_trained_and_samples_such_images():
    model = keras_gud.GUD(backbone=OneWeightPerValue())
    with pytest.warns(UserWarning, match="labels are not used"):
        history = model.fit(pictures(), epochs=2, batch_size=8, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    samples = model.sample(2, steps=2)
    assert (samples.shape, samples.dtype) == ((2, 4, 6, 3), "uint8")


@pytest.mark.parametrize(
    ("data", "error", "said"),
    [
        (lambda: pictures(modes=("L", "RGB")), ValueError, r"cast_column\(\"picture\""),
        (lambda: pictures(size=(3, 3)), ValueError, "3x3 with 3 channels .*resize"),
        (lambda: datasets.DatasetDict(train=pictures()), TypeError, r"x\['train'\]"),
        (lambda: pictures().to_iterable_dataset(), TypeError, r"\.iter\(128\)"),
        (lambda: datasets.Dataset.from_dict({"a": [1.0], "b": [2.0]}), ValueError, "to_pandas"),
        (lambda: datasets.Dataset.from_dict({"x": [[1.0], [2.0, 3.0]]}), ValueError, "one shape"),
        (
            lambda: pictures().add_column("coarse", LABELS).cast_column(
                "coarse", datasets.ClassLabel(num_classes=3)
            ),
            ValueError,
            "one column of labels.*'kind', 'coarse'",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_used(data, error, said):
    with pytest.raises(error, match=said):
        Source(data(), batch_size=8, forms=label_forms(3))


def test_unused_columns_are_named():
    with pytest.warns(UserWarning, match="not used: 'note'"):
        Source(pictures().add_column("note", ["a"] * 21), forms=label_forms(3))


def test_conditions_are_columns_of_their_names():
    forms = Forms((Form("depth", "image"), Form("size", "vector")))
    data = pictures().add_column("depth", (PIXELS / 2).tolist())
    data = data.add_column("size", np.arange(2 * len(PIXELS)).reshape(-1, 2).tolist())
    source = Source(data, batch_size=8, forms=forms)
    found = [given for _, given in source.examples()]
    np.testing.assert_array_equal(source.first, PIXELS[:8])
    assert source.row_shapes == {"depth": PIXELS.shape[1:], "size": (2,)}
    assert {name: value.shape[1:] for name, value in found[0].items()} == source.row_shapes
