"""The examples run, quickly, and write what they say; what they are made of, on its own."""

import importlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import ROOT

from keras_gud import presets


def start(example, out, *arguments, **environment):
    """The process of an example."""
    command = [sys.executable, str(ROOT / "examples" / example), "--out", str(out), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    environment["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"  # quick runs mostly compile
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, **pipes)


def run(example, out, *arguments, **environment):
    """What an example prints."""
    with start(example, out, *arguments, **environment) as process:
        printed, errors = process.communicate()
    assert process.returncode == 0, errors
    return printed


def interrupt(process, line):
    """Ends a process as soon as it has printed a line that begins so."""
    with process:
        for printed in process.stdout:
            if printed.strip().startswith(line):
                process.terminate()
                break
        process.communicate()
    assert process.returncode == -signal.SIGTERM


@pytest.mark.slow
def test_demo(tmp_path):
    assert "best component-wise linear model" in run("demo.py", tmp_path, "--quick")
    for name in ("samples.png", "paths.png", "tasks.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "digits.keras").stat().st_size > 1e5


# Quick, but with much to compile: one backend is enough, what they call is tested on every one.
on_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="runs on jax")
on_torch = pytest.mark.skipif(keras.backend.backend() != "torch", reason="runs on torch")


@pytest.mark.slow
@on_jax
def test_restoration(tmp_path):
    table = run("restoration.py", tmp_path, "--quick")
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| ")]
    assert {len(row) for row in rows} == {9}
    methods = ["this network", "biharmonic", "replacement", "best linear"]
    found = [row[1] for row in rows]
    assert found == ["method", *methods, *methods, "this network", "best linear"]
    assert (tmp_path / "restoration.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "restoration.keras").stat().st_size > 1e5


@pytest.mark.slow
@on_jax
def test_extension(tmp_path):
    printed = run("extension.py", tmp_path, "--quick")
    assert "Evaluations per column: " in printed
    rows = [line.split(" | ") for line in printed.splitlines() if line.startswith("| ")]
    assert {len(row) for row in rows} == {7}
    assert "Mean jump from column to column: " in printed
    assert (tmp_path / "extension.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def of_examples(monkeypatch):
    """Imports a module that lies beside the examples."""
    monkeypatch.syspath_prepend(ROOT / "examples")
    return importlib.import_module


@pytest.mark.slow
@on_jax
def test_presets(tmp_path):
    printed = run("presets.py", tmp_path, "--quick")
    rows = [line.split(" | ") for line in printed.splitlines() if line.startswith("| `")]
    assert [row[0] for row in rows] == [f"| `{name}`" for name in presets.ALL]
    assert (tmp_path / "presets.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@on_jax
def test_figures(tmp_path):
    run("figures.py", tmp_path, "--quick")
    for name in ("paths", "schedules", "forward", "columns"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


EXPERIMENTS = {
    "every_path.py": ["every_path.png"],
    "best_paths.py": ["best_paths.png"],
    "learned_paths.py": [],
    "state_samplers.py": [],
    "sudoku.py": ["sudoku.png"],
    "softness_scan.py": ["softness.png"],
    "ordering_scan.py": ["bits_per_dim.png", "frechet.png"],
    "column_generation.py": ["columns.png"],
    "haar_columns.py": ["haar-isotropic.png", "haar-matching.png"],
    "reconstruction.py": ["reconstruction.png"],
    "celeba_fourier.py": ["celeba_fourier.png"],
}
ON_EVERY_BACKEND = ("column_generation.py", "reconstruction.py")


def rows_of(folder):
    """The figures that an experiment has kept."""
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiments(name, tmp_path):
    if keras.backend.backend() != "jax" and name not in ON_EVERY_BACKEND:
        pytest.skip("runs on jax")
    run(name, tmp_path, "--quick", "--seeds", "1")
    folder = tmp_path / Path(name).stem
    for picture in EXPERIMENTS[name]:
        assert (folder / picture).read_bytes().startswith(b"\x89PNG")
    if (folder / "results.jsonl").exists():
        figures = rows_of(folder)
        numbers = [v for row in figures for v in row.values() if isinstance(v, float)]
        assert numbers
        assert np.isfinite(numbers).all()
        assert len((folder / "results.csv").read_text().splitlines()) == len(figures) + 1


@pytest.mark.slow
@on_jax
def test_an_interrupted_experiment_ends_with_the_same_figures(tmp_path):
    name, quick = "column_generation.py", ["--quick", "--epoch", "1"]
    # All runs compile the same.
    cache = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache")}
    cache["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    run(name, tmp_path / "whole", *quick, **cache)
    interrupt(start(name, tmp_path / "parts", *quick, **cache), "epoch 1/4")
    interrupt(start(name, tmp_path / "parts", *quick, **cache), "variant columns, seed 0, b 0,")
    printed = run(name, tmp_path / "parts", *quick, **cache)
    # The first of two networks was trained before the second interruption.
    assert "Training columns, seed 0" not in printed
    assert "Training columns, seed 1" in printed
    whole, parts = (rows_of(tmp_path / part / "column_generation") for part in ("whole", "parts"))
    assert parts == whole
    assert len(parts) == 4


@pytest.mark.once
def test_results_are_not_computed_twice(of_examples, tmp_path):
    evaluation = of_examples("evaluation")
    results = evaluation.Results(tmp_path)
    for seed in range(3):
        results.row(lambda seed=seed: {"figure": 2.0 * seed}, a=0.5, seed=seed)
    again = evaluation.Results(tmp_path)
    assert again.row(None, a=0.5, seed=1)["figure"] == 2.0  # would fail to compute
    mean, error = again.over_seeds("figure", a=0.5)
    assert mean == 2.0
    assert error == pytest.approx(2.0 / np.sqrt(3))
    assert np.isnan(again.over_seeds("figure", a=0.7)).all()


@pytest.mark.once
def test_a_folder_holds_one_setting(of_examples, tmp_path):
    experiment = of_examples("experiment")
    experiment._same_setting(tmp_path / "setting.json", experiment.Setting(steps=5))
    experiment._same_setting(tmp_path / "setting.json", experiment.Setting(steps=5))
    with pytest.raises(SystemExit, match="'steps': \\(5, 6\\)"):
        experiment._same_setting(tmp_path / "setting.json", experiment.Setting(steps=6))


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "dataset", "edge"),
    [
        ("softness_scan", "cifar10", 32),
        ("column_generation", "pcam", 32),
        ("celeba_fourier", "celeb_a_hq", 256),
    ],
)
def test_the_papers_settings_read_its_data(name, dataset, edge, of_examples, monkeypatch):
    tfds = pytest.importorskip("tensorflow_datasets")
    experiment, setting = of_examples("experiment"), of_examples(name).PAPER
    assert (setting.steps, setting.batch_size, setting.dataset) == (300_000, 128, dataset)
    # Made-up data have no splits to take parts of.
    monkeypatch.setattr(experiment, "_SPLITS", {})
    with tfds.testing.mock_data(num_examples=130):
        stream = experiment.training_images(setting, seed=1)
        assert [len(batch) for batch in stream] == [128, 2]
        held_out = experiment.images(setting, "test" if edge == 32 else "train", n=3)
    assert held_out.shape == (3, edge, edge, 3)


@pytest.mark.once
def test_the_linear_estimate_is_the_mean_of_the_gaussian_posterior(of_examples, rng):
    linear = of_examples("rivals").Linear(rng.normal(size=(500, 2, 2, 1)))
    mixing = np.array([[1.0, 0.0], [0.5, 0.0], [0.0, 1.0], [0.0, -1.0]])
    y, noise = rng.normal(size=(3, 2)), 0.5 + 1 / 12
    precision = np.linalg.inv(linear.covariance) + mixing @ mixing.T / noise
    weights = np.linalg.inv(precision) @ mixing / noise
    expected = linear.mean + (y - linear.mean @ mixing) @ weights.T
    found = linear(y, lambda x: x.reshape(-1, 4) @ mixing, variance=0.5)
    np.testing.assert_allclose(found.reshape(3, 4), expected, rtol=1e-6)


@pytest.mark.once
def test_measures_of_restored_images(of_examples, rng):
    measures = of_examples("measures")
    truth = rng.uniform(60, 190, size=(40, 8, 8, 3))
    scored = np.ones((1, *truth.shape[:3], 1), bool)
    off = truth[None, :, None] + 25.5
    np.testing.assert_allclose(measures.psnr(off, truth, scored), 20.0)
    assert measures.pooled_psnr(off, truth, scored) == pytest.approx((20.0, 0.0), abs=1e-6)
    assert measures.frechet(truth[None, :, None], truth)[0] == pytest.approx(0.0, abs=1e-6)
    # Truth and draws are all from one distribution: the error is what the spread says.
    center = rng.uniform(60, 190, size=(40, 8, 8, 3))
    truth, draws = (center[:, None] + rng.normal(size=(40, k, 8, 8, 3)) for k in (1, 5))
    ratio, error = measures.error_over_spread(draws[None], truth[:, 0], scored)
    assert abs(ratio - 1.0) < 4.0 * error < 0.1


@pytest.mark.slow
@on_jax
def test_posterior(tmp_path):
    printed = run("posterior.py", tmp_path, "--quick", "--missing", "0.2")
    assert printed.count("told apart") == 4


@pytest.mark.slow
@on_torch
def test_super_resolution(tmp_path):
    printed = run("super_resolution.py", tmp_path, "--quick")
    # How many steps are taken in so short a time is the machine's affair.
    for network in ("trained on pairs", "a task of one network"):
        assert re.search(rf"\| {network} \| [1-9]\d* \| \d", printed)


@pytest.mark.slow
@on_torch
def test_coupling(tmp_path):
    printed = run("coupling.py", tmp_path, "--quick")
    assert printed.count("\n| 0.2") == 8


@pytest.mark.slow
@on_torch
def test_streams(tmp_path):
    printed = run("streams.py", tmp_path, "--quick")
    for path in ("texture alone", "together"):
        assert re.search(rf"^  {path}: bits -?\d", printed, re.MULTILINE)
    assert (tmp_path / "streams" / "streams.png").read_bytes().startswith(b"\x89PNG")
