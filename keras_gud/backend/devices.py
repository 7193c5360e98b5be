"""Several devices and several processes, by each engine's own means.

On jax it is `keras.distribution`, on tensorflow `tf.distribute`, on torch `torch.distributed`.
Without any of them every function here answers for the one device that there is.

A *process* is one Python interpreter of a run; a *part* is what of a batch one of them reads; a
*replica* is a device that computes a step on its own share of a batch.
"""

import contextlib
import functools
import weakref
from types import SimpleNamespace

import keras
import numpy as np
from keras import tree


def _engine():
    """What this backend needs; `None` for one process with one device."""
    name = keras.backend.backend()
    return {"jax": _jax, "tensorflow": _tensorflow, "torch": _torch}.get(name, lambda: None)()


# -- who is who -----------------------------------------------------------------------------------


def process() -> tuple[int, int]:
    """Which process of the run this is, and how many there are.

    >>> process()
    (0, 1)
    """
    engine = _engine()
    return (0, 1) if engine is None else engine.process


def data_part() -> tuple[int, int]:
    """Which part of every batch this process has to read, and how many parts there are.

    One part on tensorflow: its strategies take their share of whatever they are given.

    >>> data_part()
    (0, 1)
    """
    engine = _engine()
    return (0, 1) if engine is None else engine.data_part


def batch_parts() -> int:
    """The number of devices that a batch is divided among, over all processes.

    >>> batch_parts()
    1
    """
    engine = _engine()
    return 1 if engine is None else engine.batch_parts


def one_program() -> bool:
    """Whether devices share one computation, in which a scalar is the same for all rows of a batch.

    >>> one_program()
    True
    """
    return keras.backend.backend() == "jax" or batch_parts() == 1


def replica() -> tuple:
    """Which replica the code that calls this computes a share for, and how many there are.

    On jax (0, 1): there, code sees the whole batch, whatever devices hold it. On tensorflow the
    first may be a tensor.

    >>> replica()
    (0, 1)
    """
    engine = _engine()
    return (0, 1) if engine is None else engine.replica()


def where_trained(method):
    """A method of a model, run where the model was made: within its `tf.distribute.Strategy`."""

    @functools.wraps(method)
    def run(model, *args, **kwargs):
        strategy = getattr(model, "distribute_strategy", None)
        with contextlib.nullcontext() if strategy is None else strategy.scope():
            return method(model, *args, **kwargs)

    return run


def own_part(dataset):
    """This process' part of a `tf.data.Dataset` of whole batches, where Keras can tell."""
    engine = _engine()
    return dataset if engine is None else engine.own_part(dataset)


@contextlib.contextmanager
def reading_own_part():
    """A context in which batches are this process' part of whole ones, see `data_part`."""
    distribution = keras.distribution.distribution()
    before = _reading.own_part, getattr(distribution, "auto_shard_dataset", None)
    _reading.own_part = True
    if distribution is not None:  # Keras would divide tf.data once more, and refuse all others
        distribution.auto_shard_dataset = False
    try:
        yield
    finally:
        _reading.own_part = before[0]
        if distribution is not None:
            distribution.auto_shard_dataset = before[1]


_reading = SimpleNamespace(own_part=False)


# -- rows of samples over devices -----------------------------------------------------------------


def share_rows(arrays):
    """Divides nested arrays with a row for each sample among the devices, for compiled functions.

    Args:
        arrays: Nested NumPy arrays; the number of rows is a multiple of `batch_parts`.
    """
    engine = _engine()
    return arrays if engine is None else tree.map_structure(engine.share_rows, arrays)


def whole(x) -> np.ndarray:
    """What a compiled function has made of `share_rows`, all rows of it, in every process."""
    engine = _engine()
    return keras.ops.convert_to_numpy(x) if engine is None else engine.whole(x)


def value_of(variable) -> np.ndarray:
    """The whole value of a Keras variable, whichever devices hold parts of it."""
    if keras.backend.backend() == "jax" and _jax() is not None:
        return _jax().whole(variable.value)
    return keras.ops.convert_to_numpy(variable.value)


def all_rows(x):
    """The rows of all replicas, in order, within a training step; see `replica`."""
    engine = _engine()
    return x if engine is None else engine.all_rows(x)


def share_of_loss(loss):
    """What a replica adds to the loss of the whole batch, as Keras expects it of `compute_loss`.

    On tensorflow gradients of replicas are added up; elsewhere the engine takes means.
    """
    engine = _engine()
    return loss if engine is None else engine.share_of_loss(loss)


def replicated(network):
    """The network to call in training: its gradients are averaged over the processes."""
    engine = _engine()
    return network if engine is None else engine.replicated(network)


def call(compiled, args):
    """Calls a compiled function, once for each device where some arguments are shared rows."""
    engine = _engine()
    if engine is None:
        return compiled(*tree.map_structure(keras.ops.convert_to_tensor, args))

    def tensor(x):
        return x if engine.is_shared(x) else keras.ops.convert_to_tensor(x)

    return engine.run(compiled, tree.map_structure(tensor, args))


# -- between processes ----------------------------------------------------------------------------


