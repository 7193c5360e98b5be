"""Devices and processes under `keras.distribution`."""

from typing import Any

import jax
import keras
import numpy as np
from jax.experimental import multihost_utils

from keras_gud.backend.distribution import Distribution


def current_distribution() -> Distribution:
    """That of `keras.distribution`, or one device where none is set."""
    active = keras.distribution.distribution()
    if active is None:
        return Distribution()
    shards = active.num_model_replicas

    def shard_rows(x: np.ndarray) -> jax.Array:
        x = np.asarray(x)
        layout = active.get_data_layout(x.shape).backend_layout
        return jax.make_array_from_callback(x.shape, layout, lambda index: x[index])

    def gather_rows(x: Any) -> np.ndarray:
        if isinstance(x, jax.Array) and not (x.is_fully_addressable or x.is_fully_replicated):
            return np.asarray(multihost_utils.process_allgather(x, tiled=True))
        return keras.ops.convert_to_numpy(x)

    return Distribution(
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        data_shard=(active.data_shard_id, min(shards, jax.process_count())),
        batch_shards=shards,
        shard_dataset=active.distribute_dataset,
        shard_rows=shard_rows,
        gather_rows=gather_rows,
        value_of=gather_rows,
        process_allgather=lambda x: np.asarray(multihost_utils.process_allgather(x)),
    )
