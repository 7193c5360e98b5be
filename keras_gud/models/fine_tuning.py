"""`model.load_backbone(other)`: training begins where that of another model has ended.

A method of `GUDModel`, which sets it as its attribute.
"""

import os
import warnings
from typing import Any

import keras

from keras_gud.backbones.transfer import Transfer, transfer
from keras_gud.backend import DistributedModel, value_of
from keras_gud.core.arguments import require_built
from keras_gud.persistence import inspection
from keras_gud.training import changed_network
from keras_gud.training.ema import averaged_weights

# Below this share of weights the network is a new one.
_HALF = 0.5


def load_backbone(model: keras.Model, other: Any) -> Transfer:
    """Takes the weights of another trained model's network, as far as they fit.

    Its averaged weights, with which it samples, become both the weights and the average here; an
    optimizer loses its state. Data may have another size, other channels or classes, and the
    network other options; weights are matched by layer and shape. Where the shape differs by the
    data alone, what both have is taken: new channels start at zero, in and out, new classes as the
    null label, and embeddings of positions are interpolated. Whatever is not found here stays as it
    was. Basis, prior, schedule and the statistics of the data are those of this model.

    Args:
        other: A trained model, or the path of a file that one wrote, ``*.keras``, which is
            inspected before anything in it is used.

    Returns:
        What fitted, by layer and by share of weights; print it.

    Raises:
        ValueError: for models that do not know their data yet (call `adapt` first), a network of
            another class, or anything else than a model or a path.
        FileNotFoundError: if there is no such file.

    Warns:
        UserWarning: if less than half fitted, or the networks' outputs mean something else
            (`prediction`).

    Example:

    >>> import keras_gud, numpy as np
    >>> small, large = (np.random.default_rng(0).normal(size=(64, n, n, 1)) for n in (8, 12))
    >>> trained, model = (keras_gud.GUD(backbone="tiny", seed=0) for _ in range(2))
    >>> trained.adapt(small, verbose=0)  # or fit
    >>> model.adapt(large, verbose=0)
    >>> report = model.load_backbone(trained)
    >>> report.share, [layer.name for layer in report.missing]
    (1.0, [])
    """
    require_built(model, "it takes the weights of another")
    if isinstance(other, (str, os.PathLike)):
        other = inspection.load_model(other, DistributedModel)
    if not isinstance(other, DistributedModel):
        raise ValueError(
            "Expected `other` to be a trained model or the path of its file, '*.keras'. "
            f"Received: other={other!r}."
        )
    require_built(other, "its weights are taken")
    for each in (model, other):
        changed_network.follow_network(each)
    pairs = zip(averaged_weights(other.network), other.ema.average, strict=True)
    values = {id(weight): value_of(average) for weight, average in pairs}
    report = transfer(other.network, model.network, values)
    changed_network.forget_training(model)
    _warn(model, other, report)
    return report


def _warn(model: keras.Model, other: keras.Model, report: Transfer) -> None:
    theirs, ours = other.objective.prediction, model.objective.prediction
    if theirs != ours:
        warnings.warn(
            f"The network was trained with prediction={theirs!r} and is taken for {ours!r}: its "
            "output means something else until it has been trained.",
            stacklevel=3,
        )
    if report.share < _HALF:
        warnings.warn(f"Less than half of the network was loaded.\n{report}", stacklevel=3)
