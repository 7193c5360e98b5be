"""Small trained models that ship with the package, each with a model card.

A model is a file ``<name>.keras`` in this folder; its card, ``<name>.md``, says what it was trained
on and how, what it is good for and what not.
"""

import os
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import keras

from keras_gud.core.registry import near_match
from keras_gud.models.gud_model import GUDModel

# Loading a file finds the class of its model only if that has been imported.
from keras_gud.models.latent_gud import LatentGUD  # noqa: F401
from keras_gud.persistence import hub, inspection

__all__ = ["card", "load", "names"]

FOLDER = resources.files(__name__)
_MODEL, _CARD = ".keras", ".md"


def load(
    name: str | os.PathLike[str], *, compile: bool = False, max_bytes: int | None = None
) -> GUDModel:
    """Loads a model: one that ships with the package, a file of any origin, or one of the hub.

    A file that `model.save` wrote is inspected before anything in it is used
    (`keras_gud.persistence.inspection.check_model`) and then loaded in Keras' safe mode: it runs no
    code, reads no other file, and allocates no more memory than it holds data. Any other file,
    whether truncated, of another program, or malicious, is refused without side effects.
    `keras.saving.load_model` loads the same files without that inspection.

    Args:
        name: One of `keras_gud.pretrained.names()`, which `card` describes; or the path of a file,
            which ends in ``".keras"``; or an address on Hugging Face's hub, ``"hf://user/name"`` or
            ``"hf://user/name@revision"``, to which `GUDModel.push` has written: only then something
            is downloaded, and it is inspected as any file.
        compile: Whether to restore the optimizer and its state too, so that training continues
            where it stopped. By default `fit` starts with a new optimizer.
        max_bytes: The largest size of the unpacked file, in bytes; default: 32 times the size of
            the file, at least 256 MiB.

    Returns:
        The model, ready to `sample`, and to be trained further with `fit` on data of the same shape
        and dtype.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for an unknown name, of which the nearest known one is suggested; for a file
            that is refused, with the reason.
        ImportError: for an address, without huggingface_hub (``pip install ".[hub]"``).

    Example:

    >>> import keras_gud
    >>> models = {name: keras_gud.load(name) for name in keras_gud.pretrained.names()}
    >>> all(model.built and not model.compiled for model in models.values())
    True
    """
    if hub.is_address(name):
        name = hub.download(str(name))
    if not _is_path(name):
        with resources.as_file(_file(name, _MODEL)) as file:
            return keras.saving.load_model(file, compile=False)
    return inspection.load_model(name, GUDModel, compile, max_bytes)


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
        name: One of `names`.

    Raises:
        ValueError: for an unknown name; the nearest known one is suggested.

    Example:

    >>> [card(name).startswith("# ") for name in names()[:1]]
    [True]
    """
    return _file(name, _CARD).read_text(encoding="utf-8")


def _file(name: Any, suffix: str) -> Traversable:
    """The file of a model that ships with the package."""
    known = names()
    if not isinstance(name, str) or name not in known:
        raise ValueError(
            f"Expected `name` to be one of {known}. Received: name={name!r}."
            f"{near_match(name, known)} The path of a file ends in {_MODEL!r}; "
            "data sets come from keras_gud.datasets.load."
        )
    return FOLDER / f"{name}{suffix}"


def _is_path(name: Any) -> bool:
    return isinstance(name, os.PathLike) or (isinstance(name, str) and name.endswith(_MODEL))
