"""The weights of a network by the attributes that hold their layers.

The paths that Keras gives to weights have counters of the process in them, so that two networks of
one class have others.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import keras

# Layers that hold another one which is called like it elsewhere (`PeriodicConvolution`).
_TRANSPARENT = ".convolution"
_NO_WEIGHTS_OF_ITS_OWN = frozenset(dir(keras.layers.Layer()))


class Named(NamedTuple):
    """A weight, and the layer that it belongs to."""

    layer: keras.layers.Layer
    weight: keras.Variable


def named_weights(network: keras.layers.Layer) -> dict[str, Named]:
    """The floating-point weights of a network by name: ``"down[0].residual[1].film.kernel"``, ...

    Args:
        network: A built network. Layers that no attribute of another layer holds, those of
            functional models, have their class and a number in place of it.

    Example:
    >>> from keras_gud.backbones import MLP
    >>> network = MLP(width=8, blocks=1)
    >>> network.build([(None, 5), (None, 4, 2)])
    >>> [name for name in named_weights(network) if name.startswith("stem")]
    ['stem.kernel', 'stem.bias']
    """
    found = {}
    for path, layer in _walk(network, ""):
        names: dict[str, int] = {}
        for weight in _own_weights(layer):
            count = names[weight.name] = names.get(weight.name, -1) + 1
            name = f"{path}.{weight.name}{f'_{count}' if count else ''}".lstrip(".")
            found[name] = Named(layer, weight)
    return found


def _own_weights(layer: keras.layers.Layer) -> list[keras.Variable]:
    """Those that no layer within it has."""
    children = layer._flatten_layers(include_self=False)
    others = {id(weight) for child in children for weight in child.weights}
    floats = (w for w in layer.weights if keras.backend.is_float_dtype(w.dtype))
    return [weight for weight in floats if id(weight) not in others]


def _walk(layer: keras.layers.Layer, path: str) -> Iterator[tuple[str, keras.layers.Layer]]:
    yield path.replace(_TRANSPARENT, ""), layer
    children = {id(c): c for c in layer._flatten_layers(include_self=False, recursive=False)}
    attributes = sorted(set(dir(layer)) - set(dir(type(layer))) - _NO_WEIGHTS_OF_ITS_OWN)
    for attribute in attributes:
        if not attribute.startswith("_"):
            for place, child in _places(attribute, getattr(layer, attribute, None)):
                if children.pop(id(child), None) is not None:
                    yield from _walk(child, f"{path}.{place}")
    kinds: dict[str, int] = {}
    for child in children.values():
        kind = type(child).__name__
        kinds[kind] = kinds.get(kind, -1) + 1
        yield from _walk(child, f"{path}.{kind}[{kinds[kind]}]")


def _places(name: str, value: Any) -> Iterator[tuple[str, keras.layers.Layer]]:
    """The layers in an attribute, which may be a layer or lists and dictionaries of them."""
    if isinstance(value, keras.layers.Layer):
        yield name, value
    elif isinstance(value, (list, tuple)):
        for i, part in enumerate(value):
            yield from _places(f"{name}[{i}]", part)
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _places(f"{name}[{key}]", part)
