"""Saving and loading of models: random state, format version, files that any backend can load.

These functions are methods of `GUDModel`, which has them as attributes. Beside the weights, a file
holds the averaged weights, the fitted statistics and the state of every random generator, which
Keras itself does not save.
"""

import contextlib
import os
from contextlib import AbstractContextManager
from typing import Any

import keras

from keras_gud.core.arguments import check_integer, require_built
from keras_gud.persistence import atomic_write

FORMAT_VERSION = 1
# Optimizers' classes are in another module on every backend; this module has them on all.
_PORTABLE = "keras.optimizers"
# Arguments of constructors that are Keras objects: those of every model, and of a latent one.
_PARTS = ("basis", "prior", "schedule", "backbone", "weighting")
_LATENT_PARTS = ("encoder", "decoder")


def _random_states(model: keras.Model) -> list[keras.Variable]:
    """State variables of all seed generators (those of the loss and of dropout)."""
    weights = {id(w) for w in model.weights}
    return [v for v in model.variables if id(v) not in weights]


def save_own_variables(model: keras.Model, store: Any) -> None:
    """Writes the model's own weights and all random states."""
    keras.Model.save_own_variables(model, store)
    for i, state in enumerate(_random_states(model)):
        store[f"random_{i}"] = keras.ops.convert_to_numpy(state.value)


def load_own_variables(model: keras.Model, store: Any) -> None:
    """Reads what `save_own_variables` wrote."""
    own = {key: store[key] for key in store.keys() if not key.startswith("random_")}
    keras.Model.load_own_variables(model, own)
    for i, state in enumerate(_random_states(model)):
        if f"random_{i}" in store.keys():
            state.assign(store[f"random_{i}"])


def save(
    model: keras.Model, filepath: str | os.PathLike, overwrite: bool = True, **kwargs: Any
) -> None:
    """Saves the whole model, see `keras.Model.save`; it must have been adapted to data.

    An earlier file stays as it was until the new one is complete, also where the disk is full.
    `keras_gud.load` reads it, and so does `keras.saving.load_model` once `keras_gud` is imported:
    Keras finds classes of other packages only where these have registered them.

    Args:
        filepath: Where to save, ``*.keras``.
        overwrite: As in Keras.
        **kwargs: Further arguments of `keras.Model.save`.

    Raises:
        ValueError: for a model that has not been adapted to data, or another ending.
        OSError: if the file cannot be written.
    """
    require_built(model, "it is saved")
    _require_keras_file(filepath, kwargs.get("zipped"))
    _refuse_lora(model)
    with _replacing(model, filepath, ".keras", overwrite, kwargs) as path:
        keras.Model.save(model, path, overwrite=overwrite, **kwargs)


def save_weights(
    model: keras.Model, filepath: str | os.PathLike, overwrite: bool = True, **kwargs: Any
) -> None:
    """Saves the weights, see `keras.Model.save_weights`; the model must have been adapted to data.

    An earlier file stays until the new one is complete, as in `save`.

    Args:
        filepath: Where to save, ``*.weights.h5``.
        overwrite: As in Keras.
        **kwargs: Further arguments of `keras.Model.save_weights`.

    Raises:
        ValueError: for a model that has not been adapted to data.
        OSError: if the file cannot be written.
    """
    require_built(model, "its weights are saved")
    _refuse_lora(model)
    with _replacing(model, filepath, ".weights.h5", overwrite, kwargs) as path:
        keras.Model.save_weights(model, path, overwrite=overwrite, **kwargs)


def _require_keras_file(filepath: Any, zipped: bool | None) -> None:
    """Keras would write the old format, ``*.h5``, which it cannot make this model of again."""
    path = str(filepath)
    is_path = isinstance(filepath, (str, os.PathLike)) and not path.startswith("hf://")
    if is_path and zipped is not False and not path.endswith(".keras"):
        raise ValueError(
            f"Expected `filepath` to end in '.keras'. Received: filepath={path!r}. Weights alone "
            "go to '*.weights.h5', by save_weights."
        )


