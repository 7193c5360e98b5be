"""The process is killed at random; the same command, started again, ends as if it never had been.

`benchmarks/kills.py` does it a hundred times; here a few.
"""

import os
import re
import subprocess
import sys

import keras
import pytest
from helpers import ROOT
from helpers.marks import slow_but_on_torch


@slow_but_on_torch
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_killed_run_equals_one_that_was_not(tmp_path):
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    env = os.environ | {
        "KERAS_BACKEND": keras.backend.backend(),
        "PYTHONPATH": os.pathsep.join(paths),
        # Every start would compile the same again.
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    command = [sys.executable, str(ROOT / "benchmarks" / "kills.py"), "--quick"]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = dict(re.findall(r"\| ([a-z ,]+) \| (\d+) \| 0 \|", done.stdout))
    assert int(rows["writing a checkpoint"]) >= 1, done.stdout
    assert sum(map(int, rows.values())) >= 3, done.stdout
    assert "0 divergences" in done.stdout, done.stdout
