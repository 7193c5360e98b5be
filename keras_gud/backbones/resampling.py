"""Changes of resolution: by repetition, with the FIR filter of NCSN++, or by patches."""

from collections.abc import Sequence

from keras import ops

from keras_gud.core.folding import fold, unfold
from keras_gud.core.types import Shape, Tensor


def halved(spatial: Sequence[int]) -> Shape:
    """Sizes after one down-sampling: half, rounded up."""
    return patched(spatial, 2)


def patched(spatial: Sequence[int], patch: int) -> Shape:
    """Sizes in blocks of `patch` positions, rounded up.

    >>> patched((28, 7), patch=2)
    (14, 4)
    """
    return tuple(-(-n // patch) for n in spatial)


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


def downsample(x: Tensor) -> Tensor:
    """Halves every axis by averages of neighbours; odd sizes are rounded up, the ends repeated.

    Args:
        x: ``(batch, *spatial, channels)``.

    >>> tuple(downsample(ops.ones((2, 7, 10, 3))).shape)
    (2, 4, 5, 3)
    """
    for axis in range(1, len(x.shape) - 1):
        if x.shape[axis] % 2:
            x = ops.concatenate([x, _take(x, axis, slice(-1, None))], axis)
        pairs = (*x.shape[1:axis], x.shape[axis] // 2, 2, *x.shape[axis + 1 :])
        x = ops.mean(ops.reshape(x, (-1, *pairs)), axis=axis + 1)
    return x


def to_patches(x: Tensor, patch: int) -> Tensor:
    """Each block of `patch` positions along every axis becomes the channels of one position.

    Sizes that are no multiple of `patch` are first filled up with zeros at the end.

    Args:
        x: ``(batch, *spatial, channels)``.
        patch: Edge of a block.

    Returns:
        Tensor ``(batch, *patched(spatial, patch), patch**axes * channels)``.

    >>> tuple(to_patches(ops.ones((2, 7, 10, 3)), 2).shape)
    (2, 4, 5, 12)
    """
    if patch == 1:
        return x
    spatial = x.shape[1:-1]
    missing = [
        (0, n * patch - old) for n, old in zip(patched(spatial, patch), spatial, strict=True)
    ]
    if any(after for _, after in missing):
        x = ops.pad(x, [(0, 0), *missing, (0, 0)])
    return fold(x, (patch,) * len(spatial))


def from_patches(x: Tensor, patch: int, spatial: Shape) -> Tensor:
    """The inverse of `to_patches`, which drops what was filled up.

    Args:
        x: ``(batch, *patched(spatial, patch), patch**axes * channels)``.
        patch: Edge of a block.
        spatial: The sizes of the result.

    >>> tuple(from_patches(ops.ones((2, 4, 5, 12)), 2, (7, 10)).shape)
    (2, 7, 10, 3)
    """
    if patch == 1:
        return x
    x = unfold(x, (patch,) * len(spatial))
    for axis, size in enumerate(spatial, start=1):
        x = _crop(x, axis, size)
    return x


def fir_upsample(x: Tensor, spatial: Shape, periodic: Sequence[bool] = ()) -> Tensor:
    """Doubles every axis with the filter (1, 3, 3, 1)/4, then crops to the sizes `spatial`.

    The filter of Karras et al. 2020 (arXiv:1912.04958), as in NCSN++; edges are repeated, so that
    constants stay constant, and data go on at their other end where they are periodic.

    Args:
        x: ``(batch, *sizes, channels)``.
        spatial: The new sizes, each 2n or 2n - 1 for an old size n.
        periodic: For each spatial axis whether it is periodic; `()`: none is.
    """
    for axis, size in enumerate(spatial, start=1):
        before, after = neighbours(x, axis, bool(periodic) and periodic[axis - 1])
        pairs = ops.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis=axis + 1)
        shape = (-1, *x.shape[1:axis], 2 * x.shape[axis], *x.shape[axis + 1 :])
        x = _crop(ops.reshape(pairs, shape), axis, size)
    return x


def fir_downsample(x: Tensor, periodic: Sequence[bool] = ()) -> Tensor:
    """Halves every axis, rounding up, with the filter (1, 3, 3, 1)/8; edges as in `fir_upsample`.

    Args:
        x: ``(batch, *sizes, channels)``; the sizes of periodic axes are even.
        periodic: As in `fir_upsample`.
    """
    for axis in range(1, len(x.shape) - 1):
        if x.shape[axis] % 2:
            x = ops.concatenate([x, _take(x, axis, slice(-1, None))], axis=axis)
        before, after = neighbours(x, axis, bool(periodic) and periodic[axis - 1])
        even, odd = (slice(start, None, 2) for start in (0, 1))
        x = 0.375 * (_take(x, axis, even) + _take(x, axis, odd)) + 0.125 * (
            _take(before, axis, even) + _take(after, axis, odd)
        )
    return x


def neighbours(
    x: Tensor, axis: int, periodic: bool = False, distance: int = 1
) -> tuple[Tensor, Tensor]:
    """Of each position along an axis the one before and the one after it.

    Args:
        x: A tensor.
        axis: The axis, not negative.
        periodic: Whether what is before the first position is the other end; else it is the first
            position itself, and the last one is after itself.
        distance: How far away they are.

    >>> [n.tolist() for n in map(ops.convert_to_numpy, neighbours(ops.arange(4), 0, distance=2))]
    [[0, 0, 0, 1], [2, 3, 3, 3]]
    """
    n = x.shape[axis]
    moved = distance % n if periodic else min(distance, n)
    if periodic:
        first = [_take(x, axis, slice(n - moved, n))]
        last = [_take(x, axis, slice(0, moved))]
    else:
        first = [_take(x, axis, slice(0, 1))] * moved
        last = [_take(x, axis, slice(n - 1, n))] * moved
    before = ops.concatenate([*first, _take(x, axis, slice(0, n - moved))], axis)
    after = ops.concatenate([_take(x, axis, slice(moved, n)), *last], axis)
    return before, after


def _take(x: Tensor, axis: int, window: slice) -> Tensor:
    return x[(slice(None),) * axis + (window,)]


def _crop(x: Tensor, axis: int, size: int) -> Tensor:
    return x if x.shape[axis] == size else _take(x, axis, slice(0, size))
