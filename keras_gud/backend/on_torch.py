"""Processes under `torch.distributed`, one for each device."""

from typing import Any

import keras
import numpy as np
import torch
import torch.distributed as dist

from keras_gud.backend.distribution import Distribution


def current_distribution() -> Distribution:
    """That of the process group, or one device where none has been set up."""
    if not (dist.is_available() and dist.is_initialized()):
        return Distribution()
    rank, count = dist.get_rank(), dist.get_world_size()

    def all_gather(x: torch.Tensor) -> torch.Tensor:
        parts = [torch.empty_like(x) for _ in range(count)]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    def gather_rows(x: Any) -> np.ndarray:
        return keras.ops.convert_to_numpy(all_gather(keras.ops.convert_to_tensor(x)))

    return Distribution(
        process_index=rank,
        process_count=count,
        data_shard=(rank, count),
        batch_shards=count,
        replica=lambda: (rank, count),
        shard_rows=lambda x: np.split(np.asarray(x), count)[rank],
        gather_rows=gather_rows,
        all_gather=all_gather,
        data_parallel=torch.nn.parallel.DistributedDataParallel,
        process_allgather=lambda x: gather_rows(x[None]),
    )
