"""Small trained models that ship with the package, each with a model card.

A model is a file ``<name>.keras`` in this folder; its card, ``<name>.md``, says what it was trained
on, how, what it is good for and what not.
"""

import os
from importlib import resources

import keras
import numpy as np

from keras_gud.backend import to_numpy
from keras_gud.core.registry import near_match
from keras_gud.models.gud_model import GUDModel
from keras_gud.models.latent_gud import LatentGUD  # noqa: F401
from keras_gud.persistence import inspection

# Files name the classes of their models, which loading finds only if they have been imported.
from keras_gud.persistence.inspection.limits import file_error

FOLDER = resources.files(__name__)
_MODEL, _CARD = ".keras", ".md"


def load(name, *, compile: bool = False, max_bytes: int | None = None) -> GUDModel:
    """A model: a small trained one that ships with the package, or a file of any origin.

    A file that `model.save` wrote is inspected before anything in it is used
    (`keras_gud.persistence.inspection.check_model`) and then loaded in Keras' safe mode: it runs no
    code, reads no other file, and allocates no more than it holds. Whatever else the file is,
    truncated, foreign, or made to harm, it is refused, and nothing has happened.
    `keras.saving.load_model` loads the same files without that inspection.

    Args:
        name: One of `keras_gud.pretrained.names()`, see `card` for what each of them is; or the
            path of a file, which ends in ``".keras"``. Nothing is downloaded.
        compile: Whether to restore the optimizer and its state too, so that training goes on where
            it stopped. By default the model is there to be used, and `fit` begins anew.
        max_bytes: The most that a file may unpack to; default: 32 times its size, at least 256 MiB.

    Returns:
        The model: ready to `sample`, and to be trained further with `fit` on data of the same shape
        and type.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for an unknown name, the nearest known one is suggested; for a file that is
            refused, the message says why.

    Example:

    >>> import keras_gud
    >>> models = {name: keras_gud.load(name) for name in keras_gud.pretrained.names()}
    >>> all(model.built and not model.compiled for model in models.values())
    True
    """
    if not _is_path(name):
        with resources.as_file(_file(name, _MODEL)) as path:
            return keras.saving.load_model(path, compile=False)
    path = os.fspath(name)
    if not path.endswith(_MODEL):
        raise ValueError(f"Expected a path that ends in {_MODEL!r}. Received: name={name!r}.")
    inspection.check_model(path, GUDModel, compile, max_bytes)
    try:
        model = keras.saving.load_model(path, compile=compile, safe_mode=True)
    except Exception as error:  # of any kind: what a foreign configuration breaks is open
        expected = "weights and a configuration that fit"
        raise file_error(path, expected, f"{type(error).__name__} ({error})") from error
    for weight in model.weights:
        if not np.isfinite(to_numpy(keras.ops.cast(weight, "float32"))).all():
            raise file_error(path, "finite weights", f"NaN or inf in {weight.path}")
    return model


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
    if not isinstance(name, str) or name not in known:
        raise ValueError(
            f"Expected `name` to be one of {known}. Received: name={name!r}."
            f"{near_match(name, known)} The name of a file of your own ends in {_MODEL!r}."
        )
    return FOLDER / f"{name}{suffix}"


def _is_path(name) -> bool:
    return isinstance(name, os.PathLike) or (isinstance(name, str) and name.endswith(_MODEL))
