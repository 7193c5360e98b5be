"""`benchmarks/accelerator.py` runs in full at small sizes, and survives what fails."""

import json
import os
import subprocess
import sys

import accelerator
import accelerator_sections
import numpy as np
import pytest
from accelerator_settings import Settings
from accelerator_values import distances
from helpers import ROOT


@pytest.mark.once
def test_a_section_that_fails_is_a_line_of_the_table(tmp_path, monkeypatch):
    def section(settings):
        yield {"what": "first", "ours": 2.0, "unit": "s"}
        raise MemoryError("out of memory")

    monkeypatch.setitem(accelerator_sections.SECTIONS, "race", section)
    found = accelerator.run_section("race", Settings.quick(), 9.0, tmp_path)
    text = accelerator.table({"machine": "a card", "sections": {"race": found}})
    assert "| race | first | 2 |  |  | s |  |" in text
    assert "| race | failed: MemoryError: out of memory |" in text


@pytest.mark.once
def test_a_section_that_takes_too_long_keeps_its_rows(tmp_path, monkeypatch):
    slow = 'import sys, time; open(sys.argv[3], "a").write(\'{"what": "one"}\\n\'); time.sleep(99)'
    (tmp_path / "accelerator_sections.py").write_text(slow)
    monkeypatch.setattr(accelerator, "HERE", tmp_path)
    found = accelerator.run_section("race", Settings(), 1.0, tmp_path)
    assert found["state"].startswith("ended after")
    assert found["rows"] in ([], [{"what": "one"}])  # a loaded machine may not have come so far


@pytest.mark.once
def test_distances_are_relative():
    values, reference = {"a": np.array([3.0, 3.0])}, {"a": np.array([2.0, 2.0])}
    assert distances(values, reference) == {"a": 0.5}


@pytest.mark.slow
@pytest.mark.once
def test_all_sections(tmp_path):
    command = [sys.executable, str(ROOT / "benchmarks" / "accelerator.py"), "--quick"]
    command += ["--minutes", "60"]  # whatever else the machine does
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    env["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    subprocess.run([*command, "--out", str(tmp_path)], env=env, check=True, capture_output=True)
    found = json.loads((tmp_path / "results.json").read_text())
    states = {name: section["state"] for name, section in found["sections"].items()}
    assert states == dict.fromkeys(accelerator.LIMITS, "done")
