"""Several devices and several processes, by each engine's own means.

On jax it is `keras.distribution`, on tensorflow `tf.distribute`, on torch `torch.distributed`.
Without any of them every function here answers for the one device that there is.

A *process* is one Python interpreter of a run; a *part* is what of a batch one of them reads; a
*replica* is a device that computes a step on its own share of a batch.
"""

import contextlib
import functools
import importlib
from types import SimpleNamespace

import keras
import numpy as np
from keras import tree

from keras_gud.backend.engine import Engine


def _engine() -> Engine:
    """What this backend answers at this moment."""
    name = keras.backend.backend()
    if name not in ("jax", "tensorflow", "torch"):
        return Engine()
    return importlib.import_module(f"keras_gud.backend.on_{name}").engine()


# -- who is who -----------------------------------------------------------------------------------


def process() -> tuple[int, int]:
    """Which process of the run this is, and how many there are.

    >>> process()
    (0, 1)
    """
    return _engine().process


def data_part() -> tuple[int, int]:
    """Which part of every batch this process has to read, and how many parts there are.

    One part on tensorflow: its strategies take their share of whatever they are given.

    >>> data_part()
    (0, 1)
    """
    return _engine().data_part


def batch_parts() -> int:
    """The number of devices that a batch is divided among, over all processes.

    >>> batch_parts()
    1
    """
    return _engine().batch_parts


def one_program() -> bool:
    """Whether devices share one computation, in which a scalar is the same for all rows of a batch.

    >>> one_program()
    True
    """
    return keras.backend.backend() == "jax" or batch_parts() == 1


def replica() -> tuple:
    """Which replica the code that calls this computes a share for, and how many there are.

    On jax (0, 1): there, code sees the whole batch, whatever devices hold it. On tensorflow the
    first may be a tensor. On torch a process is a replica where it is `reading_own_part`.

    >>> replica()
    (0, 1)
    """
    whole = keras.backend.backend() == "torch" and not _reading.own_part
    return (0, 1) if whole else _engine().replica()


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
    return _engine().own_part(dataset)


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
    return tree.map_structure(_engine().share_rows, arrays)


def whole(x) -> np.ndarray:
    """What a compiled function has made of `share_rows`, all rows of it, in every process."""
    return _engine().whole(x)


def value_of(variable) -> np.ndarray:
    """The whole value of a Keras variable, whichever devices hold parts or copies of it."""
    return _engine().value_of(variable.value)


def all_rows(x):
    """The rows of all replicas, in order, within a training step; see `replica`."""
    return _engine().all_rows(x)


def share_of_loss(loss):
    """What a replica adds to the loss of the whole batch, as Keras expects it of `compute_loss`.

    On tensorflow gradients of replicas are added up; elsewhere the engine takes means.
    """
    return _engine().share_of_loss(loss)


def step_results(results: dict) -> dict:
    """Results of a step, in a shape that Keras can average over processes.

    Between TensorFlow's workers it takes means along a first axis, which scalars have not.
    """
    return _engine().step_results(results)


def after(data):
    """A context in which nothing is computed before the data are there.

    TensorFlow's graph of a step also holds the reading of its batch; where there is none left, it
    would still take what needs none of it, averages and random states, one step on.
    """
    return _engine().after(data)


def replicated(network):
    """The network to call in training: its gradients are averaged over the processes."""
    return _engine().replicated(network)


def call(compiled, args):
    """Calls a compiled function, once for each device where some arguments are shared rows."""
    engine = _engine()

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
        variables: Keras variables; only scalars are summed.
    """
    if keras.backend.backend() != "torch" or process()[1] == 1:
        return contextlib.nullcontext()
    variables = [v for v in variables if v.shape == ()]
    values = np.stack([value_of(v).astype("float64") for v in variables])
    sums = all_processes(values).sum(axis=0)
    mapping = [
        (v, keras.ops.convert_to_tensor(total, v.dtype))
        for v, total in zip(variables, sums, strict=True)
    ]
    return keras.StatelessScope(state_mapping=mapping)


def part_of_sum(value: np.ndarray) -> np.ndarray:
    """What this process holds of a sum over processes, see `summed`: the first one has it all."""
    alone = keras.backend.backend() != "torch" or process()[0] == 0 or value.ndim
    return value if alone else np.zeros_like(value)


def in_step(batches):
    """Batches of unknown number, for as long as every process has one more.

    Args:
        batches: An iterator, the part of this process.

    Raises:
        RuntimeError: where some processes have one and others have not, or have failed: those that
            have would wait for the others for ever.
    """
    batches, count = iter(batches), 0
    while True:
        with together("read its data"):
            batch = next(batches, None)
        more = all_processes(np.asarray(batch is not None))
        if not more.all():
            break
        yield batch
        count += 1
    if more.any():
        raise RuntimeError(
            "Expected data of the same number of batches in every process. Received: after "
            f"{count} batches those of processes {np.flatnonzero(~more).tolist()} of {len(more)} "
            "have ended."
        )


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
