"""Layers whose weights are fitted to statistics of the data instead of trained."""

from typing import Any

import keras

from keras_gud.core.types import Shape


class FittedLayer(keras.layers.Layer):
    """Base class of bases, priors, schedules and tokens: float32, with statistics as weights.

    A subclass has a `build` and a `get_build_config`, which returns its arguments as a dict, or
    `None` as long as the layer is not built; so the weights exist before saved ones are loaded.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`; the dtype is float32 unless given, whatever
            the global policy is.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**({"dtype": "float32"} | kwargs))

    def add_statistic(
        self, name: str, shape: Shape, initializer: str = "zeros", dtype: str | None = None
    ) -> keras.Variable:
        """Adds a weight that fitting assigns and gradients never change.

        Args:
            name: Name of the weight.
            shape: Its shape.
            initializer: Name of a Keras initializer, for its value before fitting.
            dtype: Its dtype; default: the layer's.
        """
        return self.add_weight(
            name=name,
            shape=shape,
            dtype=dtype,
            initializer=initializer,
            trainable=False,
            aggregation="only_first_replica",
        )

    def build_from_config(self, config: dict[str, Any] | None) -> None:
        """Builds the layer from what `get_build_config` returned."""
        if config is not None:
            self.build(**config)
            self.built = True
