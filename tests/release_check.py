"""Builds the wheel and the sdist, and samples from an installed wheel with one backend alone.

``make release-check`` runs it: ``python tests/release_check.py [backend ...]``. Each backend gets a
fresh environment with the wheel and that backend's extra, and nothing of the checkout.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
# What a build reads; everything else stays out of its copy.
SOURCES = ("keras_gud", "setup.cfg", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in",
           "CHANGELOG.md", "CITATION.cff")  # fmt: skip
BACKENDS = ("jax", "tensorflow", "torch")
MOST_BYTES = 8 * 2**20  # of a file that is published

SAMPLE = """
import importlib.util, os, sys
import keras_gud, keras
backend, others = sys.argv[1], sys.argv[2:]
assert keras.backend.backend() == backend, keras.backend.backend()
assert not [name for name in others if importlib.util.find_spec(name)], others
assert os.path.dirname(keras_gud.__file__).startswith(sys.prefix), keras_gud.__file__
name = keras_gud.pretrained.names()[0]
samples = keras_gud.load(name).sample(1, steps=2, seed=0)
print(f"{backend} alone: {name} gave {samples.dtype} samples of shape {samples.shape}")
try:
    keras_gud.datasets.load("digits", verbose=0)
except ImportError as error:
    print("  without extras:", error)
"""


def build(folder: Path, python: str = sys.executable) -> tuple[Path, Path]:
    """The wheel and the sdist, built in a copy of the sources, in `folder`.

    Raises:
        subprocess.CalledProcessError: with what was said, where a build fails.
    """
    copy = folder / "copy"
    copy.mkdir(parents=True)
    for name in SOURCES:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif path.exists():
            shutil.copy(path, copy / name)
    code = (
        "import sys; from setuptools import build_meta as b; getattr(b, sys.argv[1])(sys.argv[2])"
    )
    for kind in ("build_sdist", "build_wheel"):
        run(python, "-c", code, kind, str(folder), cwd=copy)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


def contents(archive: Path) -> set[str]:
    """The files of an archive, below the folder of an sdist."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as file:
            return set(file.namelist())
    with tarfile.open(archive) as file:
        return {name.split("/", 1)[1] for name in file.getnames() if "/" in name}


def check_contents(wheel: Path, sdist: Path) -> None:
    """Raises an `AssertionError` unless both hold the whole package, and nothing large."""
    wanted = {str(p.relative_to(ROOT)) for p in (ROOT / "keras_gud").rglob("*.py")}
    wanted |= {str(p.relative_to(ROOT)) for p in (ROOT / "keras_gud" / "pretrained").glob("*.*")}
    wanted |= {"keras_gud/py.typed"}
    for archive in (wheel, sdist):
        missing = sorted(wanted - contents(archive))
        assert not missing, f"{archive.name} lacks {missing}"
        size = archive.stat().st_size
        assert size < MOST_BYTES, f"{archive.name} has {size} bytes"
    beside = {name for name in contents(wheel) if not name.startswith(("keras_gud/", "keras_gud-"))}
    assert not beside, beside
    assert {"LICENSE", "README.md", "CHANGELOG.md"} <= contents(sdist)


def check_backend(wheel: Path, backend: str, folder: Path) -> str:
    """What a fresh environment with this backend alone says, which samples from a shipped model."""
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    constraint = ("--constraint", str(ROOT / "constraints.txt"))
    run(python, "-m", "pip", "install", "--quiet", *constraint, f"{wheel}[{backend}]")
    others = [name for name in BACKENDS if name != backend]
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "KERAS_BACKEND")}
    clean |= {"KERAS_HOME": str(folder / "keras"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return run(python, "-c", SAMPLE, backend, *others, cwd=folder, env=clean)


def run(*command: str, **kwargs) -> str:
    """The output of a command; an error shows it."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **kwargs)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def main(backends: list[str]) -> None:
    """Builds, checks what was built, and tries it with each backend."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        wheel, sdist = build(folder / "dist")
        check_contents(wheel, sdist)
        for archive in (wheel, sdist):
            print(f"{archive.name}: {archive.stat().st_size / 2**20:.2f} MB")
        for backend in backends:
            print(check_backend(wheel, backend, folder / backend), end="", flush=True)
            shutil.rmtree(folder / backend)


if __name__ == "__main__":
    main(sys.argv[1:] or list(BACKENDS))
