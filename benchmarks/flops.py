"""The arithmetic limit: floating-point operations of a network over a measured matrix product."""

import math
import time

import keras
import numpy as np
from keras import ops

from keras_gud import backend
from keras_gud.backbones import Attention, CrossAttention


def count_flops(network, input_shapes) -> int:
    """FLOPs of one forward pass: matrix products and convolutions, nothing else.

    A training step does about three times as many.

    Args:
        network: A built network.
        input_shapes: Shapes of its inputs, with the batch.
    """
    # By layer, since some backends run a network several times to find its output's shape.
    counts, original = {}, keras.layers.Layer.__call__

    def counted(layer, *args, **kwargs):
        output = original(layer, *args, **kwargs)
        if isinstance(layer, CrossAttention):
            (batch, n, width), (_, t, _) = (x.shape for x in args)
            counts[id(layer)] = 4 * batch * width * t * (width + n * layer.heads)
        elif isinstance(layer, Attention):
            batch, n, width = args[0].shape
            counts[id(layer)] = 4 * batch * n * n * width
        elif getattr(layer, "kernel", None) is not None:
            counts[id(layer)] = 2 * math.prod(output.shape) * math.prod(layer.kernel.shape[:-1])
        return output

    keras.layers.Layer.__call__ = counted
    try:
        network([keras.KerasTensor(shape) for shape in input_shapes], training=False)
    finally:
        keras.layers.Layer.__call__ = original
    return sum(counts.values())


def matmul_flops_per_second(size: int = 2048, repeats: int = 7, dtype: str = "float32") -> float:
    """The best rate of a product of square matrices on the active backend and device."""
    a = np.random.default_rng(0).normal(size=(size, size)).astype("float32")
    a = ops.cast(ops.convert_to_tensor(a), dtype)
    product = backend.compile(lambda a: ops.matmul(a, a))
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        float(product(a)[0, 0])
        times.append(time.perf_counter() - start)
    return 2 * size**3 / min(times)
