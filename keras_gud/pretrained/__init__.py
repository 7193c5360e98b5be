"""Small trained models that ship with the package, each with a model card.

A model is a file ``<name>.keras`` in this folder; its card, ``<name>.md``, says what it was trained
on, how, what it is good for and what not.
"""

from importlib import resources

import keras

# The file names the class of the model, which loading finds only if it has been imported.
from keras_gud.gud import GUD
from keras_gud.registry import near_match

FOLDER = resources.files(__name__)
_MODEL, _CARD = ".keras", ".md"


def load(name: str) -> GUD:
    """A small trained model that ships with the package, by name; nothing is downloaded.

    This is not `keras.saving.load_model`, which loads files of your own, those that `model.save`
    wrote.

    Args:
        name: One of `keras_gud.pretrained.names()`; see `card` for what each of them is.

    Returns:
        The model, not compiled: ready to `sample`, and to be trained further with `fit` on data of
        the same shape and type.

    Raises:
        ValueError: for an unknown name; the nearest known one is suggested.

    Example:

    >>> import keras_gud
    >>> models = {name: keras_gud.load(name) for name in keras_gud.pretrained.names()}
    >>> all(model.built and not model.compiled for model in models.values())
    True
    """
    with resources.as_file(_file(name, _MODEL)) as path:
        return keras.saving.load_model(path, compile=False)


def names() -> list[str]:
    """The names of the models that ship with the package, sorted.

    >>> all(card(name) for name in names())
    True
    """
    files = (file.name for file in FOLDER.iterdir())
    return sorted(name.removesuffix(_MODEL) for name in files if name.endswith(_MODEL))


def card(name: str) -> str:
    """The model card of a model that ships with the package, as Markdown.

    Args:
        name: As in `load`.

    Raises:
        ValueError: for an unknown name; the nearest known one is suggested.
    """
    return _file(name, _CARD).read_text(encoding="utf-8")


def _file(name: str, suffix: str):
    known = names()
    if name not in known:
        raise ValueError(
            f"Expected `name` to be one of {known}. Received: name={name!r}."
            f"{near_match(name, known)} Files of your own are loaded with keras.saving.load_model."
        )
    return FOLDER / f"{name}{suffix}"
