"""The random numbers of one batch of training or evaluation: times, noise, and all the rest."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import keras
from keras import ops

from keras_gud import backend
from keras_gud.core import counter_rng
from keras_gud.core.types import Shape, Tensor

# Counters of the deterministic noise that evaluation draws for each example.
_EPS, _UNIFORM, _DEQUANTISE, _VIEW, _OBSERVED = range(5)
_FILL = -1


@dataclass(frozen=True)
class Draws:
    """Random numbers of a batch; functions draw new ones when they are called.

    Attributes:
        t: Diffusion times, float32 ``(batch,)``.
        parameters: Uniform numbers for the schedule's parameters, ``(batch, n_parameters)``.
        eps: Noise N(0, 1), ``(batch, *data_shape)``.
        fill: Returns more of it, for values that are missing.
        dequantise: Returns uniform numbers of the data's shape.
        view: Returns uniform numbers ``(batch, 1)``, for the choice of a view.
        uniform: Returns uniform numbers ``(batch, *shape)`` for a shape.
    """

    t: Tensor
    parameters: Tensor
    eps: Tensor
    fill: Callable[[], Tensor]
    dequantise: Callable[[], Tensor]
    view: Callable[[], Tensor]
    uniform: Callable[[Shape], Tensor]


def for_training(x: Tensor, n_parameters: int, random: keras.random.SeedGenerator) -> Draws:
    """Draws from the training stream; times are stratified over the batch (DESIGN sec. 3.6).

    Noise does not depend on how a batch is divided among replicas: each draws that of the whole
    batch and takes its own rows.

    Args:
        x: The batch, or this replica's part of it.
        n_parameters: How many parameters are drawn for a schedule.
        random: The stream.
    """
    here, count = backend.replica()
    local, *shape = ops.shape(x)
    batch = local * count

    def own(values):
        return values if count == 1 else values[here * local : (here + 1) * local]

    def draw(function, shape):
        # In one axis: the numbers are the same, but XLA compiles those of several axes for seconds.
        flat = function((batch * math.prod(shape),), dtype="float32", seed=random)
        return own(ops.reshape(flat, (batch, *shape)))

    def uniform(shape):
        return draw(keras.random.uniform, shape)

    # One time in each of `batch` equal intervals.
    place = own(ops.cast(ops.arange(batch), "float32"))
    return Draws(
        t=(place + uniform(())) / ops.cast(batch, "float32"),
        parameters=uniform((n_parameters,)),
        eps=draw(keras.random.normal, shape),
        fill=lambda: draw(keras.random.normal, shape),
        dequantise=lambda: uniform(shape),
        view=lambda: uniform((1,)),
        uniform=uniform,
    )


def for_evaluation(x: Tensor, n_parameters: int, shape: Shape, counter: keras.Variable) -> Draws:
    """Noise and times that are a function of the position of an example alone.

    Args:
        x: The batch.
        n_parameters: How many parameters are drawn for a schedule.
        shape: The data's shape.
        counter: int32 variable with the number of examples before this batch; advanced.
    """
    keys, index = counter_rng.evaluation_keys(x, counter)
    counters = itertools.count(_OBSERVED)
    return Draws(
        t=counter_rng.golden_sequence(index),
        parameters=counter_rng.uniform(keys, _UNIFORM, (n_parameters,)),
        eps=counter_rng.normal(keys, _EPS, shape),
        fill=lambda: counter_rng.normal(keys, _FILL, shape),
        dequantise=lambda: counter_rng.uniform(keys, _DEQUANTISE, shape),
        view=lambda: counter_rng.uniform(keys, _VIEW, (1,)),
        uniform=lambda shape: counter_rng.uniform(keys, next(counters), shape),
    )
