"""Values that are missing in the data: components of which nothing is known.

    state        gamma_i = gamma_i(1),  dgamma_i/dt = 0             at every time
    component    z0_i ~ N(0, Sigma_i), independent of all else, noised to that state

So a missing value is the noise that generation starts from, and the network is told so by its
gamma; it is frozen and carries no loss. What a model says of the others is then a statement about
them alone, a marginal, up to the little, exp(-gamma_i(1)), that is left of a value at t = 1.
"""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_gud.bases.basis import Basis
from keras_gud.core.types import Tensor
from keras_gud.diffusion.noising_state import NoisingState


def check_bases(bases: Sequence[Basis]) -> None:
    """Raises a `ValueError` for bases in which a missing value is more than one component."""
    mixing = [type(basis).__name__ for basis in bases if basis.mixes_space or basis.mixes_channels]
    if mixing:
        raise ValueError(
            "Expected basis='pixel', and a `region` in that basis, with missing=True: every "
            "component must be one value, there or missing. Received: components that are sums "
            f"of several, in {mixing}."
        )


def split(phi: Tensor) -> tuple[Tensor, Tensor]:
    """Data with 0 in the place of what is missing, NaN, and the mask of that.

    Args:
        phi: ``(batch, *data_shape)``.

    Returns:
        Pair of tensors of this shape, the second boolean.

    Example:

    >>> phi, missing = split(ops.convert_to_tensor([[1.0, float("nan")]]))
    >>> [[float(v) for v in phi[0]], [bool(v) for v in missing[0]]]
    [[1.0, 0.0], [False, True]]
    """
    missing = ops.isnan(phi)
    return ops.where(missing, ops.zeros_like(phi), phi), missing


def fill(z0: Tensor, missing: Tensor, noise: Tensor, variance: Tensor) -> Tensor:
    """Clean components with draws of N(0, Sigma_i) in the place of what is missing.

    Args:
        z0: ``(batch, *data_shape)``.
        missing: Boolean, same shape.
        noise: N(0, 1), same shape.
        variance: Sigma_i, the variance of the clean components.
    """
    return ops.where(missing, ops.sqrt(variance) * noise, z0)


def without(state: NoisingState, missing: Tensor, last: Tensor) -> NoisingState:
    """A state in which nothing is known of what is missing.

    Args:
        state: The state of the others.
        missing: Boolean ``(batch, *data_shape)``.
        last: Gamma at t = 1.
    """
    return NoisingState(
        ops.where(missing, last, state.gamma),
        ops.where(missing, ops.zeros_like(state.dgamma_dt), state.dgamma_dt),
        state.time,
    )


class WithoutMissing:
    """A schedule on which nothing is ever known of what is missing, within a compiled function.

    Args:
        schedule: The schedule of the others.
        missing: Boolean ``(batch, *data_shape)``.
    """

    def __init__(self, schedule: Any, missing: Tensor) -> None:
        self.schedule, self.missing = schedule, missing

    def __call__(self, t: Any, **params: Any) -> NoisingState:
        """The state at time t."""
        last = self.schedule(1.0, **params).gamma
        return without(self.schedule(t, **params), self.missing, last)
