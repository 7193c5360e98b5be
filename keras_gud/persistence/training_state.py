"""The state of a model in a checkpoint: its configuration, its shapes and all its variables."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_gud import backend
from keras_gud.version import __version__

WEIGHTS = "model.weights.h5"
# Entries of configs that are not compared: they differ from process to process, or are compared
# with other entries of the checkpoint.
_IGNORED = ("name", "seed", "data_shape", "build_config")
_MAX_SHOWN = 4  # how many differences an error lists


def describe(model: keras.Model) -> dict[str, Any]:
    """What a checkpoint records of a model beside its weights, of the types that JSON has.

    Args:
        model: A `GUDModel` that is built.

    Returns:
        Its configuration, seed, build configurations, shapes of variables and values of metrics.
    """
    with backend.summed_over_processes(model.metrics_variables):
        metrics = [_to_json_types(backend.value_of(v)) for v in model.metrics_variables]
    return {
        "keras_gud": __version__,
        "model": _identity(model),
        "seed": model.objective.seed,
        "build": _to_json_types(model.get_build_config()),
        "parts": [_build_configs(part) for part in _parts(model)],
        "shapes": _shapes(model),
        "metrics": metrics,
    }


def save(model: keras.Model, folder: Path) -> None:
    """Writes weights, their average, statistics, optimizer and random states, as Keras does."""
    model.save_weights(folder / WEIGHTS)


def load(model: keras.Model, path: Path, state: dict[str, Any]) -> None:
    """Restores a model from what `describe` and `save` have written; builds it if need be.

    Args:
        model: A `GUDModel` with the same arguments; compiled, if its optimizer is to be restored.
        path: The folder of the checkpoint.
        state: What `describe` returned.

    Raises:
        ValueError: for a checkpoint of another model.
    """
    _require_same(model, path, state)
    if not model.built:
        for part, config in zip(_parts(model), state["parts"], strict=True):
            _build(part, config)
        model.build_from_config(state["build"])
    model.power_averages.keep(model, state["build"].get("power_averages", ()))
    if model.compiled:
        model.optimizer.build(model.trainable_variables)
        if _shapes(model) != state["shapes"]:
            raise _mismatch_error(path, ["the shapes of its weights or of its optimizer's"])
    model.objective.seed = state["seed"]
    model.load_weights(path / WEIGHTS)


def load_metrics(model: keras.Model, state: dict[str, Any]) -> None:
    """Restores what the metrics had accumulated of the epoch, from what `describe` returned."""
    for variable, value in zip(model.metrics_variables, state["metrics"], strict=True):
        variable.assign(backend.part_of_sum(np.asarray(value, variable.dtype)))


def _identity(model: keras.Model) -> dict[str, Any]:
    """What must be equal for a model to be restored from a checkpoint: classes and arguments."""
    optimizer = type(model.optimizer).__name__ if model.compiled else None
    # A network has a name before it is built, and a config afterwards.
    named = {"backbone": model.backbone.identifier} if hasattr(model.backbone, "identifier") else {}
    config = _comparable(_to_json_types(model.get_config() | named))
    return {"class": type(model).__name__, "optimizer": optimizer} | config


def _require_same(model: keras.Model, path: Path, state: dict[str, Any]) -> None:
    ours, theirs = _flatten(_identity(model)), _flatten(state["model"])
    if not model.compiled:
        theirs[".optimizer"] = ours[".optimizer"]
    if not model.objective.seed_was_drawn:
        ours[".seed"], theirs[".seed"] = model.objective.seed, state["seed"]
    if model.data_shape is not None:
        ours[".data_shape"], theirs[".data_shape"] = (
            list(model.data_shape),
            state["build"]["data_shape"],
        )
    # Arguments that are None are set from the data when a part is fitted, then stand in its config.
    fitted = {k for k, v in ours.items() if v is None and ".config." in k and not model.built}
    missing = "nothing"
    different = [
        f"{key[1:]}={theirs.get(key, missing)!r} (here {ours.get(key, missing)!r})"
        for key in sorted((ours.keys() | theirs.keys()) - fitted)
        if ours.get(key, missing) != theirs.get(key, missing)
    ]
    if different:
        raise _mismatch_error(path, different)


def _mismatch_error(path: Path, different: list[str]) -> ValueError:
    more = f" and {len(different) - _MAX_SHOWN} more" if len(different) > _MAX_SHOWN else ""
    return ValueError(
        "Expected checkpoints of this model. Received: one of another model in "
        f"{path}, with {', '.join(different[:_MAX_SHOWN])}{more}. Take another directory, or the "
        "arguments that the checkpoint was made with."
    )


def _parts(model: keras.Model) -> list[Any]:
    """The parts that are built when they are fitted to data rather than by the model."""
    return [model.basis, model.prior, model.schedule, *model.region]


def _build_configs(layer: keras.layers.Layer) -> dict[str, Any]:
    """Build configs of a layer and of all layers in it."""
    inner = [_build_configs(each) for each in layer._layers]
    config = layer.get_build_config() if layer.built else None
    return {"config": _to_json_types(config), "inner": inner}


def _build(layer: keras.layers.Layer, saved: dict[str, Any]) -> None:
    """Builds from `_build_configs`; before that, a layer may lack the last of its inner layers."""
    for each, config in zip(layer._layers, saved["inner"], strict=False):
        _build(each, config)
    if saved["config"] is not None and not layer.built:
        layer.build_from_config(saved["config"])


def _shapes(model: keras.Model) -> list[list[str]]:
    optimizer = model.optimizer.variables if model.compiled else []
    return [[str(tuple(v.shape)) for v in part] for part in (model.variables, optimizer)]


def _to_json_types(value: Any) -> Any:
    """The same value in types that JSON has."""
    value = keras.saving.serialize_keras_object(value) if callable(value) else value
    return json.loads(json.dumps(value, default=_json_default))


def _json_default(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return value.get_config() if hasattr(value, "get_config") else type(value).__name__


def _comparable(config: Any) -> Any:
    """A config without automatic names and without what is built from the data."""
    if isinstance(config, dict):
        if config.get("class_name") == "__lambda__":
            return "lambda"  # its byte code depends on the version of Python
        return {key: _comparable(value) for key, value in config.items() if key not in _IGNORED}
    return [_comparable(value) for value in config] if isinstance(config, list) else config


def _flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """A nested config as one dict with keys such as ``.basis.config.levels``."""
    if isinstance(config, list) and any(isinstance(value, dict) for value in config):
        config = dict(enumerate(config))
    if isinstance(config, dict) and config:
        return {k: v for key in config for k, v in _flatten(config[key], f"{prefix}.{key}").items()}
    return {prefix: config}
