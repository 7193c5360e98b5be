"""Compiled programs that are kept in a folder, for the next process: ``KERAS_GUD_CACHE=folder``."""

import os
from collections.abc import Mapping
from pathlib import Path

import keras

VARIABLE = "KERAS_GUD_CACHE"


def use_cache_folder(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Lets jax keep all that it compiles in the folder that KERAS_GUD_CACHE names, if it does.

    A program is found again by what it computes and by the versions and the device that it was
    compiled for, so that a folder may serve any number of models and machines. The other backends
    have nothing of the kind; there the variable is of no effect.

    Args:
        environment: ``os.environ``.

    Returns:
        The folder, or `None` if there is nothing to do.

    Raises:
        ValueError: if it cannot be made or written to.

    Example:

    >>> use_cache_folder({}) is None
    True
    """
    named = environment.get(VARIABLE)
    if not named or keras.backend.backend() != "jax":
        return None
    folder = Path(named).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"Expected {VARIABLE} to name a folder that exists or can be made. "
            f"Received: {VARIABLE}={named!r} ({error})."
        ) from error
    if not os.access(folder, os.W_OK):
        raise ValueError(
            f"Expected {VARIABLE} to name a folder that can be written to. "
            f"Received: {VARIABLE}={named!r}."
        )
    import jax

    jax.config.update("jax_compilation_cache_dir", str(folder))
    # Small programs too: there are many, and each is found faster than compiled.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return folder
