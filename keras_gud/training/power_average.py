"""Averages of the weights over a share of training, from which any other share can be had later.

Power-function averages of a few widths (`power_profile`), kept beside the model's own average, and
by default none. After Karras et al. 2024, "Analyzing and Improving the Training Dynamics of
Diffusion Models", section 3.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud import backend
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import Array, Shape, Tensor
from keras_gud.training.ema import averaged_weights, copy_of
from keras_gud.training.power_profile import exponent


@dataclass
class _Kept:
    """Variables in a place where Keras does not take the network's for weights of the averages."""

    exponents: list[float] = field(default_factory=list)
    weights: list[keras.Variable] = field(default_factory=list)
    averages: list[list[keras.Variable]] = field(default_factory=list)
    own: list[keras.Variable] = field(default_factory=list)


@keras.saving.register_keras_serializable(package=PACKAGE)
class PowerAverages(keras.layers.Layer):
    """Float32 averages of a network's floating-point weights, one for each width; at first none.

    Step t keeps ``(1 - 1/t)^(k + 1)`` of an average of exponent k: the first step all of the
    weights that it sees, which are those before its change.

    Attributes:
        widths: The widths, a tuple; empty while no averages are kept.
        count: With averages, a variable with the number of steps that they are of.
        run: An int32 variable, a random number that tells these averages from those of other runs.
        averages: For each width the averages, in the order of `averaged_weights`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**({"dtype": "float32"} | kwargs))
        self.widths: tuple[float, ...] = ()
        self._kept = _Kept()
        self.built = True

    @property
    def averages(self) -> list[list[keras.Variable]]:
        """See the class."""
        return self._kept.averages

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

    def restart(self, network: keras.Layer) -> None:
        """Begins again, if averages are kept: at the present weights, which may be others."""
        if self.widths:
            self._begin(network, self.widths)

    def _begin(self, network: keras.Layer, widths: Sequence[float]) -> None:
        for variable in self._kept.own:
            self._untrack_variable(variable)
        self.widths, kept = tuple(widths), _Kept([exponent(width) for width in widths])
        if self.widths:
            self._tracker.unlock()
            kept.weights = averaged_weights(network)
            self.count = self._add("count", (), "float32", "zeros")
            self.run = self._add("run", (), "int32", _new_run)
            kept.averages = [
                [self._average_of(f"average_{i}_{j}", weight) for j, weight in enumerate(weights)]
                for i, weights in enumerate([kept.weights] * len(self.widths))
            ]
            kept.own = [self.count, self.run, *(v for each in kept.averages for v in each)]
        self._kept = kept

    def _average_of(self, name: str, weight: keras.Variable) -> keras.Variable:
        # The weight's own path is part of the name, for layouts of model parallelism.
        name = f"{name}_{weight.path.replace('/', '_')}"
        return self._add(name, weight.shape, "float32", functools.partial(copy_of, weight))

    def _add(self, name: str, shape: Any, dtype: str, initializer: Any) -> keras.Variable:
        return self.add_weight(
            name=name,
            shape=shape,
            dtype=dtype,
            trainable=False,
            initializer=initializer,
            aggregation="only_first_replica",
        )

    def update(self) -> None:
        """One step of all averages, without gradient; nothing if there are none."""
        if not self.widths:
            return
        self.count.assign(self.count + 1.0)
        weights = [ops.stop_gradient(ops.cast(w, "float32")) for w in self._kept.weights]
        for k, averages in zip(self._kept.exponents, self.averages, strict=True):
            share = new_share(self.count, k)
            for average, weight in zip(averages, weights, strict=True):
                average.assign(average + share * (weight - average))

    def values(self) -> list[list[Array]]:
        """The averages as NumPy arrays, for each width."""
        return [[backend.value_of(average) for average in each] for each in self.averages]

    def save_own_variables(self, store: Any) -> None:
        """Writes the number of steps, the number of the run and the averages, if there are any."""
        for i, variable in enumerate(self._kept.own):
            store[str(i)] = variable

    def load_own_variables(self, store: Any) -> None:
        """Reads what `save_own_variables` wrote; from a file without averages they begin again."""
        if not self.widths:
            return
        if store.keys():
            self._check_load_own_variables(store)
            for i, variable in enumerate(self._kept.own):
                variable.assign(store[str(i)])
            return
        self.count.assign(0.0)
        self.run.assign(_new_run())
        for averages in self.averages:
            for average, weight in zip(averages, self._kept.weights, strict=True):
                average.assign(copy_of(weight, weight.shape, average.dtype))


def new_share(count: Tensor, k: float) -> Tensor:
    """The share ``1 - (1 - 1/t)^(k + 1)`` of step t's weights in an average.

    Args:
        count: The step t, float32, >= 1.
        k: The exponent.
    """
    # Float32 would round 1 - 1/t: after a million steps the share would be wrong by 6%.
    before = ops.log1p(-1.0 / ops.maximum(count, 1.5)) * (k + 1.0)
    return ops.where(count > 1.0, -ops.expm1(before), 1.0)


def _new_run(shape: Shape = (), dtype: str = "int32") -> Tensor:
    """A random number, the same in all processes, and not of any seed."""
    drawn = np.random.SeedSequence().generate_state(1)[0] >> 1
    return ops.cast(int(backend.process_allgather(np.int64(drawn))[0]), dtype)
