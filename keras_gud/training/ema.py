"""The exponential moving average of the network's weights, owned by the model (paper app. B).

Keras' own `optimizer.use_ema` overwrites the raw weights at the end of `fit`; this average never
touches them and is read, not swapped in.
"""

import functools
from numbers import Real
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud import backend
from keras_gud.backbones.contract import training_argument
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import Shape, Tensor


@keras.saving.register_keras_serializable(package=PACKAGE)
class WeightAverage(keras.layers.Layer):
    """Float32 average of a network's floating-point weights.

    Step k uses the decay ``min(decay, (1 + k)/(10 + k))``, so that a short training run is not
    dominated by the initial weights (Song et al., 2021). The update happens in the training
    forward pass and sees the weights before that step's change.

    Args:
        decay: The final decay, in [0, 1); 0.999 in the paper.

    Raises:
        ValueError: for a decay outside [0, 1).
    """

    def __init__(self, decay: float = 0.999, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if not isinstance(decay, Real) or not 0.0 <= decay < 1.0:
            raise ValueError(f"Expected `ema_decay` in [0, 1). Received: ema_decay={decay!r}.")
        self.decay: float = float(decay)
        # In a namespace, or Keras would take them for weights of this layer.
        self._followed: Any = SimpleNamespace(weights=[])

    def attach(self, network: keras.Layer) -> None:
        """Starts the average at the network's present weights."""
        # All replicas of a distributed step compute the same average.
        self.count = self.add_weight(
            name="count",
            shape=(),
            trainable=False,
            initializer="zeros",
            aggregation="only_first_replica",
        )
        weights = averaged_weights(network)
        self.average = [self._average_of(i, weight) for i, weight in enumerate(weights)]
        self._followed.weights = weights
        self.built = True

    def _average_of(self, i: int, weight: keras.Variable) -> keras.Variable:
        """A new average that begins at a weight's present value."""
        # The weight's own path is part of the name, for layouts of model parallelism.
        return self.add_weight(
            name=f"average_{i}_{weight.path.replace('/', '_')}",
            shape=weight.shape,
            trainable=False,
            initializer=functools.partial(_copy, weight),
            aggregation="only_first_replica",
        )

    def restart(self, network: keras.Layer) -> None:
        """Starts the average again, at the network's present weights."""
        self.follow(network)
        self.count.assign(0.0)
        for average, weight in zip(self.average, averaged_weights(network), strict=True):
            average.assign(_copy(weight, weight.shape, average.dtype))

    def follow(self, network: keras.Layer) -> bool:
        """Makes the average that of the network's present weights, if these are others than before.

        Weights that stay keep their average, new ones begin at their own values.

        Args:
            network: The network.

        Returns:
            Whether they are others.
        """
        weights = averaged_weights(network)
        before = self._followed.weights
        if [id(weight) for weight in weights] == [id(weight) for weight in before]:
            return False
        known = {id(w): average for w, average in zip(before, self.average, strict=True)}
        kept = {id(weight) for weight in weights}
        self._tracker.unlock()
        for weight, average in zip(before, self.average, strict=True):
            if id(weight) not in kept:
                self._untrack_variable(average)
        self.average = [
            known[id(weight)] if id(weight) in known else self._average_of(i, weight)
            for i, weight in enumerate(weights)
        ]
        self._tracker.lock()
        self._followed.weights = weights
        return True

    def update(self, network: keras.Layer) -> None:
        """One step of the average, without gradient."""
        self.count.assign(self.count + 1.0)
        decay = ops.minimum(self.decay, (1.0 + self.count) / (10.0 + self.count))
        for average, weight in zip(self.average, averaged_weights(network), strict=True):
            value = ops.stop_gradient(ops.cast(weight, "float32"))
            average.assign(average + (1.0 - decay) * (value - average))

    def call_network(self, network: keras.Layer, inputs: list[Tensor]) -> Tensor:
        """Calls the network with the averaged weights, for inference."""
        by_id = {
            id(weight): average
            for weight, average in zip(averaged_weights(network), self.average, strict=True)
        }

        def values(variables):
            return [ops.cast(by_id.get(id(v), v), v.dtype) for v in variables]

        trainable, other = network.trainable_variables, network.non_trainable_variables
        outputs, _ = network.stateless_call(
            values(trainable), values(other), inputs, **training_argument(network, False)
        )
        return outputs

    def save_own_variables(self, store: Any) -> None:
        """Writes the averages in the order of the network's weights, whenever these came."""
        for i, variable in enumerate([self.count, *self.average]):
            store[str(i)] = variable

    def load_own_variables(self, store: Any) -> None:
        """Reads what `save_own_variables` wrote."""
        self._check_load_own_variables(store)
        for i, variable in enumerate([self.count, *self.average]):
            variable.assign(store[str(i)])

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"decay": self.decay}


def _copy(weight: keras.Variable, shape: Shape, dtype: str) -> Tensor:
    # On jax an alias would be donated together with the weight, and every shape of a copy on the
    # device would be compiled.
    return ops.cast(backend.from_numpy(np.array(backend.value_of(weight))), dtype)


def averaged_weights(network: keras.Layer) -> list[keras.Variable]:
    """The network's floating-point weights, frozen or not, in a fixed order."""
    return [w for w in network.weights if keras.backend.is_float_dtype(w.dtype)]
