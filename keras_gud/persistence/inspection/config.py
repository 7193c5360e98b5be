"""The configuration of a saved model: what it would make on loading, before it is made."""

import math

import keras

from keras_gud.persistence.inspection.limits import refuse
from keras_gud.persistence.model_file import portable

_DEPTH = 100
# Layers may claim shapes of this many elements whatever the file holds: 16 MiB of floats.
_FREE_ELEMENTS = 2**22
# What Keras makes of plain values.
_VALUES = {f"__{name}__" for name in ("tensor", "numpy", "bytes", "ellipsis", "slice")}
_VALUES |= {"__keras_tensor__"}
# Layers that run code from their configuration or read files that it names.
_UNSAFE = {"Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer"}
_UNSAFE |= {"IndexLookup", "IntegerLookup", "StringLookup", "TextVectorization"}
_KINDS = (
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
_FUNCTIONS = {f"keras.{m}" for m in ("activations", "constraints", "initializers", "regularizers")}
_FUNCTIONS |= {"builtins"}  # Keras' word for its own functions, found by name in such modules


def check_depth(path, name: str, tree):
    """Refuses a tree that nests deeper than any model; without recursion of its own."""
    level = [tree]
    for _ in range(_DEPTH):
        level = [child for node in level for child in _children(node)]
        if not level:
            return
    raise refuse(path, f"{name} nested at most {_DEPTH} deep", "deeper nesting")


def check_objects(path, tree, base: type):
    """Refuses a model that is no `base`, or that names an object which is not known to be safe."""
    name = tree.get("class_name") if isinstance(tree, dict) else None
    found = _registered(tree) if isinstance(tree, dict) else None
    if not (isinstance(found, type) and issubclass(found, base)):
        expected = f"a model that keras_gud saved, a {base.__name__}"
        raise refuse(path, expected, f"{name!r} of module {_module(tree)!r}")
    for node in _nodes(portable(tree)):
        if isinstance(node, dict) and "class_name" in node:
            _check_object(path, node)


def _check_object(path, node: dict):
    name, module = node["class_name"], _module(node)
    if isinstance(name, str) and (name in _VALUES or _registered(node) is not None):
        return
    if name == "function":
        safe = module in _FUNCTIONS and isinstance(node.get("config"), str)
        name = node.get("config")
    else:
        found = _of_keras(module, name)
        safe = isinstance(found, type) and issubclass(found, _KINDS) and name not in _UNSAFE
    if not safe:
        expected = (
            "only objects of keras and keras_gud, or of your own that are registered "
            "(keras.saving.register_keras_serializable), none of which runs code or reads files"
        )
        raise refuse(path, expected, f"{name!r} of module {module!r}")


def check_shapes(path, tree, elements: int):
    """Refuses shapes of more elements than a file with so many weights can be about."""
    own = tree.get("build_config")  # of the model itself, which has statistics of every component
    for node in _nodes(tree):
        most = elements if node is own else max(_FREE_ELEMENTS, 4 * elements)
        for key, value in node.items() if isinstance(node, dict) else ():
            if not (isinstance(key, str) and key.endswith("shape") and isinstance(value, list)):
                continue
            sizes = [n for n in value if isinstance(n, (int, float)) and n > 0]
            if math.prod(sizes) > most:
                expected = f"shapes that fit the {elements} numbers of its weights"
                raise refuse(path, expected, f"{key}={value}")


def names_of(tree) -> set[str]:
    """The names by which a tree refers to objects that may be registered."""
    found = (_key(node) for node in _nodes(tree) if isinstance(node, dict))
    return {name for name in found if isinstance(name, str)}


def _registered(node: dict):
    """The class or function that this library or the user registered; as Keras looks it up."""
    key = _key(node)
    return keras.saving.get_registered_object(key) if isinstance(key, str) else None


def _key(node: dict):
    name = node.get("class_name")
    return node.get("config") if name == "function" else node.get("registered_name", name)


def _of_keras(module, name):
    """The object of a module of Keras, by attributes alone: nothing is imported."""
    if not (isinstance(module, str) and isinstance(name, str)):
        return None
    first, *rest = module.split(".")
    found = keras if first == "keras" else None
    for part in [*rest, name]:
        found = getattr(found, part, None)
    return found


def _module(node):
    return node.get("module") if isinstance(node, dict) else None


def _children(node):
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _nodes(tree):
    """Every dictionary and list in a tree, the tree itself first."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (dict, list)):
            yield node
            waiting.extend(_children(node))
