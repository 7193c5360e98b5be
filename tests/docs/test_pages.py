"""The Python of every page runs as written, in the order of the page; links lead somewhere."""

import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from helpers import ROOT
from helpers.pages import SHORTER, python_blocks, run_page

DOCS = ROOT / "docs"
# Pages of jax alone, which need devices and so a process of their own.
ON_JAX = [DOCS / "tutorials" / "several_devices.md"]
PAGES = sorted(path for path in DOCS.rglob("*.md") if python_blocks(path) and path not in ON_JAX)
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


# Pages with networks that take more than a few seconds: trained ones, paths, and solvers.
SLOW = {"choose_a_path", "every_path", "gallery", "tutorials/likelihoods", "tutorials/restoration"}
SLOW |= {"tutorials/lattice", "tutorials/latents", "tutorials/strips"}


def name_of(path):
    return path.relative_to(DOCS).with_suffix("").as_posix()


def marked(path):
    name = name_of(path)
    return pytest.param(path, id=name, marks=[pytest.mark.slow] if name in SLOW else [])


@pytest.mark.once
@pytest.mark.parametrize("path", [marked(path) for path in PAGES])
@pytest.mark.filterwarnings("ignore")  # of four steps of training there is much to warn of
def test_page_runs(path, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    logged = []
    stand_in = {"init": lambda **settings: None, "log": logged.append, "finish": lambda: None}
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(**stand_in))
    run_page(path, monkeypatch, SHORTER)
    assert any("loss" in logs for logs in logged) == ("import wandb" in path.read_text())


@pytest.mark.once
@pytest.mark.slow
@pytest.mark.parametrize("path", ON_JAX, ids=name_of)
def test_page_runs_on_jax(path, tmp_path):
    pytest.importorskip("jax")
    code = (
        "import pathlib, sys, pytest; from helpers import pages;"
        "pages.run_page(pathlib.Path(sys.argv[1]), pytest.MonkeyPatch(), pages.SHORTER)"
    )
    folders = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    environment = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": folders}
    environment["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "4 devices" in done.stdout


@pytest.mark.once
@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=name_of)
def test_links_lead_to_files(path):
    links = [link for link in _LINK.findall(path.read_text()) if "://" not in link]
    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.once
def test_every_page_is_in_the_contents():
    inside = {
        (path.parent / line).resolve()
        for path in DOCS.rglob("*.md")
        for block in re.findall(r"```\{toctree\}\n(.*?)```", path.read_text(), re.DOTALL)
        for line in block.split()
        if not line.startswith(":")
    }
    pages = {path.resolve().with_suffix("") for path in DOCS.rglob("*.md")}
    assert pages - inside == {(DOCS / "index").resolve()}
