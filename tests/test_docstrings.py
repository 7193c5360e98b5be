"""Every example in a docstring runs, and everything public has a docstring."""

import doctest
import functools
import importlib
import inspect
import pkgutil

import keras
import pytest

import keras_gud

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def _modules() -> list[str]:
    # A package that cannot be imported still yields its name, and its own test shows the error.
    found = pkgutil.walk_packages(keras_gud.__path__, "keras_gud.", onerror=lambda name: None)
    return ["keras_gud", *(info.name for info in found)]


MODULES = _modules()


def _import(name: str):
    try:
        return importlib.import_module(name)
    except ImportError:
        if name.startswith("keras_gud.backend."):
            pytest.skip(f"{name} needs a backend that is not installed")
        raise


@functools.cache
def _run_examples(name: str) -> tuple[int, str]:
    """The number of examples in a module's docstrings, and what went wrong with them."""
    report = []
    runner = doctest.DocTestRunner(optionflags=OPTIONS, verbose=False)
    for test in doctest.DocTestFinder(exclude_empty=True).find(_import(name), name):
        # As in a fresh interpreter: Keras numbers the names of layers ("pixel_2") per process.
        keras.utils.clear_session(free_memory=False)
        runner.run(test, out=report.append)
    return runner.tries, "".join(report)


def _undocumented(module) -> list[str]:
    """Public classes and functions of a module that have no docstring of their own."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
        and not (value.__doc__ or "").strip()
    ]


def _on_every_backend(name: str) -> bool:
    """Whether examples are about what backends differ in; others show what other tests check."""
    return ".backend" in name


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if _on_every_backend(name) else pytest.mark.once)
     for name in MODULES],
)  # fmt: skip
def test_examples_run(name):
    _, report = _run_examples(name)
    assert not report, report


@pytest.mark.once
def test_there_are_examples():
    assert sum(_run_examples(name)[0] for name in MODULES if ".backend." not in name) > 0


@pytest.mark.once
@pytest.mark.parametrize("name", MODULES)
def test_everything_public_has_a_docstring(name):
    module = _import(name)
    assert (module.__doc__ or "").strip(), f"{name} has no docstring"
    assert _undocumented(module) == []


@pytest.mark.once
def test_a_wrong_example_and_a_missing_docstring_are_seen(tmp_path, monkeypatch):
    (tmp_path / "poor_example.py").write_text(
        '"""Doc.\n\n>>> 1 + 1\n3\n"""\n\n\ndef silent():\n    pass\n\n\ndef _private():\n    pass\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    tries, report = _run_examples("poor_example")
    assert tries == 1
    assert "Expected:\n    3\nGot:\n    2" in report
    assert _undocumented(_import("poor_example")) == ["silent"]
