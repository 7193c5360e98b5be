"""Shared fixtures. The backend is the one of KERAS_BACKEND; CI runs the suite once per backend."""

import importlib
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Compiling takes most of the time of tests on jax and tensorflow. Programs that run once are not
# worth optimising, and jax finds those of other processes and of former runs in a folder.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / "build" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import keras
import numpy as np
import pytest

from keras_gud import backend

MAPS = Path("/proc/self/maps")
MOST_MAPS = 30_000  # Linux allows a process 65530


@pytest.fixture(autouse=True)
def _fixed_seed():
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True, scope="module")
def _bounded_memory_maps():
    """XLA holds several memory maps for each program that jax remembers."""
    yield
    if keras.backend.backend() == "jax" and MAPS.exists():
        if MAPS.read_bytes().count(b"\n") > MOST_MAPS:
            importlib.import_module("jax").clear_caches()


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def torchvision():
    """Lets torchmetrics import torchvision, also beside a CPU build of torch."""
    pytest.importorskip("torch")
    backend.import_torchvision()
