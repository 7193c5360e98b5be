"""The Python of pages of documentation, run as it is written but on little data for few steps."""

import re
from pathlib import Path

import pytest

import keras_gud
from helpers.tiny_model import TinyNet

# Blocks of the README and of pages, and the code cells of pages that are run when the site is made.
_BLOCK = re.compile(r"^```(?:python|\{code-cell\} ipython3)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_OPTIONS = re.compile(r"\A(?::.*\n)+")
# What makes code quick; a page may have further ones.
SHORTER = {
    r'"mnist-5000", "train"(?!, n=)': '"mnist-5000", "train", n=64',
    r'"mnist-5000", "test", n=100': '"mnist-5000", "test", n=8',  # each has its own likelihood
    r"\bepochs=\d+": "epochs=1",
    r"\bsteps=\d{2,}": "steps=4",
    r"\bn=\d{4,}": "n=64",
}

REGISTRIES = [
    module.registry
    for module in (
        keras_gud.backbones,
        keras_gud.bases,
        keras_gud.priors,
        keras_gud.samplers,
        keras_gud.schedules,
    )
]


def python_blocks(path: Path) -> list[str]:
    """The source of all blocks of a page, in order."""
    return [_OPTIONS.sub("", block) for block in _BLOCK.findall(path.read_text(encoding="utf-8"))]


def _smallest(data_shape=None, gamma_map=False, classes=None, conditions=None, **kwargs):
    """A network that is evaluated soon; of tables one that may be told what is missing."""
    if gamma_map and len(data_shape) == 1:
        small = {"width": 4, "blocks": 1, "embedding_dim": 8, "gamma_map": True}
        return keras_gud.backbones.MLP(**small, classes=classes, conditions=conditions)
    if conditions is None:
        return TinyNet(classes=classes)
    small = {"widths": (4,), "blocks": 1, "heads": 1, "embedding_dim": 8}
    return keras_gud.backbones.UNet(**small, classes=classes, conditions=conditions)


def run_page(path: Path, monkeypatch: pytest.MonkeyPatch, shorter: dict[str, str]) -> dict:
    """Runs the blocks of a page in order, as one program; returns its names.

    What the page registers is forgotten with the test.

    Args:
        path: The page.
        monkeypatch: Puts small networks and few steps in place of the named and the default ones.
        shorter: Regular expressions and what stands in their place.
    """
    for registry in REGISTRIES:
        monkeypatch.setattr(registry, "factories", dict(registry.factories))
    for name in ("tiny", "small"):
        monkeypatch.setitem(keras_gud.backbones.registry.factories, name, _smallest)
    defaults = keras_gud.samplers.DPMSolver.__init__.__defaults__
    monkeypatch.setattr(keras_gud.samplers.DPMSolver.__init__, "__defaults__", (4, *defaults[1:]))
    names: dict = {"__name__": "page"}
    for block in python_blocks(path):
        for long, short in shorter.items():
            block = re.sub(long, short, block)
        exec(compile(block, str(path), "exec"), names)
    return names
