"""The house rules: imports go one way, one file knows the backends, files stay short."""

import ast
from pathlib import Path

import pytest

import keras_gud

ROOT = Path(__file__).parents[1] / "keras_gud"
FILES = sorted(ROOT.rglob("*.py"))
LONGEST = 300
BACKENDS = {"jax", "jaxlib", "tensorflow", "torch"}

# From bottom to top, one row a level. A folder of keras_gud/ may import from lower rows only.
LEVELS = (
    {"backend", "choose_backend", "version"},
    {"core"},
    {"backbones", "bases", "conditioning", "persistence", "priors"},
    {"data", "diffusion"},
    {"datasets", "oracle", "plots", "samplers", "schedules"},
    {"likelihood", "regions"},
    {"metrics", "paths", "presets", "tasks"},
    {"training"},
    {"callbacks", "models"},
    {"pretrained", "scikit_learn"},
)
# Folders that may use less than their level allows: networks know arrays and gamma, nothing else.
ONLY = {"backbones": {"core"}}

ROOT_PART = "__init__"
LEVEL_OF = {part: level for level, parts in enumerate(LEVELS) for part in parts}


def module_of(path: Path) -> tuple[str, ...]:
    """`keras_gud/bases/haar.py` -> `("keras_gud", "bases", "haar")`; packages keep `__init__`."""
    return ("keras_gud", *path.relative_to(ROOT).with_suffix("").parts)


def imported_names(source: str, module: tuple[str, ...]) -> set[str]:
    """Dotted names that a module imports, wherever the statement stands, relative ones resolved.

    `from a import b` gives `a.b`, since b may be a module.
    """
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = list(module[: -node.level]) if node.level else []
            base += node.module.split(".") if node.module else []
            names |= {".".join([*base, alias.name]) for alias in node.names}
        elif isinstance(node, ast.Call) and node.args:
            function = getattr(node.func, "attr", getattr(node.func, "id", None))
            argument = node.args[0]
            if function in ("import_module", "__import__") and isinstance(argument, ast.Constant):
                names.add(str(argument.value))
    return names


def backend_violations(source: str, module: tuple[str, ...]) -> list[str]:
    """The backends that a module imports without being `keras_gud.backend`."""
    if module[1] == "backend":
        return []
    return sorted(n for n in imported_names(source, module) if n.split(".")[0] in BACKENDS)


def arrow_violations(source: str, module: tuple[str, ...]) -> list[str]:
    """Sentences about the imports of a module that point the wrong way."""
    part = module[1]
    if part == ROOT_PART:
        return []
    if part not in LEVEL_OF:
        return [f"keras_gud.{part} has no level: add it to LEVELS in tests/test_architecture.py"]
    found = []
    for name in sorted(imported_names(source, module)):
        head, *rest = name.split(".")
        if head != "keras_gud" or rest[:1] == [part]:
            continue
        target = rest[0] if rest else ROOT_PART
        lower = LEVEL_OF.get(target, len(LEVELS)) < LEVEL_OF[part]
        if part in ONLY:
            lower = target in ONLY[part]
        if not lower:
            found.append(f"keras_gud.{part} must not import {name}")
    return found


def untyped(tree: ast.AST) -> list[str]:
    """The public arguments and returns without a type, in a module or a class."""
    found = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found += untyped(node)
        elif isinstance(node, ast.FunctionDef) and (
            not node.name.startswith("_") or node.name in ("__init__", "__call__")
        ):
            given = node.args
            arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs]
            arguments += [a for a in (given.vararg, given.kwarg) if a]
            if isinstance(tree, ast.ClassDef) and arguments[:1]:
                arguments = arguments[arguments[0].arg in ("self", "cls") :]
            found += [f"{node.name}({a.arg})" for a in arguments if a.annotation is None]
            found += [] if node.returns or node.name == "__init__" else [f"{node.name} ->"]
    return found


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_backend_imports_a_backend(path):
    assert backend_violations(path.read_text(), module_of(path)) == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_downwards(path):
    assert arrow_violations(path.read_text(), module_of(path)) == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_are_short(path):
    lines = len(path.read_text().splitlines())
    assert lines <= LONGEST


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_public_signatures_are_typed(path):
    assert untyped(ast.parse(path.read_text())) == []


