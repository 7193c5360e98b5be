"""Curves gamma(t) that are clipped to end points, with their derivatives.

A curve moves on a closed *active interval* of time and stands still outside. The derivative of
`ops.clip` at the ends of that interval differs between backends; here an interval is active with
both of its ends.
"""

from keras import ops

from keras_gud.core.types import Tensor


def snap(u: Tensor) -> Tensor:
    """Puts values within rounding of 0 or 1 exactly there.

    XLA turns a division by a constant into a product, so that ``(1 - b)/(1 - b)`` may miss 1 by an
    ulp, and with it the end of the active interval.

    >>> [float(u) for u in snap(ops.convert_to_tensor([1e-7, 0.5, 1.0 - 1e-7]))]
    [0.0, 0.5, 1.0]
    """
    u = ops.where(ops.abs(u) < 1e-6, 0.0, u)
    return ops.where(ops.abs(u - 1.0) < 1e-6, 1.0, u)


def clipped_line(
    u: Tensor, low: Tensor | float, high: Tensor | float, slope: Tensor
) -> tuple[Tensor, Tensor]:
    """``low + (high - low) clip(u, 0, 1)`` and its derivative `slope` where 0 <= u <= 1.

    Args:
        u: Fraction of the way from low to high, any number.
        low: Value at u = 0.
        high: Value at u = 1.
        slope: The derivative in t where the line is not clipped, of the shape of u.
    """
    u = snap(u)
    gamma = ops.clip(low + (high - low) * u, low, high)
    gamma = ops.where(u >= 1.0, high, gamma)  # low + (high - low) may miss high by an ulp
    active = ops.logical_and(u >= 0.0, u <= 1.0)
    return gamma, ops.where(active, slope, ops.zeros_like(slope))


def clip_curve(gamma: Tensor, slope: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    """A curve clipped to finite end points, and its derivative, 0 where it is clipped.

    Args:
        gamma: Values of the curve; infinite ones are clipped too.
        slope: Its derivative.
        low: Lower end point.
        high: Upper end point.
    """
    active = ops.logical_and(gamma >= low, gamma <= high)
    return ops.clip(gamma, low, high), ops.where(active, slope, ops.zeros_like(slope))
