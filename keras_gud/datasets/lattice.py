"""Fields of scalar phi^4 theory on a periodic lattice: data that are no images, without a file.

The density is proportional to exp(-S), with the neighbours to the right and below::

    S = sum_x (1 - 2 lambda) phi_x^2 + lambda phi_x^4 - 2 kappa phi_x (phi_right + phi_below)
"""

from collections.abc import Sequence

import numpy as np

# Around the phase transition: disordered, near it, ordered.
KAPPAS = (0.24, 0.2625, 0.28)
_LAMBDA = 0.02
_SWEEPS = 100


def phi4_fields(
    size: int, n: int, rng: np.random.Generator, kappas: Sequence[float] = KAPPAS
) -> tuple[np.ndarray, np.ndarray]:
    """Fields at several couplings, by 100 Metropolis sweeps over a checkerboard from noise.

    Args:
        size: Edge of the lattice, an even number.
        n: How many fields.
        rng: Draws them.
        kappas: The couplings, which the fields have by turns.

    Returns:
        float32 ``(n, size, size, 1)``, and which of `kappas` each has, int32 ``(n,)``.

    Raises:
        ValueError: for an odd size, on which a checkerboard does not close.

    Example:

    >>> fields, coupling = phi4_fields(4, 6, np.random.default_rng(0))
    >>> fields.shape, coupling.tolist()
    ((6, 4, 4, 1), [0, 1, 2, 0, 1, 2])
    """
    if size % 2 or size < 2:
        raise ValueError(f"Expected an even `size` of a lattice. Received: size={size}.")
    labels = (np.arange(n) % len(kappas)).astype("int32")
    kappa = np.asarray(kappas)[labels][:, None, None]
    phi = rng.normal(size=(n, size, size)).astype("float32")
    colour = np.add.outer(np.arange(size), np.arange(size)) % 2
    for _ in range(_SWEEPS):
        for parity in (0, 1):
            rolled = [np.roll(phi, shift, axis) for shift in (1, -1) for axis in (1, 2)]
            around = np.sum(rolled, axis=0)
            proposal = phi + rng.normal(size=phi.shape).astype("float32")
            rise = _action(proposal, around, kappa) - _action(phi, around, kappa)
            accept = (colour == parity) & (rng.random(phi.shape) < np.exp(-np.maximum(rise, 0.0)))
            phi = np.where(accept, proposal, phi)
    return phi[..., None].astype("float32"), labels


def _action(phi: np.ndarray, around: np.ndarray, kappa: np.ndarray) -> np.ndarray:
    """What a site adds to S, given the sum of its four neighbours."""
    return (1.0 - 2.0 * _LAMBDA) * phi**2 + _LAMBDA * phi**4 - 2.0 * kappa * phi * around
