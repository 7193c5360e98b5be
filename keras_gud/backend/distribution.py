"""What the functions of `devices` and `processes` do under the active distribution.

On jax it is `keras.distribution`, on tensorflow `tf.distribute`, on torch `torch.distributed`.
"""

import contextlib
import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras
import numpy as np

# A tensor of the active backend. (`keras_gud.core.types` has the same name, but may not be
# imported from here.)
Tensor: TypeAlias = Any


def _identity(x: Any) -> Any:
    return x


@dataclass(frozen=True)
class Distribution:
    """Each field is the value or the implementation of the function of the same name.

    The defaults are those of one process with one device; each backend's module overrides what
    differs.
    """

    process_index: int = 0
    process_count: int = 1
    data_shard: tuple[int, int] = (0, 1)
    batch_shards: int = 1
    replica: Callable[[], tuple[Tensor, int]] = lambda: (0, 1)
    shard_dataset: Callable[[Any], Any] = _identity
    shard_rows: Callable[[np.ndarray], Any] = _identity
    is_sharded: Callable[[Any], bool] = lambda x: False
    gather_rows: Callable[[Any], np.ndarray] = keras.ops.convert_to_numpy
    value_of: Callable[[Any], np.ndarray] = keras.ops.convert_to_numpy
    all_gather: Callable[[Tensor], Tensor] = _identity
    scale_loss_for_distribution: Callable[[Tensor], Tensor] = _identity
    step_results: Callable[[dict], dict] = _identity
    control_dependencies: Callable[[Any], AbstractContextManager] = lambda data: (
        contextlib.nullcontext()
    )
    data_parallel: Callable[[Any], Any] = _identity
    call_compiled: Callable[[Callable[..., Any], Any], Any] = lambda compiled, args: compiled(*args)
    process_allgather: Callable[[np.ndarray], np.ndarray] = lambda x: x[None]


def current_distribution() -> Distribution:
    """The distribution that is active at this moment, on whichever backend."""
    name = keras.backend.backend()
    if name not in ("jax", "tensorflow", "torch"):
        return Distribution()
    return importlib.import_module(f"keras_gud.backend.on_{name}").current_distribution()
