"""Halving and doubling the resolution: by repetition, or with the FIR filter of NCSN++."""

from collections.abc import Sequence

from keras import ops

from keras_gud.core.types import Shape, Tensor


def halved(spatial: Sequence[int]) -> Shape:
    """Sizes after one down-sampling: half, rounded up."""
    return tuple(-(-n // 2) for n in spatial)


def max_levels(spatial: Sequence[int]) -> int:
    """The largest number of levels of a U-Net: axes are halved, rounding up, until one is 1.

    >>> max_levels((7, 10))
    4
    """
    return 1 + (min(spatial) - 1).bit_length()


def level_sizes(spatial: Sequence[int], levels: int) -> list[Shape]:
    """The spatial sizes of each level, the finest first.

    Args:
        spatial: The spatial sizes of the data.
        levels: Number of levels.

    Raises:
        ValueError: if an axis of size 1 would have to be halved.

    >>> level_sizes((7, 10), levels=3)
    [(7, 10), (4, 5), (2, 3)]
    """
    sizes = [tuple(spatial)]
    while min(sizes[-1]) > 1 and len(sizes) < levels:
        sizes.append(halved(sizes[-1]))
    if len(sizes) < levels:
        raise ValueError(
            f"Expected at most {len(sizes)} widths (levels) for data with spatial sizes "
            f"{tuple(spatial)}, since an axis of size 1 cannot be halved; {levels} need axes of "
            f"at least {2 ** (levels - 2) + 1}. Received: {levels} widths."
        )
    return sizes


def upsample(x: Tensor, spatial: Shape) -> Tensor:
    """Doubles every axis by repetition, then crops to the sizes `spatial`.

    Args:
        x: ``(batch, *sizes, channels)``.
        spatial: The new sizes, each 2n or 2n - 1 for an old size n.
    """
    for axis, size in enumerate(spatial, start=1):
        x = _crop(ops.repeat(x, 2, axis=axis), axis, size)
    return x


def fir_upsample(x: Tensor, spatial: Shape) -> Tensor:
    """Doubles every axis with the filter (1, 3, 3, 1)/4, then crops to the sizes `spatial`.

    The filter of Karras et al. 2020 (arXiv:1912.04958), as in NCSN++; edges are repeated, so that
    constants stay constant.

    Args:
        x: ``(batch, *sizes, channels)``.
        spatial: The new sizes, each 2n or 2n - 1 for an old size n.
    """
    for axis, size in enumerate(spatial, start=1):
        before, after = _shifted(x, axis, -1), _shifted(x, axis, 1)
        pairs = ops.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis=axis + 1)
        shape = (-1, *x.shape[1:axis], 2 * x.shape[axis], *x.shape[axis + 1 :])
        x = _crop(ops.reshape(pairs, shape), axis, size)
    return x


def fir_downsample(x: Tensor) -> Tensor:
    """Halves every axis, rounding up, with the filter (1, 3, 3, 1)/8; edges are repeated.

    Args:
        x: ``(batch, *sizes, channels)``.
    """
    for axis in range(1, len(x.shape) - 1):
        if x.shape[axis] % 2:
            x = ops.concatenate([x, _take(x, axis, slice(-1, None))], axis=axis)
        before, after = _shifted(x, axis, -1), _shifted(x, axis, 1)
        even, odd = (slice(start, None, 2) for start in (0, 1))
        x = 0.375 * (_take(x, axis, even) + _take(x, axis, odd)) + 0.125 * (
            _take(before, axis, even) + _take(after, axis, odd)
        )
    return x


def _take(x: Tensor, axis: int, window: slice) -> Tensor:
    return x[(slice(None),) * axis + (window,)]


def _crop(x: Tensor, axis: int, size: int) -> Tensor:
    return x if x.shape[axis] == size else _take(x, axis, slice(0, size))


def _shifted(x: Tensor, axis: int, by: int) -> Tensor:
    """Each position's neighbour one before (-1) or after (1) it; the edge is its own neighbour."""
    if by < 0:
        return ops.concatenate([_take(x, axis, slice(0, 1)), _take(x, axis, slice(0, -1))], axis)
    return ops.concatenate([_take(x, axis, slice(1, None)), _take(x, axis, slice(-1, None))], axis)
