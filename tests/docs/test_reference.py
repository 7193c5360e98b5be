"""The reference has every public name, and the index every equation."""

import re

import equation_index
import public_names
import pytest
from helpers import ROOT

import keras_gud

REFERENCE = "\n".join(path.read_text() for path in (ROOT / "docs/reference").glob("*.md"))
NAMED = set(re.findall(r"\.\. auto(?:module|class|function|exception):: ([\w.]+)", REFERENCE))


@pytest.mark.once
@pytest.mark.parametrize("module", public_names.public_modules()[1:], ids=lambda m: m.__name__)
def test_public_module_is_in_the_reference(module):
    """`automodule` documents what `__all__` names; the build fails where something is missing."""
    assert module.__name__ in NAMED
    assert module.__all__
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


@pytest.mark.once
def test_names_of_the_package_are_in_the_reference():
    others = public_names.names_of_objects()
    names = [name for name in others if name.count(".") == 1]
    elsewhere = {name for name in names if others[name]}
    modules = {module.__name__ for module in public_names.public_modules()}
    missing = set(names) - modules - elsewhere
    assert missing <= NAMED | {f"keras_gud.{name}" for name in NAMED}


@pytest.mark.once
def test_every_equation_of_the_paper_is_in_the_index_once():
    assert [each.number for each in equation_index.EQUATIONS] == list(range(1, 29))


@pytest.mark.once
@pytest.mark.parametrize("equation", equation_index.EQUATIONS, ids=lambda e: f"eq. {e.number}")
def test_an_equation_leads_to_lines_that_exist(equation):
    assert equation.code
    for name in equation.code:
        place = equation_index.place_of(name)
        lines = place.path.read_text().splitlines()
        assert 1 <= place.first <= place.last <= len(lines)
        last = name.rpartition(":")[2].rpartition(".")[2]
        source = "\n".join(lines[place.first - 1 : place.last])
        assert ":" not in name or re.search(rf"(def|class) {last}\b", source)


@pytest.mark.once
def test_where_the_code_names_an_equation_the_index_leads_back():
    """Every equation that a docstring names has a place in the same file, or one that names it."""
    files = {
        each.number: {equation_index.place_of(name).file for name in each.code}
        for each in equation_index.EQUATIONS
    }
    mentions = equation_index.mentions()
    assert {9, 11, 16, 21, 22, 25, 26, 28} <= set(mentions)
    for number, places in mentions.items():
        assert files[number] & {place.file for place in places}, number


@pytest.mark.once
def test_the_gallery_has_a_section_for_each_preset():
    gallery = (ROOT / "docs/gallery.md").read_text()
    sections = re.findall(r"^### `(\w+)`$", gallery, re.MULTILINE)
    assert sorted(sections) == sorted(keras_gud.presets.ALL)
    assert re.findall(r'^path_of\("(\w+)"\)$', gallery, re.MULTILINE) == sections
