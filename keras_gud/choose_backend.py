"""Which of Keras' backends is used, where nobody has said so and the default is not installed.

Imported before Keras is, it sets the variable KERAS_BACKEND, or raises an error that names it.
"""

import importlib.util
import json
import os
import sys
from collections.abc import Callable, MutableMapping
from pathlib import Path

VARIABLE = "KERAS_BACKEND"
# In the order in which they are taken.
BACKENDS = ("jax", "torch", "tensorflow")
# What Keras takes where neither the variable nor its file says otherwise.
_DEFAULT = "tensorflow"


def is_installed(package: str) -> bool:
    """Whether a package can be imported; it is not imported."""
    return importlib.util.find_spec(package) is not None


def backend_of_file(environment: MutableMapping[str, str]) -> str:
    """The backend that Keras' own file of settings names, or Keras' default."""
    home = environment.get("KERAS_HOME") or Path.home() / ".keras"
    try:
        settings = json.loads((Path(home) / "keras.json").read_text())
        return str(settings.get("backend", _DEFAULT))
    except (OSError, ValueError, AttributeError):
        return _DEFAULT


def choose_backend(
    environment: MutableMapping[str, str], installed: Callable[[str], bool] = is_installed
) -> str | None:
    """Sets KERAS_BACKEND to a backend that is installed, unless Keras finds one by itself.

    Args:
        environment: ``os.environ``.
        installed: Function from the name of a package to whether it is installed.

    Returns:
        The backend that was chosen, or `None` if there was nothing to do.

    Raises:
        ImportError: if no backend is installed, or not the one that KERAS_BACKEND names.

    Example:

    >>> found = {"KERAS_HOME": "nowhere"}
    >>> choose_backend(found, installed=lambda package: package == "torch")
    'torch'
    >>> found["KERAS_BACKEND"]
    'torch'
    """
    known = [name for name in BACKENDS if installed(name)]
    named = environment.get(VARIABLE)
    if named and (named in known or named not in BACKENDS):
        return None  # Keras itself knows what to say of other names
    if not known:
        raise ImportError(
            "Expected one of Keras' backends to be installed: pip install jax, or torch, or "
            f"tensorflow; {VARIABLE} chooses between several."
        )
    if named:
        raise ImportError(
            f"Expected the backend that the environment variable {VARIABLE} names to be installed. "
            f"Received: {VARIABLE}={named}, and installed are {known}."
        )
    if backend_of_file(environment) in known:
        return None
    environment[VARIABLE] = known[0]
    return known[0]


if "keras" not in sys.modules:
    _chosen = choose_backend(os.environ)
    if _chosen:
        print(
            f"keras_gud: {VARIABLE} is not set, and Keras' default backend is not installed; "
            f"taking {_chosen}.",
            file=sys.stderr,
        )
