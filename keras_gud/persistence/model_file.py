"""Saving and loading: random state, format version, files that cross backends."""

import contextlib
import os

import keras

from keras_gud.core.arguments import check_integer
from keras_gud.core.data_shape import validate_data_shape
from keras_gud.persistence import atomic_write

FORMAT_VERSION = 1
# Keras takes apart where an object's class lives; this one module is the same on every backend.
_PORTABLE = "keras.optimizers"


class Saving:
    """Mixin of `GUDModel`.

    Beside the weights, a file holds the averaged weights, the fitted statistics and the state of
    every random generator, which Keras itself does not save.
    """

    serialized_parts = ("basis", "prior", "schedule", "backbone", "weighting")

    def _random_states(self) -> list:
        """State variables of all seed generators (the model's own and those of dropout)."""
        weights = {id(w) for w in self.weights}
        return [v for v in self.variables if id(v) not in weights]

    def save_own_variables(self, store):
        """Writes the model's own weights and all random states."""
        super().save_own_variables(store)
        for i, state in enumerate(self._random_states()):
            store[f"random_{i}"] = keras.ops.convert_to_numpy(state.value)

    def load_own_variables(self, store):
        """Reads what `save_own_variables` wrote."""
        own = {key: store[key] for key in store.keys() if not key.startswith("random_")}
        super().load_own_variables(own)
        for i, state in enumerate(self._random_states()):
            if f"random_{i}" in store.keys():
                state.assign(store[f"random_{i}"])

    def save(self, filepath, overwrite=True, **kwargs):
        """Saves the whole model, see `keras.Model.save`; it must know its data.

        A file of that name is replaced when the new one is complete: whatever happens before, such
        as a full disk, it stays as it was.
        """
        self._require_built("it is saved")
        with self._complete(filepath, ".keras", overwrite, kwargs) as path:
            return super().save(path, overwrite=overwrite, **kwargs)

    def save_weights(self, filepath, overwrite=True, **kwargs):
        """Saves the weights, see `keras.Model.save_weights`; the model must know its data.

        An earlier file stays until the new one is complete, as in `save`.
        """
        self._require_built("its weights are saved")
        with self._complete(filepath, ".weights.h5", overwrite, kwargs) as path:
            return super().save_weights(path, overwrite=overwrite, **kwargs)

    def _complete(self, filepath, suffix: str, overwrite: bool, others: dict):
        """A context with the path to write to, see `whole_files.complete`.

        What Keras will refuse or ask about, several files (`others` holds arguments that ask for
        them) and anything that is not in a local folder keep their own path.
        """
        local = isinstance(filepath, (str, os.PathLike)) and str(filepath).endswith(suffix)
        local = local and os.path.isdir(os.path.dirname(os.path.realpath(filepath)))
        if others or not local or (os.path.exists(filepath) and not overwrite):
            return contextlib.nullcontext(filepath)
        return atomic_write.complete(filepath, atomic_write.size_of(self))

    def load_weights(self, filepath, **kwargs):
        """Loads weights, see `keras.Model.load_weights`; the model must know its data's shape.

        The optimizer, if there is one, is built first: Keras would silently skip its state.
        """
        self._require_built("weights are loaded")
        if self.compiled:
            self.optimizer.build(self.trainable_variables)
        return super().load_weights(filepath, **kwargs)

    def export(self, *args, **kwargs):
        """Refuses: a diffusion model is not one forward pass that an exported graph could hold."""
        raise ValueError(
            "Expected `save` or `save_weights`: a GUD model cannot be exported as a single "
            "inference graph, because sampling is a loop with a seed, a number of steps and a "
            "schedule. Load the saved model with keras.saving.load_model and call `sample`."
        )

    def get_build_config(self):
        """Shape and kind of the data, from which everything is built again."""
        if not self.built:
            return None
        return {
            "data_shape": list(self.data_shape),
            "kind": self.kind,
            "tokens": self.tokens.get_build_config(),
        }

    def build_from_config(self, config):
        """Builds from `get_build_config`; the serialized parts have been built from theirs."""
        self.tokens.build_from_config(config["tokens"])
        self.moments.build_from_config({"data_shape": config["data_shape"]})
        self.data_shape, self.kind = (
            validate_data_shape(config["data_shape"]),
            config["kind"],
        )
        self.build((None, *self.data_shape))

    def compile_from_config(self, config):
        """Compiles a loaded model, whichever backend saved it."""
        config = keras.saving.deserialize_keras_object(portable(dict(config)))
        # Whether XLA serves well is a matter of the backend that loads, not the one that saved.
        self.compile(**(config | {"jit_compile": "auto"}))
        self.optimizer.build(self.trainable_variables)

    def get_config(self):
        """The constructor's arguments and the version of the format."""
        config = {
            "prediction": self.prediction,
            "ema_decay": self.ema.decay,
            "max_tokens": self.tokens.max_tokens,
            "data_shape": self.data_shape,
            "classes": self.classes,
            "label_dropout": self.label_dropout,
            "start_covariance": self.moments.full,
            "seed": self.seed,
            "name": self.name,
            "format_version": FORMAT_VERSION,
        }
        for part in self.serialized_parts:
            config[part] = keras.saving.serialize_keras_object(getattr(self, part))
        config["region"] = [keras.saving.serialize_keras_object(paths) for paths in self.region]
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Makes the model; refuses files of a newer format."""
        config = dict(config)
        version = config.pop("format_version", FORMAT_VERSION)
        check_integer("format_version", version, 1)
        if version > FORMAT_VERSION:
            raise ValueError(
                f"Expected a file of format version {FORMAT_VERSION} or older. "
                f"Received: version {version}; a newer keras_gud wrote it."
            )
        for name in cls.serialized_parts:
            config[name] = keras.saving.deserialize_keras_object(config[name])
        region = config.pop("region", [])  # files of the first version have none
        config["region"] = [keras.saving.deserialize_keras_object(paths) for paths in region]
        return cls(**config)


def portable(config):
    """Optimizers by their public name: a file saved with torch names torch's own class."""
    if isinstance(config, dict):
        config = {key: portable(value) for key, value in config.items()}
        if ".backend." in str(config.get("module")) and "optimizers" in config["module"]:
            config["module"] = _PORTABLE
            config["registered_name"] = None
        return config
    return [portable(v) for v in config] if isinstance(config, (list, tuple)) else config
