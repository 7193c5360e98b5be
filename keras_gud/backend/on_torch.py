"""Processes under `torch.distributed`, one for each device."""

import keras
import numpy as np
import torch
import torch.distributed as dist

from keras_gud.backend.engine import Engine


def engine():
    """Answers where a process group has been set up; one device elsewhere."""
    if not (dist.is_available() and dist.is_initialized()):
        return Engine()
    here, count = dist.get_rank(), dist.get_world_size()

    def all_rows(x):
        parts = [torch.empty_like(x) for _ in range(count)]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    def whole(x):
        return keras.ops.convert_to_numpy(all_rows(keras.ops.convert_to_tensor(x)))

    return Engine(
        process=(here, count),
        data_part=(here, count),
        batch_parts=count,
        replica=lambda: (here, count),
        share_rows=lambda x: np.split(np.asarray(x), count)[here],
        whole=whole,
        all_rows=all_rows,
        replicated=torch.nn.parallel.DistributedDataParallel,
        all_processes=lambda x: whole(x[None]),
    )
