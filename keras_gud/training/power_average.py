"""Averages of the weights over a share of training, from which any other share can be had later.

Power-function averages of a few widths (`power_profile`), kept beside the model's own average, and
by default none. After Karras et al. 2024, "Analyzing and Improving the Training Dynamics of
Diffusion Models", section 3.
"""

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud import backend
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import Shape, Tensor
from keras_gud.training.ema import averaged_weights
from keras_gud.training.power_profile import exponent


@keras.saving.register_keras_serializable(package=PACKAGE)
class PowerAverages(keras.layers.Layer):
    """Float32 averages of a network's floating-point weights, one for each width; at first none.

    Step t keeps ``(1 - 1/t)^(k + 1)`` of an average of exponent k: the first step all of the
    weights that it sees, which are those before its change.

    All weights are one vector, so that a step has few and not hundreds of small operations more.

    Attributes:
        widths: The widths, a tuple; empty while no averages are kept.
        count: With averages, a variable with the number of steps that they are of.
        run: An int32 variable, a random number that tells these averages from those of other runs;
            0 until `number_run` draws it.
        averages: A variable ``(len(widths), n)``, n the number of all weights; in each row those of
            `averaged_weights` follow one another.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**({"dtype": "float32"} | kwargs))
        self.widths: tuple[float, ...] = ()
        # In a namespace, or Keras would take the network's for weights of this layer.
        self._followed: Any = SimpleNamespace(weights=[], exponents=[])
        self.built = True

    @property
    def _own(self) -> list[keras.Variable]:
        return [self.count, self.run, self.averages] if self.widths else []

    def keep(self, model: keras.Model, widths: Sequence[float]) -> None:
        """Keeps averages of these widths from now on, those that there are if they have them.

        Args:
            model: The built model that these averages belong to; what it has compiled is dropped
                if they are new.
            widths: Their widths; none ends them.
        """
        if self.widths != tuple(widths):
            self._begin(model.network, widths)
            model.train_function = model.test_function = model.predict_function = None

    def number_run(self) -> None:
        """Draws the number of the run, of no seed, unless that has been done; for all processes."""
        if int(backend.value_of(self.run)) == 0:
            drawn = np.random.SeedSequence().generate_state(1).astype("int64")[0]
            self.run.assign(int(backend.process_allgather(drawn)[0]) % (2**31 - 1) + 1)

    def restart(self, network: keras.Layer) -> None:
        """Begins again, if averages are kept: at the present weights, which may be others."""
        if self.widths:
            self._begin(network, self.widths)

    def _begin(self, network: keras.Layer, widths: Sequence[float]) -> None:
        for variable in self._own:
            self._untrack_variable(variable)
        self.widths, self._followed.weights = tuple(widths), []
        if not self.widths:
            return
        self._followed.weights = averaged_weights(network)
        self._followed.exponents = [exponent(width) for width in self.widths]
        self._tracker.unlock()
        self.count = self._add("count", (), "float32", "zeros")
        self.run = self._add("run", (), "int32", "zeros")
        size = sum(math.prod(weight.shape) for weight in self._followed.weights)
        shape = (len(self.widths), size)
        self.averages = self._add("averages", shape, "float32", self._present_weights)

    def _add(self, name: str, shape: Shape, dtype: str, initializer: Any) -> keras.Variable:
        return self.add_weight(
            name=name,
            shape=shape,
            dtype=dtype,
            trainable=False,
            initializer=initializer,
            aggregation="only_first_replica",
        )

    def _present_weights(self, shape: Shape, dtype: str) -> Tensor:
        values = [np.ravel(backend.value_of(w)).astype(dtype) for w in self._followed.weights]
        return backend.from_numpy(np.tile(np.concatenate(values), (shape[0], 1)))

    def update(self) -> None:
        """One step of all averages, without gradient; nothing if there are none."""
        if not self.widths:
            return
        self.count.assign(self.count + 1.0)
        weights = [ops.reshape(ops.cast(w, "float32"), (-1,)) for w in self._followed.weights]
        now = ops.stop_gradient(ops.concatenate(weights))
        shares = ops.stack([new_share(self.count, k) for k in self._followed.exponents])
        self.averages.assign(self.averages + shares[:, None] * (now - self.averages))

    def save_own_variables(self, store: Any) -> None:
        """Writes the number of steps, the number of the run and the averages, if there are any."""
        for i, variable in enumerate(self._own):
            store[str(i)] = variable

    def load_own_variables(self, store: Any) -> None:
        """Reads what `save_own_variables` wrote; from a file without averages they begin again."""
        if not self.widths:
            return
        if store.keys():
            self._check_load_own_variables(store)
            for i, variable in enumerate(self._own):
                variable.assign(store[str(i)])
            return
        self.count.assign(0.0)
        self.run.assign(0)
        self.averages.assign(self._present_weights(self.averages.shape, "float32"))


def new_share(count: Tensor, k: float) -> Tensor:
    """The share ``1 - (1 - 1/t)^(k + 1)`` of step t's weights in an average.

    Args:
        count: The step t, float32, >= 1.
        k: The exponent.
    """
    # Float32 would round 1 - 1/t: after a million steps the share would be wrong by 6%.
    before = ops.log1p(-1.0 / ops.maximum(count, 1.5)) * (k + 1.0)
    return ops.where(count > 1.0, -ops.expm1(before), 1.0)
