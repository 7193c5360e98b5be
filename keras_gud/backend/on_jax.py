"""Devices and processes under `keras.distribution`."""

import jax
import keras
import numpy as np
from jax.experimental import multihost_utils

from keras_gud.backend.engine import Engine


def engine():
    """Answers under a `keras.distribution`; one device without one."""
    distribution = keras.distribution.distribution()
    if distribution is None:
        return Engine()
    here, count = jax.process_index(), jax.process_count()
    parts = distribution.num_model_replicas

    def share_rows(x):
        x = np.asarray(x)
        layout = distribution.get_data_layout(x.shape).backend_layout
        return jax.make_array_from_callback(x.shape, layout, lambda index: x[index])

    def whole(x):
        if isinstance(x, jax.Array) and not (x.is_fully_addressable or x.is_fully_replicated):
            return np.asarray(multihost_utils.process_allgather(x, tiled=True))
        return keras.ops.convert_to_numpy(x)

    return Engine(
        process=(here, count),
        data_part=(distribution.data_shard_id, min(parts, count)),
        batch_parts=parts,
        own_part=distribution.distribute_dataset,
        share_rows=share_rows,
        whole=whole,
        value_of=whole,
        all_processes=lambda x: np.asarray(multihost_utils.process_allgather(x)),
    )
