"""Several devices and processes compute what one does: the examples, run in every way."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import IMPORTABLE, ROOT
from helpers.marks import slow_but_on_torch

import keras_gud
from keras_gud import backend
from keras_gud.data.epoch_order import EpochOrder
from keras_gud.data.source import Source

EXAMPLES = ROOT / "examples" / "distributed"
BACKEND = keras.backend.backend()


def free_ports(n: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(n)]
        for probe in probes:
            probe.bind(("localhost", 0))
        return [probe.getsockname()[1] for probe in probes]


def free_port() -> int:
    return free_ports(1)[0]


def start(*command, **variables):
    env = os.environ | {"PYTHONPATH": IMPORTABLE} | {k: str(v) for k, v in variables.items()}
    parts = [sys.executable, *map(str, command)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(parts, env=env, **pipes)


def finish(*processes):
    try:
        outputs = [process.communicate(timeout=280)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output
    return outputs


def results(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text())


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one device makes of it."""
    import training

    return training.run(training.build(quick=True), tmp_path_factory.mktemp("alone"), quick=True)


def assert_same(got: dict, alone: dict):
    assert len(got["losses"]) == 2
    np.testing.assert_allclose(got["losses"], alone["losses"], rtol=2e-6)
    for name in ("evaluated", "linear"):
        assert got[name] == pytest.approx(alone[name], rel=2e-6)
    # The solver's steps are chosen by the whole batch, to a tolerance of 1e-3.
    np.testing.assert_allclose(got["bits"], alone["bits"], rtol=1e-4)
    # 8-bit images, where rounding may turn a grey level.
    assert np.abs(np.subtract(got["samples"], alone["samples"])).max() <= 1
    assert np.not_equal(got["samples"], alone["samples"]).mean() < 0.01


@pytest.mark.skipif(BACKEND != "jax", reason="keras.distribution is jax's")
@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), marks=pytest.mark.slow, id="data"),
        pytest.param(("--model-parallel", 2), id="data and model"),
    ],
)
def test_four_devices(alone, tmp_path, options):
    script = EXAMPLES / "on_jax.py"
    finish(start(script, "--quick", "--cpus", 4, "--out", tmp_path, *options))
    assert_same(results(tmp_path), alone)


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "jax", reason="keras.distribution is jax's")
def test_two_hosts(alone, tmp_path):
    options = ["--quick", "--hosts", 2, "--address", f"localhost:{free_port()}"]
    options += ["--out", tmp_path / "out", "--cpus", 1]
    finish(*(start(EXAMPLES / "on_jax.py", *options, "--host", i) for i in range(2)))
    for i in range(2):
        assert_same(results(tmp_path / f"out-{i}"), alone)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.distribute")
def test_two_replicas(alone, tmp_path):
    finish(start(EXAMPLES / "on_tensorflow.py", "--quick", "--cpus", 2, "--out", tmp_path))
    assert_same(results(tmp_path), alone)


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.distribute")
def test_two_workers(alone, tmp_path):
    cluster = {"worker": [f"localhost:{port}" for port in free_ports(2)]}
    tasks = [{"cluster": cluster, "task": {"type": "worker", "index": i}} for i in range(2)]
    script = EXAMPLES / "on_tensorflow.py", "--quick", "--out", tmp_path / "out"
    finish(*(start(*script, TF_CONFIG=json.dumps(task)) for task in tasks))
    for i in range(2):
        assert_same(results(tmp_path / f"out-{i}"), alone)


@pytest.mark.skipif(BACKEND != "torch", reason="torch.distributed")
def test_two_processes(alone, tmp_path):
    common = {"WORLD_SIZE": 2, "MASTER_ADDR": "localhost", "MASTER_PORT": free_port()}
    script = EXAMPLES / "on_torch.py", "--quick", "--out", tmp_path / "out"
    finish(*(start(*script, RANK=i, LOCAL_RANK=i, **common) for i in range(2)))
    for i in range(2):
        assert_same(results(tmp_path / f"out-{i}"), alone)


