"""Explicit Runge-Kutta methods (Butcher 1964), and the stages of a step with them.

For ``dy/dt = f(t, y)``, a step of length h = s - t from time t to time s is::

    k_i  = f(t + c_i h, y + h sum_(j<i) a_ij k_j)        the slope of stage i
    y(s) = y + h sum_i b_i k_i

and ``h sum_i e_i k_i`` estimates its error where the method has an embedded one, with
``k_(last) = f(s, y(s))`` as one more slope (Hairer, Norsett, Wanner, "Solving Ordinary Differential
Equations I", secs. II.1 and II.4).

The stages are computed in two ways. `step` writes them out one after the other, and leaves out
weights that are 0. `stage_slopes` is a compiled loop over the stages, so that the network in f is
compiled once instead of once a stage; a loop needs arrays of a fixed shape, so there the slopes are
one array with a first axis for the stages, and all weights count. The two round differently.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from keras import ops

from keras_gud.core.registry import require_one_of
from keras_gud.core.types import Tensor

# The unknowns of a differential equation, or their slopes: one or several tensors.
Unknowns: TypeAlias = tuple[Tensor, ...]
# (t, y) -> dy/dt.
Field: TypeAlias = Callable[[Tensor, Unknowns], Unknowns]


@dataclass(frozen=True)
class Tableau:
    """The coefficients of an explicit method.

    Attributes:
        order: Its order of convergence.
        nodes: c, the times of the stages as fractions of the step.
        matrix: a; row i has the weights of the slopes before stage i.
        weights: b, the weights of the slopes in the step.
        error: e, the weights of the slopes, and of the slope at the step's end, in the difference
            to the embedded method of one order less; empty for a method without one.
    """

    order: int
    nodes: tuple[float, ...]
    matrix: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    error: tuple[float, ...] = ()

    @property
    def square_matrix(self) -> list[list[float]]:
        """`matrix` and `weights` as a square matrix of as many rows as `error` has entries.

        Row i has the weights of all slopes in stage i, 0 for those that come later; the last stage
        is the step's end.

        >>> TABLEAUS["heun"].square_matrix
        [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]
        """
        width = len(self.error)
        rows = (*self.matrix, self.weights)
        return [[*row, *[0.0] * (width - len(row))] for row in rows]


TABLEAUS = {
    "heun": Tableau(2, (0.0, 1.0), ((), (1.0,)), (0.5, 0.5), (-0.5, 0.5, 0.0)),
    # Bogacki and Shampine, "A 3(2) pair of Runge-Kutta formulas", 1989.
    "bogacki_shampine": Tableau(
        3,
        (0.0, 0.5, 0.75),
        ((), (0.5,), (0.0, 0.75)),
        (2 / 9, 1 / 3, 4 / 9),
        (-5 / 72, 1 / 12, 1 / 9, -1 / 8),
    ),
    "rk4": Tableau(
        4,
        (0.0, 0.5, 0.5, 1.0),
        ((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)),
        (1 / 6, 1 / 3, 1 / 3, 1 / 6),
    ),
    # Tsitouras, "Runge-Kutta pairs of order 5(4) satisfying only the first column simplifying
    # assumption", 2011, table 1.
    "tsit5": Tableau(
        5,
        (0.0, 0.161, 0.327, 0.9, 0.9800255409045097, 1.0),
        (
            (),
            (0.161,),
            (-0.008480655492356989, 0.335480655492357),
            (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
            (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
            (
                *(5.86145544294642, -12.92096931784711, 8.159367898576159),
                *(-0.071584973281401, -0.028269050394068383),
            ),
        ),
        (
            *(0.09646076681806523, 0.01, 0.4798896504144996),
            *(1.379008574103742, -3.290069515436081, 2.324710524099774),
        ),
        (
            *(-0.00178001105222577714, -0.0008164344596567469, 0.007880878010261995),
            *(-0.1447110071732629, 0.5823571654525552, -0.45808210592918697, 1 / 66),
        ),
    ),
}


def get(method: str, adaptive: bool = False) -> Tableau:
    """A tableau by name.

    Args:
        method: One of `TABLEAUS`.
        adaptive: Whether it needs an embedded method.

    Raises:
        ValueError: for an unknown method, or one without an embedded method if it needs one; the
            nearest name is suggested.

    >>> get("rk4").order
    4
    """
    names = [name for name, tableau in TABLEAUS.items() if tableau.error or not adaptive]
    require_one_of("method", method, names)
    return TABLEAUS[method]


def step(
    tableau: Tableau, field: Field, t: Tensor, s: Tensor, y: Unknowns
) -> tuple[Unknowns, list[Unknowns]]:
    """One step of ``dy/dt = field(t, y)`` from time t to time s.

    Args:
        tableau: The method.
        field: Callable ``(t, y) -> dy/dt``, tuples of tensors.
        t: Time now.
        s: Time after the step.
        y: Tuple of tensors.

    Returns:
        Pair of y at s and the list of slopes.

    >>> y, _ = step(TABLEAUS["rk4"], lambda t, y: (-y[0],), 0.0, 0.1, (1.0,))
    >>> round(y[0], 5)                                                     # exp(-0.1)
    0.90484
    """
    slopes: list[Unknowns] = []
    for node, row in zip(tableau.nodes, tableau.matrix, strict=True):
        if not row:
            slopes.append(field(t, y))
            continue
        slopes.append(field(stage_time(node, t, s), combine(y, s - t, row, slopes)))
    return combine(y, s - t, tableau.weights, slopes), slopes


def stage_slopes(
    tableau: Tableau, field: Field, t: Tensor, s: Tensor, y: Unknowns, first: Unknowns
) -> Unknowns:
    """The slopes of all stages and of the step's end, by a compiled loop over the stages.

    Args:
        tableau: The method, with an embedded one.
        field: Callable ``(t, y) -> dy/dt``, tuples of tensors.
        t: Time now.
        s: Time after the step.
        y: Tuple of tensors.
        first: The slope at t.

    Returns:
        Tuple of tensors like the entries of y, with a first axis for the stages; the last stage is
        the step's end.
    """
    count = len(tableau.error)
    matrix = ops.convert_to_tensor(tableau.square_matrix, y[0].dtype)
    nodes = ops.convert_to_tensor([*tableau.nodes, 1.0], y[0].dtype)

    def in_row(i, slope):
        """The slope in row i of zeros."""
        here = ops.cast(ops.arange(count) == i, slope.dtype)
        return ops.reshape(here, (-1, *[1] * len(slope.shape))) * slope

    def body(i, slopes):
        found = field(stage_time(nodes[i], t, s), combine_stacked(y, s - t, matrix[i], slopes))
        return tuple(k + in_row(i, slope) for k, slope in zip(slopes, found, strict=True))

    return ops.fori_loop(1, count, body, tuple(in_row(0, slope) for slope in first))


def stage_time(node: float | Tensor, t: Tensor, s: Tensor) -> Tensor:
    """``t + node (s - t)``, and s itself at node 1, which rounding might miss."""
    at = t + node * (s - t)
    if isinstance(node, float):
        return s if node == 1.0 else at
    return ops.where(node == 1.0, s, at)


def combine(
    y: Unknowns, width: Tensor, weights: Sequence[float], slopes: list[Unknowns]
) -> Unknowns:
    """``y + width sum_i weights_i slopes_i``, entry by entry of y."""
    terms = [(w, k) for w, k in zip(weights, slopes, strict=True) if w != 0.0]
    return tuple(part + width * sum(w * slope[j] for w, slope in terms) for j, part in enumerate(y))


def combine_stacked(
    y: Unknowns, width: Tensor, weights: Tensor | Sequence[float], slopes: Unknowns
) -> Unknowns:
    """`combine` of slopes that are stacked along a first axis i, with weights of any value."""
    return tuple(
        part + width * ops.tensordot(ops.convert_to_tensor(weights, part.dtype), k, axes=1)
        for part, k in zip(y, slopes, strict=True)
    )
