"""Model parallelism: which weights of the networks are divided among devices."""

import keras

# The layers that hold most weights. Their names are in the paths of the weights, of the averages of
# the weights (`average_3_gud_..._kernel`) and of the optimizer's moments.
_BLOCKS = "(residual_block|spatial_attention|dense_block)"


def layout_map(
    device_mesh: keras.distribution.DeviceMesh, axis: str = "model"
) -> keras.distribution.LayoutMap:
    """The layout of the weights of all networks of this package, for `keras.distribution`.

    Kernels of residual blocks and of attention are divided over their output channels, which the
    devices along `axis` must divide; their averages and the optimizer's moments likewise. All
    else, a few per cent of the weights of a large network, is on every device.

    Args:
        device_mesh: A `keras.distribution.DeviceMesh`.
        axis: The name of its axis for model parallelism; the batch is divided along another.

    Returns:
        A `keras.distribution.LayoutMap`, to which further entries may be added.

    Raises:
        ValueError: if the mesh has no such axis.

    Example:

    >>> from keras import distribution
    >>> mesh = distribution.DeviceMesh((1, 2), ("batch", "model"), ["gpu:0", "gpu:1"])
    >>> layout = layout_map(mesh)
    >>> layout["gud/u_net/level/residual_block/conv2d/kernel"].axes
    (None, None, None, 'model')
    """
    if axis not in device_mesh.axis_names:
        raise ValueError(
            f"Expected `axis` to be one of {tuple(device_mesh.axis_names)}, the mesh's. "
            f"Received: axis={axis!r}."
        )
    layout = keras.distribution.LayoutMap(device_mesh)
    layout[rf".*{_BLOCKS}.*dense(_\d+)?[/_]kernel.*"] = (None, axis)
    for rank in (1, 2, 3):
        layout[rf".*{_BLOCKS}.*conv{rank}d(_\d+)?[/_]kernel.*"] = (None,) * (rank + 1) + (axis,)
    return layout