def test_every_part_has_one_level():
    assert sum(map(len, LEVELS)) == len(LEVEL_OF)
    assert set(LEVEL_OF) == {module_of(path)[1] for path in FILES} - {ROOT_PART}


def test_the_house_was_found():
    assert {"core/registry.py", "bases/basis.py"} <= {name_of(path) for path in FILES}


# The checkers themselves, on sources that break the rules.


@pytest.mark.parametrize(
    "source",
    [
        "import jax",
        "import jax.numpy as jnp",
        "from tensorflow import keras",
        "from jax.numpy import zeros",
        "def f():\n    import torch",
        "try:\n    import torch.nn\nexcept ImportError:\n    pass",
        "import importlib\nimportlib.import_module('jax')",
    ],
)
def test_backend_imports_are_seen_wherever_they_hide(source):
    assert len(backend_violations(source, ("keras_gud", "bases", "haar"))) == 1
    assert backend_violations(source, ("keras_gud", "backend")) == []


@pytest.mark.parametrize(
    "source",
    ["import keras", "from keras import ops", "import torchvision", "# import jax", "x = 'jax'"],
)
def test_other_imports_are_no_backend(source):
    assert backend_violations(source, ("keras_gud", "bases", "haar")) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("core.registry", "from keras_gud import bases"),
        ("bases.haar", "from keras_gud import priors"),
        ("bases.haar", "from keras_gud.models.gud_model import GUDModel"),
        ("bases.haar", "import keras_gud"),
        ("bases.haar", "from keras_gud import GUD"),
        ("bases.haar", "from keras_gud import not_listed"),
        ("bases.haar", "from .. import schedules"),
        ("bases.haar", "from ..samplers.sampler import Sampler"),
        ("bases.__init__", "from ..models.gud_model import GUDModel"),
        ("backbones.unet", "from keras_gud.diffusion import NoisingState"),
        ("backbones.unet", "from keras_gud import backend"),
        ("samplers.euler", "def f():\n    import keras_gud.models"),
        ("samplers.euler", "from keras_gud import likelihood"),
        ("training.ema", "from keras_gud.models.gud import GUD"),
        ("models.gud_model", "from keras_gud import pretrained"),
    ],
)
def test_wrong_arrows_are_seen(module, source):
    (violation,) = arrow_violations(source, ("keras_gud", *module.split(".")))
    assert f"keras_gud.{module.split('.')[0]} must not import keras_gud" in violation


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("bases.haar", "from keras_gud import core\nfrom keras_gud.core.registry import PACKAGE"),
        ("bases.haar", "from keras_gud.bases.basis import Basis\nfrom .dct import DCT"),
        ("bases.haar", "from ..core.streaming_moments import Covariance"),
        ("bases.__init__", "from .haar import Haar"),
        ("backbones.unet", "from keras_gud.core import data_shape, registry"),
        ("models.gud", "from keras_gud.models.gud_model import GUDModel"),
        ("tasks.extend", "from keras_gud import samplers, schedules, core"),
        ("__init__", "from keras_gud import tasks\nfrom keras_gud.models.gud import GUD"),
    ],
)
def test_right_arrows_pass(module, source):
    assert arrow_violations(source, ("keras_gud", *module.split("."))) == []


def test_missing_types_are_seen():
    source = """
def f(a, *b: int, c=1): pass
def _g(a): pass
class A:
    def __init__(self, x): pass
    def h(self) -> None: pass
class _B:
    def f(self, x): pass
"""
    assert untyped(ast.parse(source)) == ["f(a)", "f(c)", "f ->", "__init__(x)"]


def test_a_new_module_must_be_given_a_level():
    (violation,) = arrow_violations("import numpy", ("keras_gud", "brand_new"))
    assert "keras_gud.brand_new has no level: add it to LEVELS" in violation


def test_completion_offers_the_public_names():
    assert dir(keras_gud) == sorted(keras_gud.__all__)
