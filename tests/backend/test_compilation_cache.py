"""``KERAS_GUD_CACHE=folder``: compiled programs are kept for the next process, on jax."""

import os
import subprocess
import sys

import keras
import pytest
from helpers import ROOT

from keras_gud.backend import use_cache_folder

on_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="jax alone keeps programs")


def test_nothing_is_done_without_it():
    assert use_cache_folder({}) is None


@on_jax
def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"Expected KERAS_GUD_CACHE to name a folder.*Received"):
        use_cache_folder({"KERAS_GUD_CACHE": str(tmp_path / "file" / "folder")})


@on_jax
def test_programs_are_written_and_found_again(tmp_path):
    code = (
        "from keras_gud import backend; from keras import ops\n"
        "print(float(backend.compile(lambda x: ops.sum(ops.sin(x)))([0.0, 0.0])))"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    environment |= {"KERAS_GUD_CACHE": str(tmp_path / "new"), "PYTHONPATH": str(ROOT)}

    def files():
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)
        return {path.name for path in (tmp_path / "new").glob("*-cache")}

    first = files()
    assert first
    assert files() == first
