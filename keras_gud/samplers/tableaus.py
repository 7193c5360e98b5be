"""Explicit Runge-Kutta methods as data, and the one function that takes a step with them."""

from dataclasses import dataclass

from keras_gud.core.registry import require_one_of


@dataclass(frozen=True)
class Tableau:
    """An explicit method (Butcher 1964).

    Attributes:
        order: Its order of convergence.
        nodes: Times of the stages, as parts of the step.
        matrix: Row i: weights of the slopes before stage i.
        weights: Weights of the slopes in the step.
        error: Weights of the slopes, and of the slope at the step's end, in the difference to the
            embedded method of one order less; `None` for a method that has none.
    """

    order: int
    nodes: tuple
    matrix: tuple
    weights: tuple
    error: tuple | None = None


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
    """A tableau by name, with an error that names the nearest one.

    Args:
        method: The name.
        adaptive: Whether it needs an embedded method.
    """
    names = [k for k, v in TABLEAUS.items() if v.error or not adaptive]
    require_one_of("method", method, names)
    return TABLEAUS[method]


def step(tableau: Tableau, field, t, s, y: tuple):
    """One step of ``dy/dt = field(t, y)`` from time t to time s.

    Args:
        tableau: The method.
        field: Callable ``(t, y) -> dy/dt``, tuples of tensors.
        t: Time now.
        s: Time after the step; stages at its end are evaluated at this very number.
        y: Tuple of tensors.

    Returns:
        Pair of y at s and the list of slopes.
    """
    slopes = []
    for node, row in zip(tableau.nodes, tableau.matrix, strict=True):
        if not row:
            slopes.append(field(t, y))
            continue
        at = s if node == 1.0 else t + node * (s - t)
        slopes.append(field(at, combine(y, s - t, row, slopes)))
    return combine(y, s - t, tableau.weights, slopes), slopes


def combine(y: tuple, width, weights, slopes) -> tuple:
    """``y + width sum_i weights_i slopes_i``, entry by entry."""
    terms = [(w, k) for w, k in zip(weights, slopes, strict=True) if w != 0.0]
    return tuple(part + width * sum(w * slope[j] for w, slope in terms) for j, part in enumerate(y))
