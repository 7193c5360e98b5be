"""Batches and samples divided among devices: shards, replicas, and one training step of each.

Without a distribution every function here returns what is right for a single device.

A *process* is one Python interpreter of a run (see `processes`); a *shard* is the part of a batch
that one process reads; a *replica* is a device that computes a step on its own part of a batch.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
from keras import tree

from keras_gud.backend.distribution import Tensor, current_distribution

# What `reading_own_shard` sets.
_reading = SimpleNamespace(own_shard=False)


def data_shard() -> tuple[int, int]:
    """The index of the shard of every batch that this process has to read, and their number.

    One shard on tensorflow: its strategies divide whatever they are given.

    >>> data_shard()
    (0, 1)
    """
    return current_distribution().data_shard


def batch_shards() -> int:
    """The number of devices that a batch is divided among, over all processes.

    >>> batch_shards()
    1
    """
    return current_distribution().batch_shards


def is_single_program() -> bool:
    """Whether devices share one computation, in which a scalar is the same for all rows of a batch.

    >>> is_single_program()
    True
    """
    return keras.backend.backend() == "jax" or batch_shards() == 1


def replica() -> tuple[Tensor, int]:
    """The index of the replica that the calling code computes for, and the number of replicas.

    On jax (0, 1): there, code computes with the whole batch, even if it is divided among devices.
    On tensorflow the index may be a tensor. On torch each process is a replica, but only within
    `reading_own_shard`.

    >>> replica()
    (0, 1)
    """
    whole_batch = keras.backend.backend() == "torch" and not _reading.own_shard
    return (0, 1) if whole_batch else current_distribution().replica()


def in_strategy_scope(method: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a method of a model to run in the `tf.distribute.Strategy` the model was made in.

    Other backends have no such scope; there the method runs as it is.
    """

    @functools.wraps(method)
    def run(model, *args, **kwargs):
        strategy = getattr(model, "distribute_strategy", None)
        with contextlib.nullcontext() if strategy is None else strategy.scope():
            return method(model, *args, **kwargs)

    return run


def shard_dataset(dataset: Any) -> Any:
    """This process' shard of a `tf.data.Dataset` of whole batches, where Keras can divide it."""
    return current_distribution().shard_dataset(dataset)


@contextlib.contextmanager
def reading_own_shard() -> Iterator[None]:
    """A context in which batches are this process' shard of whole ones, see `data_shard`."""
    distribution = keras.distribution.distribution()
    before = _reading.own_shard, getattr(distribution, "auto_shard_dataset", None)
    _reading.own_shard = True
    if distribution is not None:  # Keras would divide tf.data once more, and refuse all others
        distribution.auto_shard_dataset = False
    try:
        yield
    finally:
        _reading.own_shard = before[0]
        if distribution is not None:
            distribution.auto_shard_dataset = before[1]


def shard_rows(arrays: Any) -> Any:
    """Divides nested arrays with a row for each sample among the devices, for compiled functions.

    Args:
        arrays: Nested NumPy arrays ``(n, ...)``; n is a multiple of `batch_shards`.

    Returns:
        The same structure, of what the backend's compiled functions take as divided arrays.
    """
    return tree.map_structure(current_distribution().shard_rows, arrays)


def gather_rows(x: Any) -> np.ndarray:
    """All rows of what a compiled function has returned for `shard_rows`, in every process."""
    return current_distribution().gather_rows(x)


def value_of(variable: keras.Variable) -> np.ndarray:
    """The whole value of a Keras variable, whichever devices hold parts or copies of it."""
    return current_distribution().value_of(variable.value)


def all_gather(x: Tensor) -> Tensor:
    """The rows of all replicas, in order, within a training step; see `replica`."""
    return current_distribution().all_gather(x)


def scale_loss_for_distribution(loss: Tensor) -> Tensor:
    """The mean loss of a replica, scaled as Keras expects it of `compute_loss`.

    On tensorflow the gradients of replicas are summed, so each loss is divided by their number;
    elsewhere gradients are averaged and the loss stays as it is.
    """
    return current_distribution().scale_loss_for_distribution(loss)


def step_results(results: dict[str, Tensor]) -> dict[str, Tensor]:
    """Results of a step, in a shape that Keras can average over processes.

    Between TensorFlow's workers it takes means along a first axis, which scalars do not have.
    """
    return current_distribution().step_results(results)


def control_dependencies(data: Any) -> AbstractContextManager:
    """A context in which nothing is computed before the (nested) data are there.

    TensorFlow's graph of a step also reads the batch of that step. Where there is no batch left, it
    would still update what does not depend on one, such as averages and random states.
    """
    return current_distribution().control_dependencies(data)


def data_parallel(network: keras.layers.Layer) -> Any:
    """The network to call in training, whose gradients are averaged over the processes."""
    return current_distribution().data_parallel(network)


def call_compiled(compiled: Callable[..., Any], args: Any) -> Any:
    """Calls a compiled function, once for each device where some arguments are divided rows."""
    distribution = current_distribution()

    def tensor(x):
        return x if distribution.is_sharded(x) else keras.ops.convert_to_tensor(x)

    return distribution.call_compiled(compiled, tree.map_structure(tensor, args))
