"""`keras.Model` with what distributed training needs on some backend."""

from typing import Any

import keras

from keras_gud.backend.devices import control_dependencies, step_results
from keras_gud.backend.processes import summed_over_processes


class DistributedModel(keras.Model):
    """A model whose steps run in order, whose metrics are of all processes, and which is built."""

    def train_step(self, *args: Any) -> Any:
        """As in Keras; the last argument is the batch."""
        with control_dependencies(args[-1]):
            return super().train_step(*args)

    def get_metrics_result(self) -> dict[str, Any]:
        """As in Keras, of all processes."""
        with summed_over_processes(self.metrics_variables):
            return step_results(super().get_metrics_result())

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Nothing, as all has been built; Keras calls it under a `tf.distribute.Strategy`.

        It would average a batch over the workers, which TensorFlow cannot do with bytes.
        """

    def replace_layer(self, name: str, layer: keras.layers.Layer) -> None:
        """Takes a layer in place of that of an attribute, which Keras else would go on saving."""
        former = getattr(self, name, None)
        if former is not None and former is not layer:
            self._tracker.untrack(former)
        setattr(self, name, layer)