def _refuse_lora(model: keras.Model) -> None:
    """A network is built again from its config, which must know of what was enabled later."""
    layers = model.network._flatten_layers()
    lora = [layer for layer in layers if getattr(layer, "lora_enabled", False)]
    expected: list[Any] = getattr(model.network, "lora_layers", list)()
    if [id(layer) for layer in lora] != [id(layer) for layer in expected]:
        raise ValueError(
            "Expected a network without LoRA in a file, or with that of `Backbone.enable_lora`: it "
            f"would be built again without. Received: {len(lora)} layers with `enable_lora`, the "
            f"first {lora[0].name!r}. Sample with it now, or train all weights."
        )


def _replacing(
    model: keras.Model,
    filepath: str | os.PathLike,
    suffix: str,
    overwrite: bool,
    others: dict[str, Any],
) -> AbstractContextManager[Any]:
    """A context with the path to write to, see `atomic_write.replacing`.

    It is `filepath` itself, so that Keras writes there directly, for what Keras will refuse or ask
    about, for several files (`others` are arguments that may ask for them), and for anything that
    is not in a local folder.
    """
    local = isinstance(filepath, (str, os.PathLike)) and str(filepath).endswith(suffix)
    local = local and os.path.isdir(os.path.dirname(os.path.realpath(filepath)))
    if others or not local or (os.path.exists(filepath) and not overwrite):
        return contextlib.nullcontext(filepath)
    return atomic_write.replacing(filepath, atomic_write.estimated_bytes(model))


def load_weights(model: keras.Model, filepath: str | os.PathLike, **kwargs: Any) -> None:
    """Loads weights, see `keras.Model.load_weights`; the model must know the shape of its data.

    The optimizer, if there is one, is built first, or Keras would silently skip its state.

    Args:
        filepath: File of `save_weights`.
        **kwargs: Further arguments of `keras.Model.load_weights`.

    Raises:
        ValueError: for a model that has not been built.
    """
    if not model.built:
        require_built(model, "weights are loaded")
    if model.compiled:
        model.optimizer.build(model.trainable_variables)
    keras.Model.load_weights(model, filepath, **kwargs)


def export(model: keras.Model, *args: Any, **kwargs: Any) -> None:
    """Always raises: a model's forward pass is its loss; `export_sampler` writes its sampler.

    Raises:
        ValueError: in every case.
    """
    raise ValueError(
        "Expected `export_sampler`, which writes sampling as a graph, or `save`: the forward pass "
        "of a GUD model, which `export` would write, is its loss. Received: a call of `export`."
    )


def quantize(model: keras.Model, *args: Any, **kwargs: Any) -> None:
    """Always raises: the average of the weights is what a GUD model samples with.

    Raises:
        ValueError: in every case.
    """
    raise ValueError(
        "Expected float weights: a GUD model samples with the average of its weights, which "
        "integers cannot hold. Received: a call of `quantize`. For a smaller network take "
        "GUD(..., backbone_dtype='mixed_bfloat16') or a smaller backbone."
    )


def get_build_config(model: keras.Model) -> dict[str, Any] | None:
    """Shape and kind of the data, from which everything is built again, and what is frozen."""
    if not model.built:
        return None
    built = {"tokens": model.tokens.get_build_config()}
    # Keras builds the parts of a file by themselves; whoever calls `build_from_config` does not.
    parts = {name: part.get_build_config() for name, part in _built_parts(model).items()}
    frozen = [i for i, weight in enumerate(model.network.weights) if not weight.trainable]
    built |= {"parts": parts, "frozen": frozen} if frozen else {"parts": parts}
    widths = model.power_averages.widths
    built |= {"power_averages": list(widths)} if widths else {}
    return model.data_space.get_build_config() | built


def _built_parts(model: keras.Model) -> dict[str, Any]:
    """The parts that have weights of their own, by name."""
    named = {name: getattr(model, name) for name in ("basis", "prior", "schedule", "conditions")}
    return named | {f"region_{i}": paths for i, paths in enumerate(model.region)}


