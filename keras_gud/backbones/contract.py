"""What a network is called with and must return, and checks that it does."""

import inspect
from collections.abc import Mapping
from numbers import Integral
from typing import Any

import keras

from keras_gud.core.types import BatchShape, Shape

_DEFAULT_BUILDS = keras.layers.Layer.build, keras.Model.build


def takes_gamma_map(network: keras.layers.Layer) -> bool:
    """Whether a network is called as ``network([y, tokens, gamma])``."""
    return bool(getattr(network, "gamma_map", False))


def takes_mean_gamma(network: keras.layers.Layer) -> bool:
    """Whether the last column of a network's tokens is the mean of gamma over all components."""
    return bool(getattr(network, "mean_gamma", False))


def build_network(
    network: keras.layers.Layer,
    data_shape: Shape,
    token_shape: BatchShape,
    gamma_scales: int = 1,
    conditions: Mapping[str, BatchShape] | None = None,
) -> None:
    """Builds a network and calls it on symbolic tensors, so that a wrong one fails before training.

    Args:
        network: Any Keras layer or model.
        data_shape: Shape of one example.
        token_shape: ``(None, n_tokens, n_features)``.
        gamma_scales: Number of gammas of each value, for a network that takes them.
        conditions: Shapes of the encoded conditions that it is given after labels, by name.

    Raises:
        ValueError: if it cannot be called as ``network([y, tokens])`` (with gamma and labels where
            it has the attributes `gamma_map` and `classes`), or does not return the shape of y.

    Example:

    >>> from keras_gud import backbones
    >>> network = backbones.get("tiny", data_shape=(5,))
    >>> build_network(network, data_shape=(5,), token_shape=(None, 5, 2))
    >>> network.built
    True
    """
    shape_of: dict[str, BatchShape] = {"y": (None, *data_shape), "tokens": tuple(token_shape)}
    if takes_gamma_map(network):
        shape_of["gamma"] = (None, *data_shape[:-1], gamma_scales * data_shape[-1])
    if classes_of(network) is not None:
        shape_of["labels"] = (None,)
    shape_of |= conditions or {}
    shapes = list(shape_of.values())
    try:
        # Networks without a `build` of their own are built by the call below.
        if not network.built and type(network).build not in _DEFAULT_BUILDS:
            network.build(shapes)
        inputs = [
            keras.KerasTensor((2, *shape[1:]), "float32" if len(shape) > 1 else "int32")
            for shape in shapes
        ]
        output = network(inputs, **training_argument(network, False))
    except Exception as error:
        raise ValueError(
            f"Expected the `backbone` to be called as backbone([{', '.join(shape_of)}]) with "
            f"inputs of shapes {shapes}. Received: {type(network).__name__}, which raised "
            f"{type(error).__name__}: {error}"
        ) from error
    output_shape = tuple(getattr(output, "shape", ()))
    if output_shape != (2, *data_shape):
        raise ValueError(
            "Expected the `backbone` to return the shape of its first input, (batch, "
            f"{str(tuple(data_shape))[1:-1]}). Received: an output of shape {output_shape} for a "
            "batch of 2."
        )


def classes_of(network: keras.layers.Layer) -> int | None:
    """The number of classes of a network that is called with labels last, or `None`."""
    value = getattr(network, "classes", None)
    return int(value) if isinstance(value, Integral) and not isinstance(value, bool) else None


def check_classes(network: keras.layers.Layer, classes: int | None) -> None:
    """Raises a `ValueError` unless the network has as many classes as the model, or `None`."""
    found = classes_of(network)
    if found == classes:
        return
    name = type(network).__name__
    if classes is None:
        raise ValueError(
            "Expected a `backbone` without classes, because the model was made without. "
            f"Received: {name} with classes={found}. Make the model with classes={found}."
        )
    if found is None:
        raise ValueError(
            f"Expected a `backbone` conditioned on labels, because the model was made with "
            f"classes={classes}. Received: {name} without an integer attribute `classes`. Add the "
            f"attribute, classes = {classes}; the network is then called with int32 labels "
            f"(batch,) as its last input, where {classes} is the null label."
        )
    raise ValueError(
        f"Expected a `backbone` with classes={classes}, as the model has. "
        f"Received: {name} with classes={found}."
    )


def check_conditions(network: keras.layers.Layer, kinds: Mapping[str, str]) -> None:
    """Raises a `ValueError` unless the network has the model's conditions, all but labels.

    Args:
        network: The network.
        kinds: Kinds of the model's conditions by name, in their order.
    """
    found = getattr(network, "conditions", None) or {}
    if dict(found) != dict(kinds) or list(found) != list(kinds):
        raise ValueError(
            f"Expected a `backbone` with an attribute conditions = {dict(kinds)}, as the model "
            "has; it is then called with them as its last inputs, float32, in this order. "
            f"Received: {type(network).__name__} with conditions={dict(found)}."
        )


def training_argument(network: keras.layers.Layer, training: bool) -> dict[str, Any]:
    """``{"training": training}`` for a network that takes it, else nothing."""
    parameters = inspect.signature(network.call).parameters.values()
    takes = any(p.name == "training" or p.kind is p.VAR_KEYWORD for p in parameters)
    return {"training": training} if takes else {}
