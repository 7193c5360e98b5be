"""One contract for every registered network and data shape."""

import keras
import numpy as np
import pytest
from helpers.networks import (
    IMAGES,
    PATCHES,
    SHAPES,
    TOKENS,
    VECTORS,
    WIRED,
    Outer,
    as_numpy,
    build,
    inputs,
    maybe_compiled,
    perturb,
    run,
    smallest,
)
from keras import ops

from keras_gud import backbones, backend

# Every registered network on every shape that it accepts, made small where its default is large.
SMALL = {"tiny": IMAGES, "ncsnpp": IMAGES, "dit-tiny": PATCHES}
# Known, so that collecting tests builds nothing.
ACCEPTED = {"tiny": SHAPES, "ncsnpp": SHAPES[1:4], "dit-tiny": SHAPES[1:4]}
OTHER_SIZES = {"small", "base", "dit-small", "dit-base"}  # of the same networks
FULL = ("tiny", SHAPES[0])  # with its defaults
# What differs from other cases by size or by the number of axes alone, which all layers share.
ONCE = {FULL, *((name, shape) for name in ("ncsnpp", "dit-tiny") for shape in SHAPES[2:4])}


def make(name, shape):
    if (name, shape) == FULL:
        return backbones.get(name, data_shape=shape)
    small = VECTORS if name == "tiny" and len(shape) == 1 else SMALL.get(name, {})
    return backbones.get(name, data_shape=shape, **small)


def accepts(name, shape):
    with keras.StatelessScope(initialize_variables=False):
        try:
            build(make(name, shape), shape)
        except ValueError as error:
            if not str(error).startswith("Expected"):
                raise
            return False
    return True


NAMES = sorted(set(backbones.registry.factories) - OTHER_SIZES)
CASES = [
    (name, shape)
    for name in NAMES
    for shape in ACCEPTED.get(name, SHAPES)
    if name in ACCEPTED or accepts(name, shape)
]


def test_every_network_has_a_case():
    assert {name for name, _ in CASES} == set(NAMES)


def params(once):
    """All cases; those of which `once` is true run on one backend."""
    return [
        pytest.param(
            (name, shape), id=f"{name}-{shape}", marks=[pytest.mark.once] * once(name, shape)
        )
        for name, shape in CASES
    ]


IN_FULL = params(lambda name, shape: (name, shape) in ONCE)
# Derivatives and half precision do not depend on the number of axes either.
IN_PART = params(lambda name, shape: (name, shape) in ONCE or shape in SHAPES[2:4])


@pytest.fixture(scope="module", params=IN_FULL)
def case(request):
    """A perturbed small network, and its output before that."""
    network = build(make(*request.param), request.param[1])
    shape = request.param[1]
    y, tokens = inputs(shape)
    untrained = run(network, y, tokens)
    return perturb(network), untrained, y, tokens


def test_untrained_output_is_float32_zeros_of_the_shape_of_y(case):
    _, untrained, y, _ = case
    assert untrained.shape == y.shape
    assert untrained.dtype == np.float32
    np.testing.assert_array_equal(untrained, 0.0)


def test_output_depends_on_y_and_on_every_token(case):
    network, _, y, tokens = case
    before = run(network, y, tokens)
    assert np.isfinite(before).all()
    assert np.abs(run(network, y + 1.0, tokens) - before).max() > 1e-3
    for i in range(TOKENS[0]):
        changed = tokens.copy()
        changed[:, i, 0] += 3.0
        assert np.abs(run(network, y, changed) - before).max() > 1e-4, f"token {i}"


def test_examples_do_not_mix(case):
    network, _, y, tokens = case
    other_y, other_tokens = y.copy(), tokens.copy()
    other_y[1] += 1.0
    other_tokens[1] *= 0.5
    changed, before = run(network, other_y, other_tokens), run(network, y, tokens)
    np.testing.assert_allclose(changed[0], before[0], atol=1e-5)
    assert np.abs(changed[1] - before[1]).max() > 1e-3


