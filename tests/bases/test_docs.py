"""The examples in the docstrings run."""

import doctest
import importlib
import pkgutil

import pytest

from keras_gud import bases

MODULES = [f"keras_gud.bases.{m.name}" for m in pkgutil.iter_modules(bases.__path__)]


@pytest.mark.parametrize("name", [*MODULES, "keras_gud.core.streaming_moments"])
def test_doctests(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
