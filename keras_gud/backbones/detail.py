"""Fine detail as a further input of networks: bands of the data at unit size.

    c_0 = y,    c_j = c_{j-1} blurred by (1, 2, 1)/4 over positions 2^{j-1} apart,
    band j = (c_{j-1} - c_j)/rms(c_{j-1} - c_j)

These are the wavelets of the a trous algorithm (Holschneider et al., 1989), each at unit root mean
square over the positions of a channel of an example. With little noise, what a network has to find
(v, which is then the noise) is a hundredth of what it is given. It sees nothing of it before its
first filters cancel all the rest, which those that start at random take hundreds of steps to learn;
here they are given.
"""

from collections.abc import Sequence

from keras import ops

from keras_gud.backbones.periodic import periodic_axes
from keras_gud.backbones.resampling import neighbours
from keras_gud.core.types import Tensor

# Of data of unit size, below what float32 resolves of them.
_EPSILON = 1e-12


def detail(y: Tensor, bands: int, periodic: Sequence[bool]) -> list[Tensor]:
    """The finest bands of the data, each of unit root mean square over positions.

    Args:
        y: ``(batch, *spatial, channels)``, with at least one spatial axis.
        bands: How many.
        periodic: For each spatial axis whether it is periodic; the edges of others are repeated.

    Returns:
        As many float32 tensors of the shape of y, the finest band first. Of constants they are 0.

    >>> [band.shape == (1, 4, 4, 1) for band in detail(ops.ones((1, 4, 4, 1)), 2, (False, False))]
    [True, True]
    """
    finer, found = ops.cast(y, "float32"), []
    for j in range(bands):
        coarser = finer
        for axis, around in enumerate(periodic, start=1):
            before, after = neighbours(coarser, axis, around, distance=2**j)
            coarser = 0.5 * coarser + 0.25 * (before + after)
        found.append(_at_unit_size(finer - coarser))
        finer = coarser
    return found


def with_detail(y: Tensor, bands: int, boundary: str | Sequence[str], dtype: str) -> Tensor:
    """The data and behind them the channels of their detail, rounded to a dtype after it is found.

    Args:
        y: As in `detail`; vectors, ``(batch, features)``, if no bands are asked for.
        bands: How many.
        boundary: ``"zero"`` or ``"periodic"``, for all spatial axes or one for each.
        dtype: Of the result.
    """
    if not bands:
        return ops.cast(y, dtype)
    found = detail(y, bands, periodic_axes(boundary, y.shape[1:-1], stride=1))
    return ops.concatenate([ops.cast(x, dtype) for x in (y, *found)], axis=-1)


def _at_unit_size(x: Tensor) -> Tensor:
    # `ops.rms_normalization` takes the last axes on torch, whichever ones it is given.
    axes = tuple(range(1, len(x.shape) - 1))
    square = ops.mean(ops.square(x), axis=axes, keepdims=True)
    return x * ops.rsqrt(square + _EPSILON)
