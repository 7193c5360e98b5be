"""How many numbers a saved model would allocate, counted without allocating them."""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras

from keras_gud.core.initial_values import shapes_only
from keras_gud.persistence.inspection.config import object_names
from keras_gud.persistence.inspection.limits import file_error

# For seeds, counters and metrics, which not every version of Keras saves.
_FREE_ELEMENTS = 2**16


def check_size(path: str | os.PathLike, tree: dict[str, Any], elements: int) -> None:
    """Refuses a model that has more weights than its file, e.g. `Dense(10**9)` in a few bytes.

    The model is made once in a `keras.StatelessScope`, where variables have shapes and no values.

    Args:
        path: The file, for messages.
        tree: The configuration, after `check_objects` found that all objects in it are safe.
        elements: How many numbers the file of weights holds.

    Raises:
        ValueError: for such a model, or one that cannot be made.
    """
    known = {name: keras.saving.get_registered_object(name) for name in object_names(tree)}
    # Keras keeps variables without values in a list for each thread, to initialise them later. In a
    # thread of its own, this list is discarded.
    with ThreadPoolExecutor(1) as executor:
        try:
            claimed = executor.submit(_count_weights, tree, known).result()
        except Exception as error:  # a malformed configuration may raise any error
            expected = "a configuration from which the model can be made"
            raise file_error(path, expected, f"{type(error).__name__} ({error})") from error
    if claimed > elements + _FREE_ELEMENTS:
        expected = f"as many weights as the model has, {claimed} numbers"
        raise file_error(path, expected, f"{elements} numbers")


def _count_weights(tree: dict[str, Any], known: dict[str, Any]) -> int:
    with shapes_only(), keras.StatelessScope(initialize_variables=False):
        model = keras.saving.deserialize_keras_object(
            {**tree, "compile_config": None},
            custom_objects={name: found for name, found in known.items() if found is not None},
            safe_mode=True,
        )
        return sum(math.prod(v.shape) for v in model.variables)
