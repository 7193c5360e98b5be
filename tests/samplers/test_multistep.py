"""The integrals of the exponential solvers against quadrature."""

import numpy as np
import pytest
from keras import ops
from scipy.integrate import quad

from keras_gud.samplers.multistep import moments, polynomial_integral


def tensor(x):
    return ops.convert_to_tensor(np.asarray(x, "float32"))


@pytest.mark.once
@pytest.mark.parametrize("h", [0.0, 1e-4, 0.03, 0.4, 0.499, 0.501, 1.0, 6.0])
def test_moments(h):
    for k, j in enumerate(moments(tensor(h), 4)):
        expected = quad(lambda u, k=k: np.exp(u - h) * u**k, 0.0, h)[0]
        assert float(j) == pytest.approx(expected, rel=3e-5, abs=1e-30)


@pytest.mark.once
@pytest.mark.parametrize("nodes", [(0.0,), (0.0, -0.5), (0.0, -0.5, -1.3), (0.0, 0.8, -0.6, -1.0)])
def test_integral_of_the_interpolating_polynomial(rng, nodes):
    h = 0.8
    values = rng.normal(size=len(nodes))
    fit = np.polynomial.Polynomial(np.linalg.solve(np.vander(nodes, increasing=True), values))
    expected = quad(lambda u: np.exp(u - h) * fit(u), 0.0, h)[0]
    got = polynomial_integral(
        [tensor([v]) for v in values], [tensor([n]) for n in nodes], tensor(h)
    )
    assert float(got[0]) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.once
def test_nodes_that_coincide_lower_the_order_of_their_component_alone():
    h = tensor([0.6, 0.6, 0.6])
    nodes = [tensor([0.0] * 3), tensor([-0.6, 0.0, -0.1]), tensor([-1.2, -0.6, -0.7])]
    values = [tensor([1.0] * 3), tensor([0.5] * 3), tensor([0.2] * 3)]
    full, *dropped = np.asarray(ops.convert_to_numpy(polynomial_integral(values, nodes, h)))
    constant = 1.0 - np.exp(-0.6)
    np.testing.assert_allclose(dropped, constant, rtol=1e-6)
    assert full > 1.05 * constant


@pytest.mark.once
def test_no_step_no_change_and_nothing_infinite():
    zero = tensor([0.0])
    values = [tensor([3.0]), tensor([-7.0]), tensor([1e4])]
    assert float(polynomial_integral(values, [zero, zero, zero], zero)[0]) == 0.0
