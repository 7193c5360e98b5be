"""Parts by name, and the discovery of the files that define them."""

import functools
import inspect
import sys

import keras
import pytest

import keras_gud
from keras_gud import backbones, bases, datasets, plots, presets, priors, samplers, schedules
from keras_gud.core.registry import Registry, discover
from keras_gud.core.synonyms import _MEANINGS, _PLACES, meaning
from keras_gud.diffusion.prediction import PREDICTIONS
from keras_gud.diffusion.weighting import WEIGHTINGS


class Part:
    def __init__(self, size=1):
        self.size = size


class Other(Part):
    pass


@pytest.fixture
def registry():
    registry = Registry("part", Part)
    registry.register("part")(Part)
    return registry


@pytest.mark.once
def test_a_part_by_name_and_by_itself(registry):
    registry.add("large", functools.partial(Part, size=9))
    assert registry.get("Large").size == 9
    assert registry.get("part", size=3).size == 3
    part = Other()
    assert registry.get(part) is part


@pytest.mark.once
def test_a_decorator_returns_what_it_registers():
    registry = Registry("part", Part)
    assert registry.register("other")(Other) is Other
    assert list(registry.factories) == ["other"]


@pytest.mark.once
def test_a_name_belongs_to_one_part(registry):
    registry.add("part", Part)  # the module of the part was reloaded, say
    with pytest.raises(ValueError, match=r"Expected a new `name`, .*Received: name='part'"):
        registry.add("part", Other)
    assert type(registry.get("part")) is Part


@pytest.mark.once
def test_names_are_in_lower_case(registry):
    with pytest.raises(ValueError, match="`name` in lower case. Received: name='Part'"):
        registry.add("Part", Part)


@pytest.mark.once
def test_a_file_in_the_folder_is_enough(tmp_path, monkeypatch):
    folder = tmp_path / "family_of_parts"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from keras_gud.core.registry import discover\n"
        "from family_of_parts.part import registry\n"
        "discover(__name__)\n"
    )
    (folder / "part.py").write_text(
        "from keras_gud.core.registry import Registry\nregistry = Registry('part', object)\n"
    )
    (folder / "new.py").write_text(
        "from family_of_parts.part import registry\n"
        "@registry.register('new')\n"
        "class New:\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import family_of_parts

    try:
        assert list(family_of_parts.registry.factories) == ["new"]
        (folder / "newer.py").write_text("raise RuntimeError('seen')\n")
        with pytest.raises(RuntimeError, match="seen"):
            discover("family_of_parts")
    finally:
        for name in [name for name in sys.modules if name.startswith("family_of_parts")]:
            del sys.modules[name]


def arguments_of(function):
    return inspect.signature(function).parameters


@pytest.mark.once
def test_every_synonym_is_of_something_that_exists():
    """And is no name itself, where what it means is one."""
    parameters = [
        {name for kind in (keras_gud.GUDModel, keras_gud.GUD) for name in arguments_of(kind)},
        {*arguments_of(keras_gud.GUDModel.fit), *arguments_of(keras.Model.fit)},
        *map(arguments_of, (keras_gud.GUDModel.sample, datasets.load, datasets.from_folder)),
        arguments_of(plots.image_grid),
        _PLACES,
    ]
    families = [
        *(part.registry.factories for part in (bases, priors, schedules, samplers, backbones)),
        *(presets.ALL, PREDICTIONS, WEIGHTINGS, *parameters),
    ]
    for word, names in _MEANINGS.items():
        for name in names:
            known = [family for family in families if name in family]
            assert known, f"{word}: {name}"
            assert any(meaning(word, family) == name or word in family for family in known)