@slow_but_on_torch
@pytest.mark.skipif(BACKEND == "tensorflow", reason="its strategies divide data by themselves")
def test_what_processes_tell_each_other():
    worker, port = ROOT / "tests" / "helpers" / "two_processes.py", free_port()
    outputs = finish(*(start(worker, i, port) for i in range(2)))
    assert all("as it should be" in output for output in outputs)


# -- without other devices ------------------------------------------------------------------------


@pytest.mark.once
def test_parts_of_batches_make_them_whole():
    whole = EpochOrder(11, 4, shuffle=True, seed=3)
    parts = [EpochOrder(11, 4, shuffle=True, seed=3, part=(i, 2)) for i in range(2)]
    for index in range(3):
        rows = [part.rows(index, epoch=5) for part in parts]
        np.testing.assert_array_equal(np.concatenate(rows), whole.rows(index, epoch=5))
    assert whole.sizes() == {4, 3}
    assert EpochOrder(3, 4, shuffle=False, seed=0).sizes() == {3}
    assert EpochOrder(8, 4, shuffle=False, seed=0).sizes() == {4}


@pytest.mark.once
@pytest.mark.parametrize(
    ("n", "batch_size", "said"),
    [(50, 16, "48 or 52 examples"), (48, 18, "a multiple of 4"), (3, 16, "0 or 4 examples")],
)
def test_what_devices_cannot_divide(monkeypatch, n, batch_size, said):
    source = Source(np.zeros((n, 4), "float32"), batch_size=batch_size)
    source.check_divides()
    monkeypatch.setattr(backend, "batch_shards", lambda: 4)
    with pytest.raises(ValueError, match=said):
        source.check_divides()


@pytest.mark.once
def test_streams_are_divided_as_they_are_read(monkeypatch):
    monkeypatch.setattr(backend, "batch_shards", lambda: 4)
    batches = iter([np.zeros((8, 2), "float32"), np.ones((6, 2), "float32")])
    source = Source(batches)
    source.check_divides()
    with pytest.raises(ValueError, match="4 devices .* Received: a batch of 6 examples"):
        list(source.keras_data)


@pytest.mark.once
def test_a_stream_reads_its_part():
    stream = keras_gud.datasets.load("digits", "train", n=32, batch_size=8, shuffle=True)
    whole = stream[1]
    source = Source(stream, part=(1, 2))
    np.testing.assert_array_equal(source.first, stream[0])
    np.testing.assert_array_equal(stream[1], whole[4:])


@pytest.mark.once
def test_a_layout_needs_an_axis_of_the_mesh():
    mesh = keras.distribution.DeviceMesh((1, 2), ("batch", "model"), ["cpu:0", "cpu:1"])
    with pytest.raises(ValueError, match="one of .*'batch', 'model'.* axis='models'"):
        keras_gud.backbones.layout_map(mesh, axis="models")


@pytest.mark.once
@pytest.mark.parametrize("name", ["tiny", "small"])
@pytest.mark.parametrize("shape", [(16, 16, 3), (8,), (16, 2)], ids=str)
def test_the_layout_divides_most_weights_and_their_averages(name, shape):
    mesh = keras.distribution.DeviceMesh((1, 4), ("batch", "model"), [f"cpu:{i}" for i in range(4)])
    layout = keras_gud.backbones.layout_map(mesh)
    model = keras_gud.GUD(backbone=name, schedule="cosine", seed=0)
    rng = np.random.default_rng(0)
    model.adapt(rng.normal(size=(32, *shape)).astype("float32"), verbose=0)
    total, divided = 0, []
    for weight, average in zip(model.network.weights, model.ema.average, strict=True):
        found = layout[weight.path], layout[average.path]
        total += np.prod(weight.shape)
        assert (found[0] is None) == (found[1] is None), weight.path
        if found[0] is not None:
            assert found[0].axes == found[1].axes == (None,) * (len(weight.shape) - 1) + ("model",)
            assert weight.shape[-1] % 4 == 0, weight.path
            divided.append(np.prod(weight.shape))
    assert sum(divided) > 0.5 * total
