"""The metric of paths, measured by Jacobian-vector products of a denoiser.

    C u = u - J (sigma u)          J = d eps_hat/dz, since E[z0 | z] = (z - sigma eps_hat)/alpha
    E_u |P_g C P_h u|^2 = sum_{i in g, j in h} C_ij^2          u random signs, P_g on group g

with C of `keras_gud.paths`. And the local error of a first-order solver of the flow, which takes
the estimate D of the clean components for constant over a step of log-SNR::

    z(s) - z exact = h_i alpha_i/2 dD_i          h_i = -gamma_i'/2 dt,  dD = dD/dt dt along the flow

It grows to the end of the flow as z does, by the root of the variance of z_i.
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_gud.core import counter_rng
from keras_gud.core.compiled import CompiledWithVariables
from keras_gud.core.types import Array, Coordinates, DenoiserFunction, Tensor
from keras_gud.diffusion.loss import diffusion_nats
from keras_gud.diffusion.noising_state import probability_flow, z0_from_eps
from keras_gud.likelihood.divergence import signs
from keras_gud.samplers.contract import Schedule
from keras_gud.schedules import CoordinateSchedule
from keras_gud.schedules.coordinates import variance_coordinates
from keras_gud.schedules.group_sums import sum_groups


def groups_of(
    over: str | Sequence[str], coordinates: Coordinates, variance: np.ndarray
) -> np.ndarray:
    """Group of every component, integers from 0 of the variance's shape.

    Args:
        over: Names of the coordinates whose combinations of values are the groups.
        coordinates: The coordinates of the basis.
        variance: Of the components, for ``"rank"`` and the like.

    Raises:
        ValueError: for coordinates that there are not.

    >>> groups_of("row", {"row": np.array([0, 2, 2])}, np.ones(3)).tolist()
    [0, 1, 1]
    """
    names = (over,) if isinstance(over, str) else tuple(over)
    known = variance_coordinates(variance) | coordinates
    # TensorFlow compares no integers of different widths.
    return CoordinateSchedule(names).make_groups(variance.shape, known).astype("int32")


class Information(CompiledWithVariables):
    """What a denoiser says of a schedule's path, compiled.

    Args:
        denoiser: Callable ``(z, state) -> eps``.
        schedule: The adapted schedule.
        groups: Group of every component, integers from 0 of `data_shape`.
        params: Parameters of the schedule, one value each.
        variance: Variances of the clean components z0, `data_shape`; for solvers' errors.
    """

    def __init__(
        self,
        denoiser: DenoiserFunction,
        schedule: Schedule,
        groups: Array,
        params: dict[str, Any],
        variance: Array,
    ) -> None:
        super().__init__(denoiser, schedule)
        self.denoiser, self.schedule, self.groups = denoiser, schedule, groups
        self.n_groups = int(groups.max()) + 1
        self.params = {name: np.asarray(value, "float32") for name, value in params.items()}
        self.variance = np.asarray(variance, "float32")
        self.speed = self.compile(self._speed)
        self.own = self.compile(self._own)
        self.bend = self.compile(self._bend)

    def _speed(self, t: Tensor, z0: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """``sum_{i in g} gamma_i' sum_j C_ij^2 gamma_j'`` of each group, and the loss in nats.

        Returns:
            Pair of ``(batch, n_groups)`` and ``(batch,)``, both for each unit of time.
        """
        state, noise, z = self._noised(t, z0, keys)
        root = ops.sqrt(state.dgamma_dt)
        eps, found = self._product(state, z, root * self._probe(keys, z0))
        return self._by_group(ops.square(root * found)), diffusion_nats(noise, eps, state)

    def _own(self, t: Tensor, z0: Tensor, keys: Tensor, group: Tensor) -> Tensor:
        """``sum_{i, j in g} C_ij^2`` of one group, ``(batch,)``."""
        state, _, z = self._noised(t, z0, keys)
        members = ops.cast(ops.convert_to_tensor(self.groups[None]) == group, z0.dtype)
        found = members * self._product(state, z, members * self._probe(keys, z0))[1]
        return ops.sum(ops.square(found), axis=tuple(range(1, len(z0.shape))))

    def _bend(self, t: Tensor, z0: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Squared error at the end of the flow of a step at t, for each ``dt^4``; and the loss.

        The mean over components is in units of their mean variance.

        Returns:
            As `_speed`.
        """
        state, noise, z = self._noised(t, z0, keys)
        eps = self.denoiser(z, state)

        def clean(z, t):
            state = self.schedule(t, **self.params)
            return z0_from_eps(z, self.denoiser(z, state), state)

        rows = t + ops.zeros_like(ops.reshape(z, (ops.shape(z)[0], -1))[:, 0])
        velocity = probability_flow(z, eps, state)
        _, turn = ops.jvp(clean, (z, rows), (velocity, ops.ones_like(rows)))
        error = 0.25 * state.dgamma_dt * state.alpha * turn
        variance = ops.convert_to_tensor(self.variance)
        grown = ops.square(error) * variance / state.marginal_variance(variance)
        total = float(self.variance.sum())
        return self._by_group(grown / total), diffusion_nats(noise, eps, state)

    def _noised(self, t, z0, keys):
        """The state at time t, the noise, and the noised components."""
        state = self.schedule(t, **self.params)
        noise = counter_rng.normal(keys, 0, tuple(z0.shape[1:]))
        return state, noise, state.add_noise(z0, noise)

    def _product(self, state, z, u):
        """The estimate of eps, and ``C u``."""
        u = u + ops.zeros_like(z)
        eps = functools.partial(_call, self.denoiser, state)
        found, turn = ops.jvp(eps, (z,), (state.sigma * u,))
        return found, u - turn

    def _probe(self, keys, z0):
        return signs(keys, 2, tuple(z0.shape[1:]))[1]

    def _by_group(self, values):
        groups = ops.convert_to_tensor(self.groups.astype("int32"))
        return sum_groups(values, groups, self.n_groups)


def _call(denoiser, state, z):
    return denoiser(z, state)
