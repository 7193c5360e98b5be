"""Shared fixtures. The backend is the one of KERAS_BACKEND; CI runs the suite once per backend."""

import importlib
import os

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _fixed_seed():
    keras.utils.set_random_seed(0)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def torchvision():
    """Lets torch-fidelity and torchmetrics import torchvision, also beside a CPU build of torch.

    Its wheel is built for CUDA. Beside another build its operators do not load, and its import
    fails since it describes two of them that are not there. None is used in these tests.
    """
    torch = pytest.importorskip("torch")
    try:
        importlib.import_module("torchvision")
    except ModuleNotFoundError:
        pass  # then nothing imports it
    except RuntimeError:
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor x, Tensor y, float z) -> Tensor")
        importlib.import_module("torchvision")
