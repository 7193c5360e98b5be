"""Sums over the components of each group."""

from keras import ops

from keras_gud.core.types import Tensor


def sum_groups(values: Tensor, groups: Tensor, n_groups: int) -> Tensor:
    """Sums over the components of each group, ``(batch, n_groups)``.

    Args:
        values: ``(batch, *data_shape)``.
        groups: Group of every component, int32 `data_shape`.
        n_groups: How many there are.

    >>> [float(x) for x in sum_groups(ops.ones((1, 3)), ops.array([0, 1, 1], "int32"), 2)[0]]
    [1.0, 2.0]
    """
    flat = ops.transpose(ops.reshape(values, (ops.shape(values)[0], -1)))
    return ops.transpose(ops.segment_sum(flat, ops.reshape(groups, (-1,)), num_segments=n_groups))
