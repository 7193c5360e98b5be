"""A model of a file of any origin, which is inspected before anything in it is used."""

import os
from typing import Any

import keras
import numpy as np

from keras_gud.backend import to_numpy
from keras_gud.persistence.inspection.archive import check_model
from keras_gud.persistence.inspection.limits import file_error

_SUFFIX = ".keras"


def load_model(
    name: str | os.PathLike, base: type, compile: bool = False, max_bytes: int | None = None
) -> Any:
    """Loads a file that `model.save` wrote, in Keras' safe mode and after `check_model`.

    Args:
        name: Its path, which ends in ``".keras"``.
        base: Class that the model must be an instance of.
        compile: Whether to restore the optimizer and its state too.
        max_bytes: As in `check_model`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a file that is refused, with the reason.
    """
    path = os.fspath(name)
    if not path.endswith(_SUFFIX):
        raise ValueError(f"Expected a path that ends in {_SUFFIX!r}. Received: name={name!r}.")
    check_model(path, base, compile, max_bytes)
    try:
        model = keras.saving.load_model(path, compile=compile, safe_mode=True)
    except Exception as error:  # an unknown configuration may raise anything
        expected = "weights and a configuration that fit"
        raise file_error(path, expected, f"{type(error).__name__} ({error})") from error
    for weight in model.weights:
        if not np.isfinite(to_numpy(keras.ops.cast(weight, "float32"))).all():
            raise file_error(path, "finite weights", f"NaN or inf in {weight.path}")
    return model