def build_from_config(model: keras.Model, config: dict[str, Any]) -> None:
    """Builds the model from `get_build_config`; its parts are built already, from theirs."""
    for name, part in _built_parts(model).items():
        if not part.built and config.get("parts", {}).get(name) is not None:
            part.build_from_config(config["parts"][name])
    model.tokens.build_from_config(config["tokens"])
    model.moments.build_from_config({"data_shape": config["data_shape"]})
    model.data_space.build_from_config(config)
    model.build((None, *model.data_shape))
    model.power_averages.keep(model, config.get("power_averages", ()))
    weights = model.network.weights
    for i in config.get("frozen", ()):
        weights[check_integer("frozen", i, 0)].trainable = False


def compile_from_config(model: keras.Model, config: dict[str, Any]) -> None:
    """Compiles a loaded model, whatever backend saved it."""
    config = keras.saving.deserialize_keras_object(portable(dict(config)))
    # Whether to use XLA depends on the backend that loads, not on the one that saved.
    model.compile(**(config | {"jit_compile": "auto"}))
    model.optimizer.build(model.trainable_variables)


def get_config(model: keras.Model) -> dict[str, Any]:
    """The constructor's arguments and the version of the format."""
    scale = model.data_space.data_scale
    # A name stands for the network that it is today; a file needs the one that it has.
    named = not isinstance(model.backbone, keras.layers.Layer)
    backbone = model.network if named and model.built else model.backbone
    parts = {
        "basis": model.basis,
        "prior": model.prior,
        "schedule": model.schedule,
        "backbone": getattr(backbone, "identifier", backbone),
        "weighting": model.objective.weighting,
        "region": list(model.region),
    }
    return {
        "prediction": model.objective.prediction,
        "ema_decay": model.ema.decay,
        "max_tokens": model.tokens.max_tokens,
        "data_shape": model.data_shape,
        "data_scale": scale.tolist() if hasattr(scale, "tolist") else scale,
        "missing": model.data_space.missing,
        **model.conditions.arguments(),
        "start_covariance": model.moments.full,
        "seed": model.objective.seed,
        "name": model.name,
        "named_backbone": named,
        "format_version": FORMAT_VERSION,
    } | {name: keras.saving.serialize_keras_object(part) for name, part in parts.items()}


def from_config(
    cls: type, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
) -> Any:
    """Makes the model from `get_config`.

    Raises:
        ValueError: for a newer format.
        KeyError: if a part is missing.
    """
    config = dict(config)
    version = config.pop("format_version", FORMAT_VERSION)
    check_integer("format_version", version, 1)
    if version > FORMAT_VERSION:
        raise ValueError(
            f"Expected a file of format version {FORMAT_VERSION} or older. "
            f"Received: version {version}; a newer keras_gud wrote it."
        )
    # The config of a network that had a name is made into one when that would be: once the data are
    # known. The variables of the model keep their order.
    kept = ("backbone",) if config.pop("named_backbone", False) else ()
    parts = [*_PARTS, *(name for name in _LATENT_PARTS if name in config)]
    for name in (name for name in parts if name not in kept):
        config[name] = keras.saving.deserialize_keras_object(config[name])
    if config.get("condition") is not None:
        config["condition"] = keras.saving.deserialize_keras_object(config["condition"])
    region = config.pop("region", [])
    config["region"] = [keras.saving.deserialize_keras_object(paths) for paths in region]
    return cls(**config)


def portable(config: Any) -> Any:
    """A config with optimizers by their public names; on torch, Keras saves names of its own."""
    if isinstance(config, dict):
        config = {key: portable(value) for key, value in config.items()}
        if ".backend." in str(config.get("module")) and "optimizers" in config["module"]:
            config["module"] = _PORTABLE
            config["registered_name"] = None
        return config
    return [portable(v) for v in config] if isinstance(config, (list, tuple)) else config
