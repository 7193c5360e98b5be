"""The README's Python runs as it stands, on few images, with a tiny network and few steps."""

import re

import keras
import numpy as np
import pytest
from helpers import ROOT
from helpers.pages import SHORTER, python_blocks, run_page

import keras_gud

README = ROOT / "README.md"


@pytest.mark.once  # all that it calls is tested on every backend
def test_every_block_runs_in_order(tmp_path, monkeypatch, capsys):
    assert len(python_blocks(README)) == 5
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for i in range(20):
        photo = np.random.default_rng(i).integers(0, 255, (40 + i, 50, 3))
        keras.utils.save_img(f"photos/{i}.png", photo)
    names = run_page(README, monkeypatch, SHORTER)
    assert names["samples"].shape == (40, 28, 28, 1)
    assert names["samples"].dtype == "uint8"
    files = {"samples.png", "mine.png", "photos.keras", "model.keras"}
    assert {path.name for path in tmp_path.iterdir()} == {"photos", *files}


def test_files_that_the_readme_links_to_exist():
    text = (ROOT / "README.md").read_text()
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert links
    links = [link for link in links if "://" not in link]
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
