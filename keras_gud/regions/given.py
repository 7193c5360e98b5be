"""Which components may be given, so that the network can be told so."""

import numpy as np
from keras import ops

from keras_gud.core.types import Array
from keras_gud.regions.view import View


def check_given(view: View, given: Array, gamma_map: bool) -> None:
    """The network is conditioned on gamma group by group: a group is given as a whole.

    Args:
        view: The view whose components are given.
        given: Boolean mask of the data's shape.
        gamma_map: Whether the network is given gamma for every pixel; then any may be given.

    Raises:
        ValueError: for a mask that the network cannot be told.
    """
    if gamma_map and view.basis.n_scales == 1:
        return
    groups = ops.convert_to_numpy(view.schedule.groups)
    groups = np.broadcast_to(groups, given.shape).ravel()
    parts = np.bincount(groups, given.ravel()) / np.bincount(groups)
    split = np.flatnonzero((parts > 0.0) & (parts < 1.0))
    if split.size:
        raise ValueError(
            "Expected `given` to be whole groups of components of the schedule, which the "
            f"network tells apart. Received: a mask that splits {split.size} of "
            f"{len(parts)} groups."
        )
