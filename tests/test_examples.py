"""The examples run, quickly, and write what they say."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_demo(tmp_path):
    command = [sys.executable, str(ROOT / "examples" / "demo.py"), "--out", str(tmp_path)]
    quick = ["--epochs", "1", "--steps", "3", "--samples", "4", "--backbone", "tiny"]
    quick += ["--held-out", "8"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        command + quick, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "best component-wise linear model" in result.stdout
    for name in ("samples.png", "forward.png", "schedule.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "digits.keras").stat().st_size > 1e5
