"""Conditions: encoded, hidden, given to networks, and guided by."""

import numpy as np
import pytest
from keras import ops

from keras_gud.conditioning import Conditions, Image, Labels, Sequence, Vector
from keras_gud.conditioning.given import given_rows, sampling_condition
from keras_gud.core.resizing import resizing_weights

pytestmark = pytest.mark.once

RNG = np.random.default_rng(0)
N, DATA_SHAPE = 64, (6, 6, 2)
RAW = {
    "digit": RNG.integers(0, 5, N),
    "place": RNG.normal([1e6, -3.0], [1e5, 1e-4], size=(N, 2)),
    "words": RNG.normal(2.0, 3.0, size=(N, 4, 3)),
    "words_mask": RNG.random((N, 4)) < 0.7,
    "sketch": RNG.integers(0, 256, size=(N, 3, 3, 1)).astype("uint8"),
}
ROW_SHAPES = {name: value.shape[1:] for name, value in RAW.items()}


def build(**dropout):
    kinds = {"place": Vector, "words": Sequence, "sketch": Image}
    kinds = {name: kind(dropout.get(name, 0.1)) for name, kind in kinds.items()}
    made = Conditions(kinds | {"digit": Labels(5, dropout.get("digit", 0.1))})
    made.build(DATA_SHAPE, ROW_SHAPES)
    made.observe(RAW)
    made.adapt()
    return made


@pytest.fixture(scope="module")
def conditions():
    return build()


def as_numpy(values):
    return {name: ops.convert_to_numpy(value) for name, value in values.items()}


# -- encoding --------------------------------------------------------------------------------------


def test_labels_come_first(conditions):
    assert conditions.names == ("digit", "place", "words", "sketch")
    assert conditions.network_kinds == {"place": "vector", "words": "sequence", "sketch": "image"}


def test_each_channel_is_standardised_and_marked_as_there(conditions):
    encoded = as_numpy(conditions.encode({"place": RAW["place"]}))["place"]
    np.testing.assert_allclose(encoded[:, :2].mean(axis=0), 0.0, atol=2e-3)  # 1e6 in float32
    np.testing.assert_allclose(encoded[:, :2].std(axis=0), 1.0, rtol=2e-3)
    np.testing.assert_array_equal(encoded[:, 2], 1.0)


def test_what_a_mask_hides_counts_neither_in_the_scale_nor_in_the_code(conditions):
    words, mask = RAW["words"], RAW["words_mask"]
    encoded = as_numpy(conditions.encode(RAW))["words"]
    expected = (words - words[mask].mean(axis=0)) / words[mask].std(axis=0)
    np.testing.assert_allclose(encoded[mask][:, :3], expected[mask], atol=1e-5)
    np.testing.assert_array_equal(encoded[~mask], 0.0)
    np.testing.assert_array_equal(encoded[..., 3], mask)


def test_a_constant_channel_keeps_its_unit():
    vector = Vector()
    vector.build((2,))
    vector.observe(np.stack([np.full(8, 7.0), np.arange(8.0)], axis=1), None)
    vector.adapt()
    assert ops.convert_to_numpy(vector.scale)[0] == 1.0


def test_an_image_is_brought_to_the_size_of_the_data(conditions):
    encoded = as_numpy(conditions.encode(RAW))["sketch"]
    assert encoded.shape == (N, 6, 6, 2)
    raw = (RAW["sketch"][..., 0] - RAW["sketch"].mean()) / RAW["sketch"].std()
    weights = resizing_weights(3, 6)
    expected = np.einsum("nij,ik,jl->nkl", raw, weights, weights)
    np.testing.assert_allclose(encoded[..., 0], expected, atol=1e-5)


# -- hidden in training ----------------------------------------------------------------------------


def hidden_in(told):
    return np.stack(
        [told["digit"] == 5, told["place"][:, -1] == 0, told["sketch"][:, 0, 0, -1] == 0]
    )


def test_shares_of_what_is_hidden():
    """Each with its own rate, and all at once about half as often as the rarest."""
    made = build(digit=0.2, place=0.4, sketch=0.2, words=0.2)
    n, rng = 20000, np.random.default_rng(0)
    values = {name: np.resize(RAW[name], (n, *RAW[name].shape[1:])) for name in RAW}
    draw = lambda shape: ops.convert_to_tensor(rng.random((n, *shape)), "float32")  # noqa: E731
    hidden = hidden_in(as_numpy(made.for_training(values, draw)))
    np.testing.assert_allclose(hidden.mean(axis=1), [0.2, 0.4, 0.2], atol=0.015)
    assert hidden.all(axis=0).mean() == pytest.approx(0.5 * 0.2 + 0.5 * 0.2 * 0.4 * 0.2, abs=0.01)


def test_nothing_is_hidden_in_evaluation(conditions):
    assert not hidden_in(as_numpy(conditions.for_training(RAW, None))).any()


# -- what a network is given -----------------------------------------------------------------------


def test_what_is_not_given_is_null(conditions):
    digit, place, words, sketch = map(ops.convert_to_numpy, conditions.network_inputs({}, 3))
    np.testing.assert_array_equal(digit, [5, 5, 5])
    assert (place.shape, words.shape, sketch.shape) == ((3, 3), (3, 4, 4), (3, 6, 6, 2))
    assert not any(part.any() for part in (place, words, sketch))


def linear_estimate(inputs):
    """An estimate to which each condition adds what it knows."""
    digit, place, words, sketch = map(ops.convert_to_numpy, inputs)
    parts = (digit != 5) * 1.0, place[:, -1] * 10.0, words[..., -1].any(1) * 100.0
    return sum(parts) + sketch[:, 0, 0, -1] * 1000.0


