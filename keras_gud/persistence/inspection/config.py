"""The configuration of a saved model: which objects it would make, checked before any is made."""

import math
import os
from collections.abc import Collection, Iterator
from typing import Any

import keras

from keras_gud.persistence.inspection.limits import file_error
from keras_gud.persistence.model_file import portable

_MAX_DEPTH = 100
# Shapes of so many elements (16 MiB of floats) are allowed however few numbers the file holds.
_FREE_ELEMENTS = 2**22
# Class names by which Keras stores values that JSON has no type for.
_VALUES = {f"__{name}__" for name in ("tensor", "numpy", "bytes", "ellipsis", "slice")}
_VALUES |= {"__keras_tensor__"}
# Layers that run code from their configuration or read files that it names.
_UNSAFE = {"Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer"}
_UNSAFE |= {"IndexLookup", "IntegerLookup", "StringLookup", "TextVectorization"}
_SAFE_BASES = (
    keras.layers.Layer,
    keras.initializers.Initializer,
    keras.regularizers.Regularizer,
    keras.constraints.Constraint,
    keras.optimizers.Optimizer,
    keras.optimizers.schedules.LearningRateSchedule,
    keras.metrics.Metric,
    keras.losses.Loss,
    keras.dtype_policies.DTypePolicy,
    keras.random.SeedGenerator,
)
# "builtins" is what Keras writes for its own functions.
_FUNCTION_MODULES = {"keras.activations", "keras.constraints", "keras.initializers"}
_FUNCTION_MODULES |= {"keras.regularizers", "builtins"}


def check_depth(path: str | os.PathLike, name: str, tree: Any) -> None:
    """Refuses JSON that nests deeper than any model, without recursion.

    Args:
        path: The file, for messages.
        name: What of it is checked, for messages.
        tree: The parsed JSON.

    Raises:
        ValueError: if it is nested more than 100 deep.
    """
    level = [tree]
    for _ in range(_MAX_DEPTH):
        level = [child for node in level for child in _children(node)]
        if not level:
            return
    raise file_error(path, f"{name} nested at most {_MAX_DEPTH} deep", "deeper nesting")


def check_objects(path: str | os.PathLike, tree: Any, base: type) -> None:
    """Refuses a model that is no `base`, or that names an object which is not known to be safe.

    Args:
        path: The file, for messages.
        tree: The configuration.
        base: Class that the model must be an instance of.

    Raises:
        ValueError: for such a model.
    """
    name = tree.get("class_name") if isinstance(tree, dict) else None
    found = _registered(tree) if isinstance(tree, dict) else None
    if not (isinstance(found, type) and issubclass(found, base)):
        expected = f"a model that keras_gud saved, a {base.__name__}"
        raise file_error(path, expected, f"{name!r} of module {_module(tree)!r}")
    for node in _nodes(portable(tree)):
        if isinstance(node, dict) and "class_name" in node:
            _check_object(path, node)


def _check_object(path: str | os.PathLike, node: dict[str, Any]) -> None:
    name, module = node["class_name"], _module(node)
    if isinstance(name, str) and (name in _VALUES or _registered(node) is not None):
        return
    if name == "function":
        safe = module in _FUNCTION_MODULES and isinstance(node.get("config"), str)
        name = node.get("config")
    else:
        found = _keras_object(module, name)
        safe = isinstance(found, type) and issubclass(found, _SAFE_BASES) and name not in _UNSAFE
    if not safe:
        expected = (
            "only objects of keras and keras_gud, or of your own that are registered "
            "(keras.saving.register_keras_serializable), none of which runs code or reads files"
        )
        raise file_error(path, expected, f"{name!r} of module {module!r}")


def check_shapes(path: str | os.PathLike, tree: dict[str, Any], elements: int) -> None:
    """Refuses shapes that are too large for the number of weights in the file.

    Args:
        path: The file, for messages.
        tree: The configuration.
        elements: How many numbers the file of weights holds.

    Raises:
        ValueError: for such a shape.
    """
    # A model saves statistics of every component, so its own shapes cannot have more elements.
    own = tree.get("build_config")
    for node in _nodes(tree):
        most = elements if node is own else max(_FREE_ELEMENTS, 4 * elements)
        for key, value in node.items() if isinstance(node, dict) else ():
            if not (isinstance(key, str) and key.endswith("shape") and isinstance(value, list)):
                continue
            sizes = [n for n in value if isinstance(n, (int, float)) and n > 0]
            if math.prod(sizes) > most:
                expected = f"shapes that fit the {elements} numbers of its weights"
                raise file_error(path, expected, f"{key}={value}")


def object_names(tree: Any) -> set[str]:
    """The names by which a tree refers to objects that may be registered."""
    found = (_registered_name(node) for node in _nodes(tree) if isinstance(node, dict))
    return {name for name in found if isinstance(name, str)}


def _registered(node: dict[str, Any]) -> Any:
    """The class or function that this library or the user registered, looked up as Keras does."""
    key = _registered_name(node)
    return keras.saving.get_registered_object(key) if isinstance(key, str) else None


def _registered_name(node: dict[str, Any]) -> Any:
    name = node.get("class_name")
    return node.get("config") if name == "function" else node.get("registered_name", name)


def _keras_object(module: Any, name: Any) -> Any:
    """An object of a module of Keras, or `None`; found without importing anything."""
    if not (isinstance(module, str) and isinstance(name, str)):
        return None
    first, *rest = module.split(".")
    found: Any = keras if first == "keras" else None
    for part in [*rest, name]:
        found = getattr(found, part, None)
    return found


def _module(node: Any) -> Any:
    return node.get("module") if isinstance(node, dict) else None


def _children(node: Any) -> Collection[Any]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _nodes(tree: Any) -> Iterator[Any]:
    """Every dictionary and list in a tree, the tree itself first."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (dict, list)):
            yield node
            waiting.extend(_children(node))
