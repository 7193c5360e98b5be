"""The README's Python runs as it stands, on few images, with a tiny network and few steps."""

import re

import pytest
from helpers import ROOT
from helpers.tiny_model import TinyNet

import keras_gud

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
SHORTER = {
    '"mnist-5000", "train"': '"mnist-5000", "train", n=64',
    '"mnist-5000", "test", n=100': '"mnist-5000", "test", n=8',  # each has its own likelihood
    "epochs=20": "epochs=1",
    "epochs=100": "epochs=1",
    "steps=1000": "steps=4",
    "steps=200": "steps=4",
    "steps=50": "steps=4",
    '"model.keras"': 'folder + "/model.keras"',
    '"samples.png"': 'folder + "/samples.png"',
}


def smallest(classes=None, **kwargs):
    """A network that is evaluated soon."""
    return TinyNet(classes=classes)


@pytest.mark.once  # all that it calls is tested on every backend
def test_every_block_runs_in_order(tmp_path, monkeypatch, capsys):
    names = {"folder": str(tmp_path)}  # nothing else is taken for granted
    assert len(BLOCKS) == 8
    for name in ("tiny", "small"):
        monkeypatch.setitem(keras_gud.backbones.registry.factories, name, smallest)
    defaults = keras_gud.samplers.DPMSolver.__init__.__defaults__
    monkeypatch.setattr(keras_gud.samplers.DPMSolver.__init__, "__defaults__", (4, *defaults[1:]))
    for block in BLOCKS:
        for long, short in SHORTER.items():
            block = block.replace(long, short)
        exec(compile(block, "README.md", "exec"), names)
    assert names["samples"].shape == (16, 28, 28, 1)
    assert names["samples"].dtype == "uint8"
    assert {path.name for path in tmp_path.iterdir()} == {"model.keras", "samples.png"}


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
