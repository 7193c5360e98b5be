"""What the benchmarks measure with: counted FLOPs, the Frechet distance, and how runs scale."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from flops import count_flops
from frechet import digit_features, feature_distance, frechet_distance, random_features
from helpers import ROOT
from scaling_model import (
    Machine,
    Network,
    bottleneck,
    collectives,
    efficiency,
    fitting_batch,
    hiding_batch,
    reduce_time,
    step_times,
)

from keras_gud import backbones, datasets


@pytest.mark.once
def test_flops_of_convolutions_and_dense_layers():
    network = keras.Sequential(
        [keras.layers.Conv2D(4, 3, padding="same"), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    network.build((None, 5, 6, 3))

    class First(keras.layers.Layer):
        def call(self, inputs):
            return network(inputs[0])

    expected = 2 * 7 * (5 * 6 * 9 * 3 * 4 + 5 * 6 * 4 * 2)
    assert count_flops(First(), [(7, 5, 6, 3)]) == expected


@pytest.mark.once
def test_flops_of_attention():
    """Cross-attention: the two projected token matrices, logits and mixing; and keys and values."""
    batch, n, width, count, features, heads = 3, 40, 8, 5, 6, 2

    class Cross(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.attention = backbones.CrossAttention(heads)

        def call(self, inputs):
            return self.attention(*inputs)

    dense = 2 * count * features * width
    absorbed = 2 * count * width * width
    products = 2 * n * heads * count * width
    expected = 2 * batch * (dense + absorbed + products)
    assert count_flops(Cross(), [(batch, n, width), (batch, count, features)]) == expected


def images(seed, n=400, contrast=40):
    rng = np.random.default_rng(seed)
    return np.clip(128 + contrast * rng.normal(size=(n, 9, 9, 3)), 0, 255).astype("uint8")


@pytest.mark.once
def test_frechet_distance_is_0_for_the_same_and_grows_with_the_difference():
    reference = images(0)
    assert frechet_distance(reference, reference) == pytest.approx(0.0, abs=1e-6)
    level = frechet_distance(images(1), reference)
    far = [frechet_distance(images(1, contrast=c), reference) for c in (50, 60)]
    assert 0 < level < far[0] < far[1]


@pytest.mark.once
def test_features_do_not_depend_on_the_other_images():
    x = images(2, n=6)
    np.testing.assert_allclose(random_features(x)[2:4], random_features(x[2:4]), rtol=1e-12)
    assert random_features(x).shape == (6, 48)


@pytest.mark.once
def test_feature_distance_of_gaussians_is_the_closed_form():
    """Shifted by m, scaled by k: m^2 + (k - 1)^2 tr C, over tr C; a unit never on adds nothing."""
    b = np.random.default_rng(0).normal(size=(50, 5)) * np.array([1.0, 2.0, 3.0, 0.5, 0.0])
    total, shift = np.trace(np.cov(b.T)), np.array([1.0, 0.0, -2.0, 0.0, 0.0])
    assert feature_distance(b, b) == pytest.approx(0.0, abs=1e-9)
    assert feature_distance(b + shift, b) == pytest.approx(5.0 / total)
    scaled = b.mean(0) + 1.5 * (b - b.mean(0))
    assert feature_distance(scaled, b) == pytest.approx(0.25)


@pytest.mark.once
def test_digit_features_tell_digits_from_noise():
    digits = datasets.load("digits")
    assert digit_features(digits[:3]).shape == (3, 64)
    noise = np.random.default_rng(0).integers(0, 256, size=(300, 8, 8, 1), dtype="uint8")
    near = frechet_distance(digits[:300], digits, digit_features)
    assert 0.0 < near < 0.03 < frechet_distance(noise, digits, digit_features)


# -- how runs scale -------------------------------------------------------------------------------


@pytest.mark.once
def test_collectives_of_a_program():
    text = """
    %all-reduce.1 = (f32[3,4]{1,0}, bf16[5]{0}) all-reduce(%a, %b), channel_id=1
    %sum = f32[] all-reduce-start(%c), channel_id=2
    %parts = s32[2,1]{1,0} all-gather(%d), dimensions={0}
    %other = f32[3,4]{1,0} get-tuple-element(%all-reduce.1), index=0
    """
    assert collectives(text) == {"all-gather": (1, 8), "all-reduce": (2, 48 + 10 + 4)}
    assert collectives("%x = f32[2]{0} add(%a, %b)") == {}


@pytest.mark.once
def test_time_of_an_all_reduce():
    machine = Machine(within=100.0, between=10.0, latency=0.0)
    assert reduce_time(400.0, 1, machine) == 0.0
    assert reduce_time(400.0, 2, machine) == pytest.approx(4.0)
    assert reduce_time(400.0, 8, machine) == pytest.approx(7.0)
    # Each of the eight takes an eighth to the other host.
    assert reduce_time(400.0, 16, machine) == pytest.approx(7.0 + 5.0)
    slow = Machine(within=100.0, between=10.0, latency=0.5, reduces=3)
    assert reduce_time(400.0, 16, slow) == pytest.approx(12.0 + 3 * 0.5 * 8)


def network(**changes):
    given = {"size": 64, "parameters": 10**6, "flops": 1e9}
    given |= {"memory": 1e9, "traffic": 1e6}
    return Network(**given | changes)


@pytest.mark.once
def test_batches_fill_the_memory():
    assert fitting_batch(network(), Machine(memory=80e9, usable=0.5)) == 32
    weights = network(parameters=10**9)  # 20 GB
    assert fitting_batch(weights, Machine(memory=40e9, usable=1.0)) == 16
    assert fitting_batch(weights, Machine(memory=20.5e9, usable=1.0)) == 0


@pytest.mark.once
def test_what_a_step_costs():
    machine = Machine(arithmetic=1e12, utilisation=0.5, traffic=1e12, spread=0.0)
    times = step_times(network(), machine, 1, 4)
    assert times["arithmetic"] == pytest.approx(3 * 4e9 / 5e11)
    assert times["memory traffic"] == pytest.approx((4e6 + 36e6) / 1e12)
    assert times["step"] == times["arithmetic"]
    assert bottleneck(times) == "arithmetic"


@pytest.mark.once
def test_what_limits_a_step():
    worse = {
        "memory traffic": Machine(traffic=1e6),
        "all-reduce": Machine(between=1e3),
        "input": Machine(read=1e3),
        "host": Machine(host=10.0),
    }
    for name, machine in worse.items():
        assert bottleneck(step_times(network(), machine, 64, 8)) == name


@pytest.mark.once
def test_efficiency_is_lost_to_the_all_reduce_and_to_small_batches():
    machine = Machine(spread=0.0, latency=0.0, host=0.0, between=1e7, read=1e12)
    batch = fitting_batch(network(), machine)
    assert efficiency(network(), machine, 1, batch) == pytest.approx(1.0)
    assert efficiency(network(), machine, 8, batch) == pytest.approx(1.0)
    least = hiding_batch(network(), machine, 64)
    assert least > 1
    assert step_times(network(), machine, 64, least - 1)["exposed"] > 0
    few, enough = (efficiency(network(), machine, 64, n) for n in (1, least))
    assert few < enough


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "jax", reason="keras.distribution is jax's")
def test_devices_exchange_their_gradients_once_and_nothing_in_sampling():
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(ROOT / "benchmarks" / "scaling.py"), "--quick"]
    # Nothing but the programs' text is of interest, so they need not be fast.
    env = os.environ | {"PYTHONPATH": paths, "XLA_FLAGS": "--xla_backend_optimization_level=0"}
    output = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
    (line,) = (line for line in output.splitlines() if line.startswith("| one level"))
    four = [cell.strip() for cell in line.split("|")]
    assert (four[2], four[5]) == ("4", "none")
    _, size = four[4].split("all-reduce, ")
    assert float(four[3]) == pytest.approx(float(size), abs=0.3)  # KiB; and a few scalars