def all_processes(array: np.ndarray) -> np.ndarray:
    """The arrays of all processes, of the same shape and type, stacked along a new first axis.

    >>> all_processes(np.arange(2)).tolist()
    [[0, 1]]
    """
    array = np.asarray(array)
    if process()[1] == 1:
        return array[None]
    # As bytes, for jax would round 64 bits to 32.
    gathered = _engine().all_processes(np.frombuffer(array.tobytes(), "uint8"))
    return np.frombuffer(gathered.tobytes(), array.dtype).reshape(-1, *array.shape)


def summed(variables):
    """A context in which sums that every process has counted for itself are those of all.

    Only on torch: elsewhere one step counts the whole batch.

    Args:
        variables: Keras variables, scalars.
    """
    if keras.backend.backend() != "torch" or process()[1] == 1:
        return contextlib.nullcontext()
    values = np.stack([keras.ops.convert_to_numpy(v.value).astype("float64") for v in variables])
    sums = all_processes(values).sum(axis=0)
    mapping = [
        (v, keras.ops.convert_to_tensor(total, v.dtype))
        for v, total in zip(variables, sums, strict=True)
    ]
    return keras.StatelessScope(state_mapping=mapping)


@contextlib.contextmanager
def together(what: str):
    """All processes leave the block, or all raise: none is left waiting for one that failed.

    Args:
        what: What is done in the block, for the message: ``"open the data"``.

    Raises:
        RuntimeError: if the block raised in another process.
    """
    error = None
    try:
        yield
    except Exception as raised:
        error = raised
    if process()[1] > 1:
        message = b"" if error is None else f"{type(error).__name__}: {error}".encode()[:_LONGEST]
        messages = all_processes(np.frombuffer(message.ljust(_LONGEST, b"\0"), "uint8"))
        others = [bytes(row).rstrip(b"\0").decode(errors="replace") for row in messages]
        for i, other in enumerate(others):
            if other and error is None:
                raise RuntimeError(
                    f"Expected every process to {what}. Received: process {i} of {len(others)} "
                    f"failed, with {other}"
                )
    if error is not None:
        raise error


_LONGEST = 2048


# -- the engines ----------------------------------------------------------------------------------


def _jax():
    distribution = keras.distribution.distribution()
    if distribution is None:
        return None
    import jax

    here, count = jax.process_index(), jax.process_count()
    parts = distribution.num_model_replicas

    def share_rows(x):
        x = np.asarray(x)
        layout = distribution.get_data_layout(x.shape).backend_layout
        return jax.make_array_from_callback(x.shape, layout, lambda index: x[index])

    def whole(x):
        if isinstance(x, jax.Array) and not (x.is_fully_addressable or x.is_fully_replicated):
            return np.asarray(multihost().process_allgather(x, tiled=True))
        return keras.ops.convert_to_numpy(x)

    def multihost():
        from jax.experimental import multihost_utils

        return multihost_utils

    return SimpleNamespace(
        process=(here, count),
        data_part=(distribution.data_shard_id, min(parts, count)),
        batch_parts=parts,
        own_part=distribution.distribute_dataset,
        share_of_loss=lambda loss: loss,
        replica=lambda: (0, 1),
        share_rows=share_rows,
        is_shared=lambda x: False,
        whole=whole,
        all_rows=lambda x: x,
        replicated=lambda network: network,
        run=lambda compiled, args: compiled(*args),
        all_processes=lambda x: np.asarray(multihost().process_allgather(x)),
    )


# For each compiled function of TensorFlow, the one that runs it on all replicas.
_ON_REPLICAS = weakref.WeakKeyDictionary()


def _tensorflow():
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    if not tf.distribute.has_strategy():
        return None
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

    def all_rows(x):
        found = context()
        return x if found is None else found.all_gather(x, axis=0)

    def all_processes(x):
        rows = strategy.run(lambda: all_rows(tf.convert_to_tensor(x)[None]))
        return strategy.experimental_local_results(rows)[0].numpy()[::local]

    return SimpleNamespace(
        process=(here, count // local),
        data_part=(0, 1),
        batch_parts=count,
        own_part=lambda dataset: dataset,
        share_of_loss=lambda loss: loss if context() is None else loss / count,
        replica=replica,
        share_rows=share_rows,
        is_shared=is_shared,
        whole=lambda x: strategy.gather(x, axis=0).numpy(),
        all_rows=all_rows,
        replicated=lambda network: network,
        run=run,
        all_processes=all_processes,
    )


def _torch():
    import torch
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized()):
        return None
    here, count = dist.get_rank(), dist.get_world_size()

    def all_rows(x):
        parts = [torch.empty_like(x) for _ in range(count)]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    def whole(x):
        return keras.ops.convert_to_numpy(all_rows(keras.ops.convert_to_tensor(x)))

    return SimpleNamespace(
        process=(here, count),
        data_part=(here, count),
        batch_parts=count,
        own_part=lambda dataset: dataset,
        share_of_loss=lambda loss: loss,
        replica=lambda: (here, count) if _reading.own_part else (0, 1),
        share_rows=lambda x: np.split(np.asarray(x), count)[here],
        is_shared=lambda x: False,
        whole=whole,
        all_rows=all_rows,
        replicated=torch.nn.parallel.DistributedDataParallel,
        run=lambda compiled, args: compiled(*args),
        all_processes=lambda x: whole(x[None]),
    )
