"""Integrals of ``e^(-(h - u))`` times the polynomial through values at nodes of any spacing.

Exponential multistep methods need ``int_0^h e^(-(h - u)) P(u) du`` for the polynomial P through
past estimates (DESIGN sec. 3.8): `polynomial_integral`. Everything here is component by component,
since every component has steps h and nodes of its own.
"""

import itertools
import math
from collections.abc import Sequence

from keras import ops

from keras_gud.core.types import Tensor

# Below this h the recursion for the moments loses digits, and a short series is exact.
_SERIES_BELOW = 0.5
_SERIES_TERMS = 8
# A node nearer to another one than this fraction of the step would be extrapolated too far.
_NEAREST = 1.0 / 3.0


def moments(h: Tensor, count: int) -> list[Tensor]:
    """``J_k = int_0^h e^(-(h - u)) u^k du`` for k < count.

    ``J_0 = 1 - e^-h`` and ``J_k = h^k - k J_(k-1)``; for small h, where this difference loses
    digits, the series ``h^(k+1) sum_m (-h)^m k!/(k+1+m)!``.

    Args:
        h: Upper limit, >= 0.
        count: Number of moments.

    >>> from keras import ops
    >>> [round(float(j), 4) for j in moments(ops.convert_to_tensor(1.0), 2)]
    [0.6321, 0.3679]
    """
    results = [-ops.expm1(-h)]
    for k in range(1, count):
        series = 0.0
        for m in reversed(range(_SERIES_TERMS)):
            series = series * (-h) + math.factorial(k) / math.factorial(k + 1 + m)
        exact = h**k - k * results[-1]
        results.append(ops.where(h < _SERIES_BELOW, series * h ** (k + 1), exact))
    return results


def usable_orders(nodes: list[Tensor], h: Tensor) -> list[Tensor]:
    """For k = 1, 2, ...: 1.0 where P may go through nodes 0 .. k, 0.0 where it may not.

    A node nearer to another one than a third of h would be extrapolated too far: values of a
    component that has hardly moved between them do not determine the slope.

    Args:
        nodes: Tensors ``(batch, ...)`` that broadcast against each other.
        h: The step, >= 0.
    """
    flags, usable = [], 1.0
    for k in range(1, len(nodes)):
        for j in range(k):
            usable = usable * ops.cast(ops.abs(nodes[k] - nodes[j]) > _NEAREST * h, h.dtype)
        flags.append(usable)
    return flags


def polynomial_integral(values: Sequence[Tensor], nodes: list[Tensor], h: Tensor) -> Tensor:
    """``int_0^h e^(-(h - u)) P(u) du`` with P through `values` at `nodes`, in Newton's form.

    In every component P goes through as many nodes as `usable_orders` allows.

    Args:
        values: Tensors ``(batch, *data_shape)``, at least one.
        nodes: As many tensors that broadcast against them; the first is 0.
        h: Upper limit, >= 0, broadcasts likewise.

    Returns:
        Tensor ``(batch, *data_shape)``.

    >>> from keras import ops
    >>> h = ops.ones((1,))
    >>> value = polynomial_integral([ops.ones((1,))], [0.0 * h], h)        # P = 1: 1 - e^-1
    >>> round(float(value[0]), 4)
    0.6321
    """
    moment = moments(h, len(nodes))
    differences = list(values)
    total, product = values[0] * moment[0], [1.0]
    for k, usable in enumerate(usable_orders(nodes, h), start=1):
        # Divided differences of order k, of nodes j .. j + k.
        differences = [
            (b - a) / _nonzero(nodes[j + k] - nodes[j])
            for j, (a, b) in enumerate(itertools.pairwise(differences))
        ]
        product = _times(product, nodes[k - 1])
        weight = sum(c * m for c, m in zip(product, moment, strict=False))
        total = total + usable * weight * differences[0]
    return total


def _times(product: list, node) -> list:
    """Ascending coefficients of a polynomial times ``(u - node)``."""
    return [
        (product[i - 1] if i else 0.0) - (node * product[i] if i < len(product) else 0.0)
        for i in range(len(product) + 1)
    ]


def _nonzero(x):
    return ops.where(x == 0.0, ops.ones_like(x), x)
