"""A model as it was in a checkpoint: what it is, the shapes it was built with, all its numbers."""

import json

import keras
import numpy as np

from keras_gud import backend
from keras_gud.version import __version__

WEIGHTS = "model.weights.h5"
# Beside what is in the file of the weights: these differ from process to process, or are compared
# by what the checkpoint itself says.
_IGNORED = ("name", "seed", "data_shape", "build_config")
_SHOWN = 4  # how many differences an error lists


def describe(model) -> dict:
    """What a checkpoint says of its model and everything that is built from it, for JSON."""
    with backend.summed_over_processes(model.metrics_variables):
        metrics = [_plain(backend.value_of(v)) for v in model.metrics_variables]
    return {
        "keras_gud": __version__,
        "model": _identity(model),
        "seed": model.objective.seed,
        "build": _plain(model.get_build_config()),
        "parts": [_build_configs(part) for part in _parts(model)],
        "shapes": _shapes(model),
        "metrics": metrics,
    }


def save(model, folder):
    """Writes weights, average, statistics, optimizer and random states, as Keras does."""
    model.save_weights(folder / WEIGHTS)


def load(model, path, state: dict):
    """Makes a model what `describe` and `save` have written; builds it if need be.

    Args:
        model: A model with the same arguments; compiled, if its optimizer is to be restored.
        path: The folder of the checkpoint.
        state: What `describe` returned.

    Raises:
        ValueError: for another model.
    """
    _require_same(model, path, state)
    if not model.built:
        for part, config in zip(_parts(model), state["parts"], strict=True):
            _build(part, config)
        model.build_from_config(state["build"])
    if model.compiled:
        model.optimizer.build(model.trainable_variables)
        if _shapes(model) != state["shapes"]:
            raise _another(path, ["the shapes of its weights or of its optimizer's"])
    model.objective.seed = state["seed"]
    model.load_weights(path / WEIGHTS)


def load_metrics(model, state: dict):
    """What the metrics had counted of the epoch."""
    for variable, value in zip(model.metrics_variables, state["metrics"], strict=True):
        variable.assign(backend.part_of_sum(np.asarray(value, variable.dtype)))


def _identity(model) -> dict:
    """What must be the same in a model that goes on from a checkpoint."""
    optimizer = type(model.optimizer).__name__ if model.compiled else None
    config = _essence(_plain(model.get_config()))
    return {"class": type(model).__name__, "optimizer": optimizer} | config


def _require_same(model, path, state):
    ours, theirs = _flat(_identity(model)), _flat(state["model"])
    if not model.compiled:
        theirs[".optimizer"] = ours[".optimizer"]
    if not model.objective.seed_was_drawn:
        ours[".seed"], theirs[".seed"] = model.objective.seed, state["seed"]
    if model.data_shape is not None:
        ours[".data_shape"], theirs[".data_shape"] = (
            list(model.data_shape),
            state["build"]["data_shape"],
        )
    # Parts take what they leave open from the data, and then have it in their configs.
    fitted = {k for k, v in ours.items() if v is None and ".config." in k and not model.built}
    missing = "nothing"
    different = [
        f"{key[1:]}={theirs.get(key, missing)!r} (here {ours.get(key, missing)!r})"
        for key in sorted((ours.keys() | theirs.keys()) - fitted)
        if ours.get(key, missing) != theirs.get(key, missing)
    ]
    if different:
        raise _another(path, different)


def _another(path, different) -> ValueError:
    more = f" and {len(different) - _SHOWN} more" if len(different) > _SHOWN else ""
    return ValueError(
        "Expected checkpoints of this model. Received: one of another model in "
        f"{path}, with {', '.join(different[:_SHOWN])}{more}. Take another directory, or the "
        "arguments that the checkpoint was made with."
    )


def _parts(model) -> list:
    """The parts that are built from data rather than by the model."""
    return [model.basis, model.prior, model.schedule, *model.region]


def _build_configs(layer) -> dict:
    """Build configs of a layer and of all layers in it."""
    inner = [_build_configs(each) for each in layer._layers]
    config = layer.get_build_config() if layer.built else None
    return {"config": _plain(config), "inner": inner}


def _build(layer, saved: dict):
    """The reverse; a layer that is not built may have fewer layers in it, but the same first."""
    for each, config in zip(layer._layers, saved["inner"], strict=False):
        _build(each, config)
    if saved["config"] is not None and not layer.built:
        layer.build_from_config(saved["config"])


def _shapes(model) -> list:
    optimizer = model.optimizer.variables if model.compiled else []
    return [[str(tuple(v.shape)) for v in part] for part in (model.variables, optimizer)]


def _plain(value):
    """Of the types that JSON has."""
    value = keras.saving.serialize_keras_object(value) if callable(value) else value
    return json.loads(json.dumps(value, default=_readable))


def _readable(value):
    if hasattr(value, "tolist"):
        return value.tolist()
    return value.get_config() if hasattr(value, "get_config") else type(value).__name__


def _essence(config):
    """Without names that are counted through, and what is built from the data."""
    if isinstance(config, dict):
        if config.get("class_name") == "__lambda__":
            return "lambda"  # its code depends on the version of Python
        return {key: _essence(value) for key, value in config.items() if key not in _IGNORED}
    return [_essence(value) for value in config] if isinstance(config, list) else config


def _flat(config, prefix="") -> dict:
    if isinstance(config, list) and any(isinstance(value, dict) for value in config):
        config = dict(enumerate(config))
    if isinstance(config, dict) and config:
        return {k: v for key in config for k, v in _flat(config[key], f"{prefix}.{key}").items()}
    return {prefix: config}
