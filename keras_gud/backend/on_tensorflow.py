"""Devices and processes under a `tf.distribute.Strategy`."""

import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import tensorflow as tf
from keras import tree

from keras_gud.backend.distribution import Distribution

# For each compiled function of TensorFlow, the one that runs it on all replicas.
_ON_REPLICAS: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def current_distribution() -> Distribution:
    """That of the strategy in whose scope it is called, or one device elsewhere."""
    strategy = tf.distribute.get_strategy()
    if not tf.distribute.has_strategy():
        return Distribution(control_dependencies=_control_dependencies)
    count = strategy.num_replicas_in_sync
    local = len(strategy.extended.worker_devices)
    resolver = strategy.cluster_resolver
    process_index = 0
    if count > local:
        # Workers in the order of their replicas: the chief, if there is one, before the others.
        has_chief = "chief" in resolver.cluster_spec().jobs
        process_index = resolver.task_id + int(has_chief and resolver.task_type == "worker")

    def replica_context() -> Any:
        found = tf.distribute.get_replica_context()
        return found if found is not None and count > 1 else None

    def replica() -> tuple[Any, int]:
        found = replica_context()
        return (0, 1) if found is None else (found.replica_id_in_sync_group, count)

    def shard_rows(x: np.ndarray) -> Any:
        shards = np.split(np.asarray(x), count)
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.convert_to_tensor(shards[context.replica_id_in_sync_group])
        )

    def call_compiled(compiled: Callable[..., Any], args: Any) -> Any:
        if not any(_is_sharded(x) for x in tree.flatten(args)):
            return compiled(*args)
        if compiled not in _ON_REPLICAS:
            # Within one graph the devices work side by side. A plain function around the compiled
            # one, because the strategy would make one XLA program of those of all devices.
            reference = weakref.proxy(compiled)
            graph = tf.function(lambda *args: strategy.run(lambda *x: reference(*x), args))
            _ON_REPLICAS[compiled] = graph
        return _ON_REPLICAS[compiled](*args)

    def step_results(results: dict) -> dict:
        one_worker = replica_context() is None or count == local
        return results if one_worker else {name: x[None] for name, x in results.items()}

    def all_gather(x: tf.Tensor) -> tf.Tensor:
        found = replica_context()
        return x if found is None else found.all_gather(x, axis=0)

    def process_allgather(x: np.ndarray) -> np.ndarray:
        x = tf.convert_to_tensor(x.astype("int32"))[None]  # collectives take no bytes
        rows = strategy.experimental_local_results(strategy.run(lambda: all_gather(x)))[0]
        return rows.numpy()[::local].astype("uint8")

    return Distribution(
        process_index=process_index,
        process_count=count // local,
        batch_shards=count,
        scale_loss_for_distribution=lambda x: x if replica_context() is None else x / count,
        replica=replica,
        shard_rows=shard_rows,
        is_sharded=_is_sharded,
        gather_rows=lambda x: strategy.gather(x, axis=0).numpy(),
        value_of=lambda value: value.read_value().numpy(),
        step_results=step_results,
        control_dependencies=_control_dependencies,
        all_gather=all_gather,
        call_compiled=call_compiled,
        process_allgather=process_allgather,
    )


def _is_sharded(x: Any) -> bool:
    # Mirrored variables are distributed values too, but copies, not parts.
    kinds = tf.distribute.DistributedValues, tf.__internal__.CompositeTensor
    return all(isinstance(x, kind) for kind in kinds)


def _control_dependencies(data: Any) -> AbstractContextManager:
    return tf.control_dependencies([x for x in tree.flatten(data) if x is not None])
