"""Extras: those that errors and pages name exist, and hold what the error is about."""

import ast
import configparser
import re
import sys

import pytest
from helpers import ROOT

pytestmark = pytest.mark.once

CONFIG = configparser.ConfigParser(interpolation=None)
CONFIG.read(ROOT / "setup.cfg")
SOURCES = {path: ast.parse(path.read_text()) for path in (ROOT / "keras_gud").rglob("*.py")}
# Distributions by the names that they are imported by, where these differ.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "tensorflow_datasets": "tensorflow-datasets",
    "torch_fidelity": "torch-fidelity",
}
# Brought by Keras or a backend; onnxruntime is for the programs that an export writes.
BROUGHT = {"h5py", "jaxlib", "onnxruntime", "torchvision"}


def requirements(text):
    """Names of distributions in a list of requirements."""
    lines = (line.strip() for line in text.splitlines())
    return {re.split(r"[<>=]", line)[0] for line in lines if line and not line.startswith("%")}


CORE = requirements(CONFIG["options"]["install_requires"])
EXTRAS = {name: requirements(text) for name, text in CONFIG["options.extras_require"].items()}
# The extras that users install, not developers.
FOR_USE = set(EXTRAS) - {"bench", "dev", "docs", "test"}


def errors_of_missing_packages():
    """The packages and the extras that calls of `optional.missing` name, where they do so."""
    for tree in SOURCES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "optional.missing":
                package, _, extra = (*node.args, ast.Constant("demo"))[:3]
                if isinstance(package, ast.Constant) and isinstance(extra, ast.Constant):
                    yield package.value, extra.value


def imported():
    """The top-level names that the package imports, its own and Python's left out."""
    for tree in SOURCES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.split(".")[0]


def test_errors_name_extras_that_hold_the_package():
    found = list(errors_of_missing_packages())
    assert len(found) > 8
    assert [(package, extra) for package, extra in found if package not in EXTRAS[extra]] == []


def test_everything_imported_is_required_or_in_an_extra():
    names = {DISTRIBUTIONS.get(name, name) for name in imported()}
    others = names - set(sys.stdlib_module_names) - {"keras_gud"} - CORE - BROUGHT
    assert others - set().union(*(EXTRAS[extra] for extra in FOR_USE)) == set()
    assert {"pillow", "matplotlib"} <= others


def test_the_readme_names_every_extra():
    (text,) = re.findall(r"Extras: (.*?)\n\n", (ROOT / "README.md").read_text(), re.DOTALL)
    assert set(re.findall(r"`([\w-]+)`", text)) == set(EXTRAS)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/start.md", "keras_gud"])
def test_commands_install_extras_that_exist(page):
    files = [ROOT / page] if page.endswith(".md") else SOURCES
    text = "\n".join(path.read_text() for path in files)
    extras = {name for some in re.findall(r'"\.\[([\w,]+)\]"', text) for name in some.split(",")}
    assert extras <= set(EXTRAS)
