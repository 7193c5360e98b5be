"""The README's Python runs as it stands, on few images, with a tiny network and few steps."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import ROOT
from helpers.tiny_model import TinyNet

import keras_gud

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
SHORTER = {
    "epochs=100": "epochs=1",
    "steps=1000": "steps=4",
    "steps=200": "steps=4",
    "steps=50": "steps=4",
    '"model.keras"': "path",
}


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """What the README takes for granted."""
    images = keras_gud.datasets.load("digits", n=72)
    return {
        "images": images[:64],
        "labels": np.arange(64) % 10,
        "held_out": images[64:],  # few, since each of them has its own likelihood
        "path": str(tmp_path_factory.mktemp("readme") / "model.keras"),
        "x_noised": np.zeros((2, 8, 8, 1), "float32"),
        "encoder": keras.layers.AveragePooling2D(2),
        "decoder": keras.layers.UpSampling2D(2),
        "state": keras_gud.NoisingState(keras.ops.zeros((1, 1, 1, 1))),
    }


def smallest(classes=None, **kwargs):
    """A network that is evaluated soon."""
    return TinyNet(classes=classes)


@pytest.mark.once  # all that it calls is tested on every backend
def test_every_block_runs_in_order(names, monkeypatch, capsys):
    assert len(BLOCKS) == 8
    for name in ("tiny", "small"):
        monkeypatch.setitem(keras_gud.backbones.registry.factories, name, smallest)
    defaults = keras_gud.samplers.DPMSolver.__init__.__defaults__
    monkeypatch.setattr(keras_gud.samplers.DPMSolver.__init__, "__defaults__", (4, *defaults[1:]))
    for block in BLOCKS:
        for long, short in SHORTER.items():
            block = block.replace(long, short)
        exec(compile(block, "README.md", "exec"), names)
    assert names["samples"].shape == (16, 8, 8, 1)
    assert names["samples"].dtype == "uint8"
    assert Path(names["path"]).exists()


def test_files_that_the_readme_links_to_exist():
    text = (ROOT / "README.md").read_text()
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_names_in_the_table_of_parts_are_the_registered_ones():
    text = (ROOT / "README.md").read_text()
    registries = {
        "basis": keras_gud.bases.registry,
        "prior": keras_gud.priors.registry,
        "schedule": keras_gud.schedules.registry,
        "backbone": keras_gud.backbones.registry,
        "sampler": keras_gud.samplers.registry,
    }
    for part, registry in registries.items():
        row = re.search(rf"^\| `{part}` \| (.*?) \|", text, flags=re.MULTILINE).group(1)
        assert set(registry.factories) <= set(re.findall(r"`([^`]+)`", row))
