"""Averages of weights over training whose width is a share of its length, and sums of them.

The average after step t weights the weights of step tau by a power of tau,

    p(tau; t, k) = (k + 1) tau^k / t^(k + 1)     for 0 <= tau <= t.

Its standard deviation is the share ``width`` of t, whatever t is. Any other average is close to a
sum of such averages of a few widths, taken at several times: after Karras et al. 2024, "Analyzing
and Improving the Training Dynamics of Diffusion Models", section 3 and appendix C.
"""

from collections.abc import Sequence

import numpy as np

from keras_gud.core.arguments import check_numbers
from keras_gud.core.types import Array

# The width of the plain mean of all steps. That of weights that decrease with tau is no average
# for training.
WIDEST = 12.0**-0.5
# Directions of the least squares that are below this share of the largest are rounding errors.
_CUT = 1e-13


def exponent(width: float) -> float:
    """The exponent k of the profile of a width, from Karras et al. 2024, section C.1.

    ``width = (k + 1)^(1/2) / ((k + 2) (k + 3)^(1/2))``, a cubic equation.

    Args:
        width: Standard deviation of the profile as a share of t, in (0, 12^(-1/2) = 0.288...].

    Raises:
        ValueError: for other widths.

    >>> round(exponent(0.1), 2), round(exponent(0.05), 2), round(exponent(WIDEST), 6)
    (6.94, 16.97, 0.0)
    """
    check_numbers(width=width)
    if not 0.0 < width <= WIDEST:
        raise ValueError(
            f"Expected `width` in (0, {WIDEST:.4f}], a share of the length of training. "
            f"Received: width={width!r}."
        )
    square = width**-2.0
    roots = np.roots([1.0, 7.0, 16.0 - square, 12.0 - square])
    return max(0.0, float(roots.real.max()))


def inner_products(t: Array, k: Array, other_t: Array, other_k: Array) -> Array:
    """Integrals of products of two profiles over tau, in closed form; arguments broadcast.

    Args:
        t: Times > 0 of the first.
        k: Exponents >= 0 of the first.
        other_t: Times of the second.
        other_k: Exponents of the second.
    """
    both = np.minimum(t, other_t)
    powers = (both / t) ** k * (both / other_t) ** other_k
    return (k + 1) * (other_k + 1) / (k + other_k + 1) * powers * both / (t * other_t)


def coefficients(
    steps: Sequence[int], widths: Sequence[float], step: int, width: float
) -> tuple[Array, float]:
    """What averages have to be multiplied by to sum up to another, by least squares.

    The coefficients sum up to 1, so that weights that do not change are their own average. Without
    that, the error is a share of the weights; with it, of what they have changed by.

    Args:
        steps: Times of the stored averages, n different integers >= 1.
        widths: Widths of the averages that are stored at each time, m different ones.
        step: Time of the average that is wanted, >= 1.
        width: Its width.

    Returns:
        Float64 ``(n, m)``, and the error: the norm of the difference of the profiles divided by
        that of the wanted one.

    Raises:
        ValueError: for a width out of range.

    Example:

    >>> found, error = coefficients([50, 100], [0.05, 0.10], step=100, width=0.10)
    >>> bool(np.allclose(found, [[0, 0], [0, 1]])), error < 1e-6
    (True, True)
    """
    exponents = np.array([exponent(each) for each in widths])
    t, k = np.repeat(np.array(steps, float), len(exponents)), np.tile(exponents, len(steps))
    at, wanted = np.array(float(step)), np.array(exponent(width))
    gram = inner_products(t[:, None], k[:, None], t, k)
    right = inner_products(t, k, at, wanted)
    # In units in which all profiles have norm 1; the last row is the sum of the coefficients.
    scale = np.diag(gram) ** -0.5
    system = np.zeros((len(t) + 1, len(t) + 1))
    system[:-1, :-1] = gram * scale[:, None] * scale
    system[-1, :-1] = system[:-1, -1] = scale
    solution = np.linalg.lstsq(system, np.append(right * scale, 1.0), rcond=_CUT)[0][:-1]
    found = solution * scale
    norm = float(inner_products(at, wanted, at, wanted))
    square = (found @ gram @ found - 2.0 * found @ right) / norm + 1.0
    return found.reshape(len(steps), len(exponents)), max(0.0, float(square)) ** 0.5