@pytest.mark.once
def test_saved_inside_a_model_gives_the_same_outputs(case, tmp_path):
    network, _, y, tokens = case
    expected = run(network, y, tokens)
    model = Outer(network)
    model.build((None, *y.shape[1:]))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert len(loaded.weights) == len(model.weights)
    np.testing.assert_array_equal(run(loaded.network, y, tokens), expected)

    model.save_weights(tmp_path / "model.weights.h5")
    copy = Outer(type(network).from_config(network.get_config()))
    copy.build((None, *y.shape[1:]))
    copy.load_weights(tmp_path / "model.weights.h5")
    for ours, theirs in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("case", IN_PART, indirect=True)
def test_jvp_agrees_with_finite_differences(case):
    network, _, y, tokens = case
    direction = np.random.default_rng(1).normal(size=y.shape).astype("float32")

    @maybe_compiled
    def slope(y, tokens, direction):
        return ops.jvp(lambda x: network([x, tokens], training=False), (y,), (direction,))[1]

    derivative = slope(*map(ops.convert_to_tensor, (y, tokens, direction)))
    h = 3e-3
    difference = run(network, y + h * direction, tokens) - run(network, y - h * direction, tokens)
    difference /= 2 * h
    error = np.linalg.norm(as_numpy(derivative) - difference) / np.linalg.norm(difference)
    assert error < 0.02


@pytest.mark.parametrize("case", IN_PART, indirect=True)
def test_mixed_precision_keeps_gamma_and_output_in_float32(case):
    exact, _, y, tokens = case
    config = {**exact.get_config(), "dtype": "mixed_bfloat16"}
    network = build(type(exact).from_config(config), y.shape[1:])
    network.set_weights(exact.get_weights())
    output, expected = run(network, y, tokens), run(exact, y, tokens)
    assert output.dtype == np.float32
    assert not np.array_equal(output, expected), "nothing was computed in bfloat16"
    assert np.linalg.norm(output - expected) < 0.05 * np.linalg.norm(expected)
    embedded = [maybe_compiled(n.embedding)(tokens) for n in (network, exact)]
    for vector, reference in zip(*embedded, strict=True):
        assert keras.backend.standardize_dtype(vector.dtype) == "float32"
        np.testing.assert_array_equal(as_numpy(vector), as_numpy(reference))
    assert {keras.backend.standardize_dtype(w.dtype) for w in network.weights} == {"float32"}


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "low", "high", "shapes"),
    [
        ("tiny", 5e4, 1.6e5, [(28, 28, 1), (64,)]),
        ("small", 4e5, 1.1e6, [(28, 28, 1), (64,)]),
        ("base", 9e6, 1.3e7, [(28, 28, 1), (64,)]),
        ("dit-tiny", 2e5, 3.5e5, [(28, 28, 1), (1000, 3)]),
        ("dit-small", 9e5, 1.3e6, [(28, 28, 1)]),
        ("dit-base", 2.5e7, 3.5e7, [(64, 64, 3)]),
    ],
)
def test_parameter_counts(name, low, high, shapes):
    for shape in shapes:
        network = backbones.get(name, data_shape=shape)
        with keras.StatelessScope(initialize_variables=False):
            build(network, shape)
        assert low < network.count_params() < high


@pytest.mark.parametrize("name", WIRED)
def test_called_like_any_layer(name):
    """Eagerly, inside a model, on NumPy arrays; and with weights handed in."""
    network, shape = smallest(name)
    y, tokens = inputs(shape)
    expected = run(network, y, tokens)
    np.testing.assert_allclose(as_numpy(network([y, tokens])), expected, atol=1e-4)
    in_model = run(network, y, np.ones_like(tokens))
    np.testing.assert_allclose(as_numpy(Outer(network)(y)), in_model, atol=1e-4)
    zeros = [ops.zeros(v.shape) for v in network.trainable_variables]
    output, _ = network.stateless_call(zeros, [], [y, tokens], training=False)
    np.testing.assert_array_equal(as_numpy(output), 0.0)


def test_fori_loop_gives_what_a_python_loop_gives():
    network, shape = smallest("mlp")
    y, tokens = inputs(shape)

    def loop(x):
        return ops.fori_loop(0, 3, lambda i, x: x + 0.1 * network([x, tokens], training=False), x)

    expected = y
    for _ in range(3):
        expected = expected + 0.1 * run(network, expected, tokens)
    np.testing.assert_allclose(as_numpy(backend.compile(loop)(y)), expected, atol=1e-4)
