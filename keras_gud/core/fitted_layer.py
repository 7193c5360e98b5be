"""Layers whose weights are measured on data instead of trained."""

import keras


class FittedLayer(keras.layers.Layer):
    """Base class of bases, priors, schedules and tokens: float32, with statistics for weights.

    A subclass has a `build` whose arguments `get_build_config` returns as a dict, or `None` as
    long as it is not built; so saved statistics find their place again on loading.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`; the dtype is float32 unless given, whatever
            the global policy is.
    """

    def __init__(self, **kwargs):
        super().__init__(**({"dtype": "float32"} | kwargs))

    def add_statistic(self, name: str, shape, initializer="zeros", dtype=None):
        """A weight that is assigned by fitting; gradients never change it."""
        kwargs = {"trainable": False, "aggregation": "only_first_replica"}
        return self.add_weight(
            name=name, shape=shape, dtype=dtype, initializer=initializer, **kwargs
        )

    def build_from_config(self, config):
        """Builds from `get_build_config`."""
        if config is not None:
            self.build(**config)
            self.built = True
