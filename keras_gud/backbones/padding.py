"""What a convolution of size 3 sees beyond the ends of its data."""

from keras import ops

from keras_gud.core.types import Tensor

KERNEL_SIZE = 3


def same_padding(size: int, stride: int) -> tuple[int, int]:
    """How much ``padding="same"`` adds before and after an axis; what is odd, at the end.

    >>> same_padding(5, stride=1), same_padding(5, stride=2), same_padding(6, stride=2)
    ((1, 1), (1, 1), (0, 1))
    """
    count = -(-size // stride)
    missing = max((count - 1) * stride + KERNEL_SIZE - size, 0)
    return missing // 2, missing - missing // 2


def with_zeros(x: Tensor, axis: int, before: int, after: int) -> Tensor:
    """The tensor with zeros before and after it, along an axis."""
    return ops.pad(x, [(before, after) if i == axis else (0, 0) for i in range(len(x.shape))])


def wrapped(x: Tensor, axis: int, before: int, after: int) -> Tensor:
    """The tensor with its own end before it and its own start after it, along an axis.

    >>> wrapped(ops.arange(4), 0, before=1, after=2).shape[0]
    7
    """
    inside = (slice(None),) * axis
    end, start = slice(x.shape[axis] - before, None), slice(0, after)
    return ops.concatenate([x[(*inside, end)], x, x[(*inside, start)]], axis=axis)
