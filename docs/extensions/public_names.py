"""The public names of the package: those of `__all__`, also of its public modules."""

import inspect
import operator
from types import ModuleType

import keras_gud

# Not documented: the version, and how parts are registered, which "Extending" shows.
LEFT_OUT = {"keras_gud.__version__"}


def public_modules() -> list[ModuleType]:
    """The package and the modules that it offers."""
    offered = (getattr(keras_gud, name) for name in keras_gud.__all__)
    return [keras_gud, *(value for value in offered if inspect.ismodule(value))]


def names_of_objects() -> dict[str, set[str]]:
    """The public names, each with the other ones of the same object."""
    names = all_names()
    objects = {name: operator.attrgetter(name.partition(".")[2])(keras_gud) for name in names}
    return {
        name: {other for other in names if objects[other] is objects[name]} - {name}
        for name in names
    }


def all_names() -> list[str]:
    """Full names, as they are used: ``keras_gud.bases.Haar``."""
    names = [f"{module.__name__}.{name}" for module in public_modules() for name in module.__all__]
    return sorted(set(names) - LEFT_OUT)