def guided(conditions, **kwargs):
    """The strength with which each condition enters a guided estimate."""
    given = sampling_condition(conditions, 2, condition=some(2), **kwargs)
    given = {name: ops.convert_to_tensor(value) for name, value in given.items()}
    evaluations, strengths = conditions.evaluations(given, 2)
    estimates = [linear_estimate(inputs) for inputs in evaluations]
    total = estimates[0]
    for before, after, w in zip(estimates, estimates[1:], strengths, strict=False):
        total = total + ops.convert_to_numpy(w) * (after - before)
    return len(evaluations), total


def some(n):
    return {name: value[:n] for name, value in RAW.items() if name != "words_mask"}


@pytest.mark.parametrize(
    ("guidance", "evaluations", "expected"),
    [
        (1.0, 1, [1111.0, 1111.0]),
        (0.0, 1, [0.0, 0.0]),
        (2.0, 2, [2222.0, 2222.0]),
        ([0.0, 1.5], 2, [0.0, 1666.5]),
        ({"place": 1.0}, 1, [1111.0, 1111.0]),
        ({"place": 3.0}, 2, [1131.0, 1131.0]),
        ({"sketch": 2.0, "digit": [1.0, 4.0]}, 3, [2111.0, 2114.0]),
    ],
)
def test_guidance(conditions, guidance, evaluations, expected):
    found = guided(conditions, guidance=guidance)
    assert found[0] == evaluations
    np.testing.assert_allclose(found[1], expected)


def test_the_whole_interval_is_none(conditions):
    whole = sampling_condition(conditions, 2, condition=some(2), guidance=2.0, interval=(0.0, 1.0))
    none = sampling_condition(conditions, 2, condition=some(2), guidance=2.0)
    assert whole.keys() == none.keys()


def test_one_row_stands_for_all(conditions):
    rows = given_rows(conditions, 3, {"place": RAW["place"][0], "words": RAW["words"][:1]}, 4)
    assert {name: len(row) for name, row in rows.items()} == {"digit": 3, "place": 1, "words": 1}


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({"plaec": RAW["place"]}, "named 'digit', 'place'.*Received: 'plaec'. Did you.*'place'"),
        (RAW["place"], "as a dictionary"),
        ({"place": RAW["words"]}, r"'place' to be numbers of shape \(n, 2\)"),
        ({"place": np.zeros((2, 3))}, r"shape \(n, 2\)"),
        ({"place": np.array(["a", "b"])}, "'place' to be numbers"),
        ({"place": np.full((2, 2), np.nan)}, "finite values of the condition 'place'"),
        ({"place": RAW["place"][:5]}, "one row of the condition 'place' per example.*2.*5"),
        ({"words": RAW["words"][:2, :, :2]}, r"'words'.*\(n, length, 3\)"),
        ({"words": RAW["words"][:2], "words_mask": np.ones((2, 3))}, r"'words_mask'.*\(2, 4\)"),
        ({"words": RAW["words"][:2], "words_mask": np.full((2, 4), 0.5)}, "a 1 or True"),
        ({"sketch": np.zeros((2, 6, 6, 1))}, r"'sketch'.*\(n, 3, 3, 1\)"),
        ({"digit": [1, 9]}, "labels from 0 to 4"),
    ],
)
def test_unusable_conditions(conditions, condition, message):
    with pytest.raises(ValueError, match=message):
        sampling_condition(conditions, 2, condition=condition)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"guidance": 2.0}, "with a `guidance` other than 1"),
        ({"guidance": {"place": 2.0}}, "with a `guidance` other than 1"),
        (
            {"condition": {"words": RAW["words"][:2]}, "guidance": {"words": 2.0, "place": 2.0}},
            "with a `guidance` other than 1",
        ),
        ({"guidance": {"plce": 2.0}}, "`guidance` by the names.*'plce'"),
        ({"guidance": np.inf}, "finite number"),
        ({"condition": some(2), "guidance": 2.0, "interval": (0.6, 0.5)}, "two growing times"),
        ({"condition": some(2), "guidance": 2.0, "interval": 0.5}, "two growing times"),
    ],
)
def test_unusable_guidance(conditions, kwargs, message):
    with pytest.raises(ValueError, match=message):
        sampling_condition(conditions, 2, **kwargs)


def test_what_was_never_hidden_has_to_be_given():
    made = build(place=0.0)
    with pytest.raises(ValueError, match="the condition 'place': it was never hidden"):
        sampling_condition(made, 2)


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ({"image": Vector()}, "names of conditions other than"),
        ({"guidance": Vector()}, "names of conditions other than"),
        ({"text_mask": Vector()}, "names of conditions other than"),
        ({"a": Labels(2), "b": Labels(3)}, "at most one condition of labels"),
    ],
)
def test_unusable_names(kinds, message):
    with pytest.raises(ValueError, match=message):
        Conditions(kinds)


@pytest.mark.parametrize("dropout", [1.0, -0.1, "half", np.nan])
def test_unusable_dropout(dropout):
    with pytest.raises(ValueError, match=r"`dropout` in \[0, 1\)"):
        Vector(dropout)


def test_an_image_with_other_axes():
    made = Conditions({"volume": Image()})
    with pytest.raises(ValueError, match="with the axes of the data, 3 with the channels"):
        made.build((6, 6, 2), {"volume": (3, 3, 3, 1)})
