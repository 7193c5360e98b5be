"""How many numbers a saved model would allocate, found without allocating them."""

import math
from concurrent.futures import ThreadPoolExecutor

import keras

from keras_gud.persistence.inspection.config import names_of
from keras_gud.persistence.inspection.limits import refuse

# Seeds, counters and metrics, which not every version of Keras saves.
_FREE_ELEMENTS = 2**16


def check_size(path, tree: dict, elements: int):
    """Refuses a model that has more weights than its file, e.g. `Dense(10**9)` in a few bytes.

    The model is made once in a `keras.StatelessScope`, where variables have shapes and no values.

    Args:
        path: The file, for messages.
        tree: The configuration, with nothing but safe objects in it.
        elements: How many numbers the file of weights holds.

    Raises:
        ValueError: for such a model, and for one that cannot be made.
    """
    known = {name: keras.saving.get_registered_object(name) for name in names_of(tree)}
    # Variables without values wait in a list of Keras' own, one for each thread, and would be
    # given their values later. The list of this thread ends with it.
    with ThreadPoolExecutor(1) as executor:
        try:
            claimed = executor.submit(_count, tree, known).result()
        except Exception as error:  # of any kind: what a foreign configuration breaks is open
            expected = "a configuration from which the model can be made"
            raise refuse(path, expected, f"{type(error).__name__} ({error})") from error
    if claimed > elements + _FREE_ELEMENTS:
        expected = f"as many weights as the model has, {claimed} numbers"
        raise refuse(path, expected, f"{elements} numbers")


def _count(tree, known) -> int:
    with keras.StatelessScope(initialize_variables=False):
        model = keras.saving.deserialize_keras_object(
            {**tree, "compile_config": None},
            custom_objects={name: found for name, found in known.items() if found is not None},
            safe_mode=True,
        )
        return sum(math.prod(v.shape) for v in model.variables)
