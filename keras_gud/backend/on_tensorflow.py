"""Devices and processes under a `tf.distribute.Strategy`."""

import weakref

import numpy as np
import tensorflow as tf
from keras import tree

from keras_gud.backend.engine import Engine

# For each compiled function of TensorFlow, the one that runs it on all replicas.
_ON_REPLICAS = weakref.WeakKeyDictionary()


def engine():
    """Answers within the scope of a strategy; one device elsewhere."""
    strategy = tf.distribute.get_strategy()
    if not tf.distribute.has_strategy():
        return Engine(after=_after)
    count = strategy.num_replicas_in_sync
    local = len(strategy.extended.worker_devices)
    resolver = strategy.cluster_resolver
    here = 0
    if count > local:
        # Workers in the order of their replicas: the chief, if there is one, before the others.
        has_chief = "chief" in resolver.cluster_spec().jobs
        here = resolver.task_id + int(has_chief and resolver.task_type == "worker")

    def context():
        found = tf.distribute.get_replica_context()
        return found if found is not None and count > 1 else None

    def replica():
        found = context()
        return (0, 1) if found is None else (found.replica_id_in_sync_group, count)

    def share_rows(x):
        parts = np.split(np.asarray(x), count)
        return strategy.experimental_distribute_values_from_function(
            lambda of: tf.convert_to_tensor(parts[of.replica_id_in_sync_group])
        )

    def is_shared(x):
        # Mirrored variables are distributed values too, but none with rows of their own.
        rows = tf.distribute.DistributedValues, tf.__internal__.CompositeTensor
        return all(isinstance(x, kind) for kind in rows)

    def run(compiled, args):
        if not any(is_shared(x) for x in tree.flatten(args)):
            return compiled(*args)
        if compiled not in _ON_REPLICAS:
            # Within one graph the devices work side by side. A plain function around the compiled
            # one, because the strategy would make one XLA program of those of all devices.
            of_weak = weakref.proxy(compiled)
            graph = tf.function(lambda *args: strategy.run(lambda *x: of_weak(*x), args))
            _ON_REPLICAS[compiled] = graph
        return _ON_REPLICAS[compiled](*args)

    def step_results(results):
        alone = context() is None or count == local
        return results if alone else {name: x[None] for name, x in results.items()}

    def all_rows(x):
        found = context()
        return x if found is None else found.all_gather(x, axis=0)

    def all_processes(x):
        x = tf.convert_to_tensor(x.astype("int32"))[None]  # collectives take no bytes
        rows = strategy.experimental_local_results(strategy.run(lambda: all_rows(x)))[0]
        return rows.numpy()[::local].astype("uint8")

    return Engine(
        process=(here, count // local),
        batch_parts=count,
        share_of_loss=lambda loss: loss if context() is None else loss / count,
        replica=replica,
        share_rows=share_rows,
        is_shared=is_shared,
        whole=lambda x: strategy.gather(x, axis=0).numpy(),
        value_of=lambda value: value.read_value().numpy(),
        step_results=step_results,
        after=_after,
        all_rows=all_rows,
        run=run,
        all_processes=all_processes,
    )


def _after(data):
    return tf.control_dependencies([x for x in tree.flatten(data) if x is not None])
