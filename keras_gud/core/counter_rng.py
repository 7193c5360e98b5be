"""Counter-based random numbers: the same noise on every backend, whatever the batch size.

Threefry-2x32 with 20 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011),
written in int32 operations because every backend has those. Each number is a pure function of
(seed, sample index, step, component), so nothing has to be stored, and image 7 of seed 0 is the
same image whether it is drawn alone or among a thousand, on one device or on eight.
"""

import math

import keras
import numpy as np
from keras import ops

from keras_gud import backend
from keras_gud.core.types import ArrayLike, Shape, Tensor, TensorLike

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA  # the key-schedule constant of Threefry


def _int32(value: int) -> int:
    """The int32 with the same 32 bits as `value` modulo 2^32."""
    return int(np.uint32(value & 0xFFFFFFFF).view(np.int32))


def _rotate(x: Tensor, bits: int) -> Tensor:
    """Rotates the 32 bits of each int32 to the left."""
    # A right shift of a negative int32 fills in the sign bit: mask those bits away. Operators are
    # many times cheaper than `keras.ops` where nothing is compiled (torch); `<<` does not exist on
    # every backend, but a product modulo 2^32 shifts to the left.
    return x * _int32(1 << bits) | ops.right_shift(x, 32 - bits) & (1 << bits) - 1


def threefry(key: tuple[Tensor, Tensor], counter: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """The Threefry-2x32-20 block function.

    Args:
        key: Pair of int32 tensors.
        counter: Pair of int32 tensors, broadcastable against the key.

    Returns:
        Pair of int32 tensors with 64 random bits per (key, counter).
    """
    k0, k1 = key
    schedule = (k0, k1, k0 ^ k1 ^ _PARITY)
    x0, x1 = counter[0] + k0, counter[1] + k1
    for block in range(5):
        for bits in _ROTATIONS[block % 2]:
            x0 = x0 + x1
            x1 = _rotate(x1, bits) ^ x0
        x0 = x0 + schedule[(block + 1) % 3]
        x1 = x1 + schedule[(block + 2) % 3] + (block + 1)
    return x0, x1


def _to_unit(bits: Tensor) -> Tensor:
    """Float32 in (0, 1) from the upper 24 of 32 random bits; never 0 or 1."""
    upper = ops.right_shift(bits, 8) & 0xFFFFFF
    return (ops.cast(upper, "float32") + 0.5) * (2.0**-24)


def sample_keys(seed: int, n: int, first: int = 0) -> np.ndarray:
    """Keys of samples `first .. first + n - 1` of a seed.

    Args:
        seed: Any integer; its lower 32 bits count.
        n: Number of samples.
        first: Index of the first sample.

    Returns:
        int32 array ``(n, 2)``: seed and sample index.

    Raises:
        ValueError: for a seed that is not an integer.

    Example:

    >>> sample_keys(0, 2, first=5).tolist()
    [[0, 5], [0, 6]]
    """
    return keys_of(seed, np.arange(first, first + n, dtype="int64"))


def keys_of(seed: int, index: ArrayLike) -> np.ndarray:
    """Keys of the samples of a seed that have the given indices.

    Args:
        seed: Any integer; its lower 32 bits count.
        index: Indices of samples, integers ``(n,)``; their lower 32 bits count.

    Returns:
        int32 array ``(n, 2)``: seed and sample index.

    Raises:
        ValueError: for a seed that is not an integer.

    Example:

    >>> keys_of(0, [3, 1]).tolist()
    [[0, 3], [0, 1]]
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise ValueError(f"Expected `seed` to be an integer. Received: seed={seed!r}.")
    index = np.asarray(index, "int64")
    keys = np.empty((len(index), 2), "int32")
    keys[:, 0] = _int32(int(seed))
    keys[:, 1] = index.astype("uint32").view("int32")
    return keys


def _bits(keys: TensorLike, step: TensorLike, count: int) -> tuple[Tensor, Tensor]:
    """Two int32 tensors ``(batch, count)`` of random bits."""
    counter = ops.expand_dims(ops.arange(count, dtype="int32"), 0)
    keys = ops.cast(keys, "int32")
    step = ops.reshape(ops.cast(step, "int32"), (1, 1))
    return threefry((keys[:, 0:1], keys[:, 1:2]), (counter, step))


def uniform(keys: TensorLike, step: TensorLike, shape: Shape) -> Tensor:
    """Uniform float32 random numbers in (0, 1), shape ``(batch, *shape)``.

    Args:
        keys: int32 ``(batch, 2)``, from `sample_keys`.
        step: Integer (may be traced) that numbers the draws of one sample.
        shape: Shape of one sample.

    Example:

    >>> tuple(uniform(sample_keys(0, 4), step=0, shape=(3,)).shape)
    (4, 3)
    """
    size = math.prod(shape)
    first, second = _bits(keys, step, (size + 1) // 2)
    flat = ops.concatenate([_to_unit(first), _to_unit(second)], axis=1)[:, :size]
    return ops.reshape(flat, (-1, *shape))


def normal(keys: TensorLike, step: TensorLike, shape: Shape) -> Tensor:
    """Standard normal float32 random numbers, shape ``(batch, *shape)``, by Box-Muller.

    Args:
        keys: int32 ``(batch, 2)``, from `sample_keys`.
        step: Integer (may be traced) that numbers the draws of one sample, e.g. the sampler's step.
        shape: Shape of one sample.

    Example:

    >>> n = normal(sample_keys(0, 4), step=0, shape=(8, 8, 1))
    >>> tuple(n.shape)
    (4, 8, 8, 1)
    """
    size = math.prod(shape)
    first, second = _bits(keys, step, (size + 1) // 2)
    radius = ops.sqrt(-2.0 * ops.log(_to_unit(first)))
    angle = (2.0 * math.pi) * _to_unit(second)
    flat = ops.concatenate([radius * ops.cos(angle), radius * ops.sin(angle)], axis=1)[:, :size]
    return ops.reshape(flat, (-1, *shape))


def golden_sequence(index: TensorLike) -> Tensor:
    """The low-discrepancy sequence ``frac((index + 1/2) * golden ratio)`` in (0, 1).

    Consecutive indices fill the interval evenly whatever the batch size: stratified times for
    evaluation that do not depend on how the data are batched.

    Args:
        index: int32 tensor of any shape.

    Returns:
        float32 tensor of the same shape.

    Example:

    >>> [round(float(t), 3) for t in golden_sequence(np.arange(3))]
    [0.309, 0.927, 0.545]
    """
    # Multiplying integers modulo 2^32 keeps all digits where float32 would lose them.
    return _to_unit(ops.cast(index, "int32") * _int32(2654435769) + _int32(1327217884))


# Seed of the noise of evaluation, which is the same in every pass over held-out data.
_EVALUATION_SEED = 0x6D61


def evaluation_keys(x: Tensor, counter: keras.Variable) -> tuple[Tensor, Tensor]:
    """Keys and indices of the examples of a batch, in a pass over held-out data.

    They depend on the position of an example alone, not on how the data are batched or divided.

    Args:
        x: The batch, ``(batch, ...)``.
        counter: int32 variable, the number of examples of the pass so far; this adds those of the
            batch.

    Returns:
        Pair of int32 ``(batch, 2)`` and ``(batch,)``.
    """
    here, count = backend.replica()
    size = ops.cast(ops.shape(x)[0], "int32")
    index = counter + here * size + ops.arange(ops.shape(x)[0], dtype="int32")
    counter.assign(counter + count * size)
    seed = ops.full_like(index, _EVALUATION_SEED)
    return ops.stack([seed, index], axis=1), index
