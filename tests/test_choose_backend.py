"""Which backend is taken, in an environment of which nothing else is known."""

import json
import os
import subprocess
import sys

import pytest
from helpers import ROOT

from keras_gud.choose_backend import choose_backend

pytestmark = pytest.mark.once


def chosen(environment, *installed):
    before = dict(environment)
    found = choose_backend(environment, installed=lambda name: name in installed)
    assert environment == before | ({"KERAS_BACKEND": found} if found else {})
    return found


@pytest.fixture
def home(tmp_path):
    return {"KERAS_HOME": str(tmp_path)}


def test_what_is_installed_is_taken_where_nothing_is_said(home):
    assert chosen(dict(home), "torch") == "torch"
    assert chosen(dict(home), "torch", "jax") == "jax"
    assert chosen(dict(home), "torch", "jax", "tensorflow") is None  # Keras' default is there


def test_what_is_said_is_taken(home, tmp_path):
    assert chosen(home | {"KERAS_BACKEND": "torch"}, "torch", "jax") is None
    assert chosen(home | {"KERAS_BACKEND": "openvino"}, "jax") is None
    (tmp_path / "keras.json").write_text(json.dumps({"backend": "torch"}))
    assert chosen(dict(home), "torch", "jax") is None
    assert chosen(dict(home), "jax") == "jax"
    (tmp_path / "keras.json").write_text("not JSON")
    assert chosen(dict(home), "torch", "jax") == "jax"


def test_what_is_missing_is_named(home):
    with pytest.raises(ImportError, match="pip install jax, or torch, or tensorflow"):
        chosen(dict(home))
    with pytest.raises(ImportError, match=r"KERAS_BACKEND=torch, and installed are \['jax'\]"):
        chosen(home | {"KERAS_BACKEND": "torch"}, "jax")


def test_the_package_is_imported_without_keras_default_backend(tmp_path):
    """A finder hides all backends but torch, as if they were not installed."""
    code = """
import importlib.abc, importlib.util, sys
class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("jax", "tensorflow"):
            raise ModuleNotFoundError(name)
real, hidden = importlib.util.find_spec, ("jax", "tensorflow")
importlib.util.find_spec = lambda name, *rest: None if name in hidden else real(name, *rest)
sys.meta_path.insert(0, Hidden())
import keras_gud, keras
print(keras.backend.backend())
"""
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    environment |= {"PYTHONPATH": str(ROOT), "KERAS_HOME": str(tmp_path)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, text=True, check=False, **pipes
    )
    assert done.stdout.strip() == "torch", done.stderr
    assert "KERAS_BACKEND is not set" in done.stderr
