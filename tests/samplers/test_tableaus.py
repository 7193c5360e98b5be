"""The tableaus against the order conditions of all rooted trees."""

import itertools
import math

import numpy as np
import pytest

from keras_gud.samplers import tableaus


def rooted_trees(order):
    """All rooted trees with this many nodes, each the sorted tuple of its root's branches."""
    if order == 1:
        return [()]
    found = set()
    for size in range(1, order):
        for branch in rooted_trees(size):
            found |= {tuple(sorted((*rest, branch))) for rest in rooted_trees(order - size)}
    return sorted(found)


def nodes_of(tree):
    return 1 + sum(map(nodes_of, tree))


def density(tree):
    return nodes_of(tree) * math.prod(map(density, tree))


def stage_weights(tree, matrix):
    """Elementary weights of a tree at every stage (Butcher; Hairer et al. I, theorem II.2.1)."""
    return math.prod((matrix @ stage_weights(branch, matrix) for branch in tree), start=1.0) * (
        np.ones(len(matrix))
    )


def arrays(tableau):
    n = len(tableau.nodes)
    matrix = np.zeros((n + 1, n + 1))
    for i, row in enumerate((*tableau.matrix, tableau.weights)):
        matrix[i, : len(row)] = row
    return matrix, np.array([*tableau.weights, 0.0])


def defects(weights, matrix, order):
    return [
        abs(weights @ stage_weights(tree, matrix) - 1.0 / density(tree))
        for tree in rooted_trees(order)
    ]


@pytest.mark.once
def test_the_number_of_trees():
    assert [len(rooted_trees(n)) for n in range(1, 6)] == [1, 1, 2, 4, 9]


@pytest.mark.once
@pytest.mark.parametrize("name", tableaus.TABLEAUS)
def test_order_conditions(name):
    tableau = tableaus.TABLEAUS[name]
    matrix, weights = arrays(tableau)
    np.testing.assert_allclose(matrix.sum(1), [*tableau.nodes, 1.0], atol=1e-13)
    for order in range(1, tableau.order + 1):
        assert max(defects(weights, matrix, order)) < 1e-12
    assert max(defects(weights, matrix, tableau.order + 1)) > 1e-6


@pytest.mark.once
@pytest.mark.parametrize("name", [k for k, v in tableaus.TABLEAUS.items() if v.error])
def test_the_embedded_method_is_of_one_order_less(name):
    tableau = tableaus.TABLEAUS[name]
    matrix, weights = arrays(tableau)
    embedded = weights - np.array(tableau.error)
    for order in range(1, tableau.order):
        assert max(defects(embedded, matrix, order)) < 1e-12
    assert max(defects(embedded, matrix, tableau.order)) > 1e-6


@pytest.mark.once
@pytest.mark.parametrize("name", tableaus.TABLEAUS)
def test_order_on_an_oscillator(name):
    """On most other fields the leading error of tsit5 is too small to be seen in float64."""
    tableau = tableaus.TABLEAUS[name]
    errors = []
    for steps in (400, 800):
        times, y = np.linspace(0.0, 20.0, steps + 1), (np.array([1.0, 0.0]),)
        for t, s in itertools.pairwise(times):
            y, _ = tableaus.step(tableau, lambda t, y: (np.array([-y[0][1], y[0][0]]),), t, s, y)
        errors.append(np.abs(y[0] - [np.cos(20.0), np.sin(20.0)]).max())
    assert np.log2(errors[0] / errors[1]) == pytest.approx(tableau.order, abs=0.15)
