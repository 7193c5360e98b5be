"""What differs between backends, in one place: the only folder that may import one of them."""

import importlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_gud.backend.compilation_cache import use_cache_folder
from keras_gud.backend.devices import (
    all_gather,
    batch_shards,
    call_compiled,
    control_dependencies,
    data_parallel,
    data_shard,
    gather_rows,
    in_strategy_scope,
    is_single_program,
    reading_own_shard,
    replica,
    scale_loss_for_distribution,
    shard_dataset,
    shard_rows,
    step_results,
    value_of,
)
from keras_gud.backend.distribution import Tensor
from keras_gud.backend.keras_model import DistributedModel
from keras_gud.backend.pipelines import require_finite, require_labels, require_observed
from keras_gud.backend.processes import (
    part_of_sum,
    process_allgather,
    process_count,
    process_index,
    raise_together,
    summed_over_processes,
    synchronized_batches,
)

__all__ = [
    "DistributedModel",
    "all_gather",
    "batch_shards",
    "compile",
    "control_dependencies",
    "data_parallel",
    "data_shard",
    "dtype_name",
    "from_numpy",
    "gather_rows",
    "gradient",
    "import_torchvision",
    "in_strategy_scope",
    "is_deleted",
    "is_out_of_memory",
    "is_single_program",
    "part_of_sum",
    "process_allgather",
    "process_count",
    "process_index",
    "raise_together",
    "reading_own_shard",
    "replica",
    "require_finite",
    "require_labels",
    "require_observed",
    "scale_loss_for_distribution",
    "shard_dataset",
    "shard_rows",
    "step_results",
    "summed_over_processes",
    "synchronized_batches",
    "to_numpy",
    "torch_has_gpu",
    "use_cache_folder",
    "value_of",
]

use_cache_folder()


def compile(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a pure function of tensors as a whole: XLA on jax and tensorflow, no_grad on torch.

    Everything that may change between calls (weights, bounds of loops) has to be an argument, or
    its first value stays. Arguments may be nested; every leaf becomes a tensor, so that no Python
    number causes a new compilation.

    Args:
        function: A function of nested tensors that returns nested tensors.

    Returns:
        A function with the same signature (positional arguments only).

    Example:

    >>> double = compile(lambda x: 2 * x)
    >>> float(double(3.0))
    6.0
    """
    name = keras.backend.backend()
    if name == "jax":
        import jax

        compiled = jax.jit(function)
    elif name == "tensorflow":
        import tensorflow as tf

        compiled = tf.function(function, jit_compile=True, autograph=False)
    elif name == "torch":
        import torch

        compiled = torch.no_grad()(function)
    else:
        compiled = function

    return lambda *args: call_compiled(compiled, args)


def gradient(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The gradient of a function of a tensor, also within a compiled loop; `keras.ops` has none.

    Args:
        function: Function of one tensor ``(batch, ...)`` that returns a number for every row, of
            that row alone, ``(batch,)``; or one number for all.
        x: Float tensor ``(batch, ...)``, the point where the gradient is taken.

    Returns:
        Tensor of the shape of x.

    Example:

    >>> slope = gradient(lambda x: x**2, keras.ops.convert_to_tensor([1.0, -3.0]))
    >>> to_numpy(slope).tolist()
    [2.0, -6.0]
    """
    name = keras.backend.backend()

    def total(x):
        return keras.ops.sum(function(x))

    if name == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            y = total(x)
        return tape.gradient(y, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    if name == "torch":
        import torch

        return torch.func.grad(total)(x)
    import jax

    return jax.grad(total)(x)


def to_numpy(x: Any) -> np.ndarray:
    """An array or tensor of any library, also of another backend than the active one, as NumPy.

    >>> to_numpy([1, 2]).tolist()
    [1, 2]
    """
    if hasattr(x, "detach"):  # torch: NumPy has neither gradients nor bfloat16
        x = x.detach().cpu()
        x = x.float() if "bfloat16" in str(x.dtype) else x
    return np.asarray(x)


def from_numpy(x: np.ndarray) -> Tensor:
    """A NumPy array as a tensor of the same dtype.

    As `keras.ops.convert_to_tensor`, which on jax compiles a program for every new shape.

    >>> tuple(from_numpy(np.zeros((2, 3), "float32")).shape)
    (2, 3)
    """
    if keras.backend.backend() == "jax":
        import jax

        return jax.device_put(x)
    return keras.ops.convert_to_tensor(x)


def dtype_name(x: Any) -> str:
    """The name of the dtype of an array or tensor of any library.

    >>> dtype_name(np.zeros(1, "float32"))
    'float32'
    """
    # The dtypes of NumPy and tensorflow have a name, those of torch have none.
    return str(getattr(x.dtype, "name", x.dtype)).removeprefix("torch.")


def is_deleted(variable: keras.Variable) -> bool:
    """Whether a variable has no value any more.

    On jax, a training step that is interrupted has given its inputs' buffers away ("donated") and
    not yet returned new ones.

    >>> is_deleted(keras.Variable(1.0))
    False
    """
    value = variable._value
    return value is None or bool(getattr(value, "is_deleted", lambda: False)())


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of any backend says that a device, or the host, has no memory left.

    >>> is_out_of_memory(RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes."))
    True
    """
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__:
        return True
    # Of jax and tensorflow, and of torch on a CPU.
    text = str(error).lower()
    said = ("resource_exhausted", "out of memory", "allocate memory", "oom when allocating")
    return any(words in text for words in said)


def fuses_attention(*inputs: Tensor) -> bool:
    """Whether attention is faster as one operation, `keras.ops.dot_product_attention`, here.

    On torch it is, but no directional derivative can be taken of it (there is no rule for forward
    mode). XLA fuses products by itself; on jax on a CPU they take two thirds of the time.

    Args:
        *inputs: Queries, keys and values.
    """
    if keras.backend.backend() != "torch":
        return False
    from torch.autograd import forward_ad

    return all(forward_ad.unpack_dual(x).tangent is None for x in inputs)


def torch_has_gpu() -> bool:
    """Whether torch finds a GPU, for packages that compute with torch on any backend."""
    import torch

    return torch.cuda.is_available()


def import_torchvision() -> None:
    """Imports torchvision, if it is there, for packages that do; also beside a CPU build of torch.

    Its wheels of most registries are built for CUDA. Beside another build their operators do not
    load, and the import fails since it describes two of them, ``nms`` and ``qnms``, that are not
    there. They are then declared; to call them remains an error.
    """
    import torch

    try:
        importlib.import_module("torchvision")
    except ModuleNotFoundError:
        pass
    except RuntimeError:
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor x, Tensor y, float z) -> Tensor")
        importlib.import_module("torchvision")
