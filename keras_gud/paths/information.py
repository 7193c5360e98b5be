"""The metric of paths, measured by Jacobian-vector products of a denoiser.

    C u = u - J (sigma u)          J = d eps_hat/dz, since E[z0 | z] = (z - sigma eps_hat)/alpha
    E_u |P_g C P_h u|^2 = sum_{i in g, j in h} C_ij^2          u random signs, P_g on group g

with C of `keras_gud.paths`.
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_gud.core import counter_rng
from keras_gud.core.compiled import CompiledWithVariables
from keras_gud.core.types import Coordinates, DenoiserFunction, Tensor
from keras_gud.likelihood.divergence import signs
from keras_gud.samplers.contract import Schedule
from keras_gud.schedules import CoordinateSchedule
from keras_gud.schedules.coordinates import variance_coordinates


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
    """What a denoiser says of the metric along a schedule, compiled.

    Args:
        denoiser: Callable ``(z, state) -> eps``.
        schedule: The adapted schedule.
        groups: Group of every component, integers from 0 of `data_shape`.
        params: Parameters of the schedule, one value each.
    """

    def __init__(
        self,
        denoiser: DenoiserFunction,
        schedule: Schedule,
        groups: np.ndarray,
        params: dict[str, Any],
    ) -> None:
        super().__init__(denoiser, schedule)
        self.denoiser, self.schedule, self.groups = denoiser, schedule, groups
        self.n_groups = int(groups.max()) + 1
        self.params = {name: np.asarray(value, "float32") for name, value in params.items()}
        self.speed = self.compile(self._speed)
        self.own = self.compile(self._own)

    def _speed(self, t: Tensor, z0: Tensor, keys: Tensor) -> Tensor:
        """``sum_{i in g} gamma_i' sum_j C_ij^2 gamma_j'`` of each group, ``(batch, n_groups)``."""
        state, product = self._at(t, z0, keys)
        probe = ops.sqrt(state.dgamma_dt) * self._probe(keys, z0)
        return self._by_group(ops.square(ops.sqrt(state.dgamma_dt) * product(probe)))

    def _own(self, t: Tensor, z0: Tensor, keys: Tensor, group: Tensor) -> Tensor:
        """``sum_{i, j in g} C_ij^2`` of one group, ``(batch,)``."""
        _, product = self._at(t, z0, keys)
        members = ops.cast(ops.convert_to_tensor(self.groups[None]) == group, z0.dtype)
        found = members * product(members * self._probe(keys, z0))
        return ops.sum(ops.square(found), axis=tuple(range(1, len(z0.shape))))

    def _at(self, t, z0, keys):
        """The state at time t, and the function ``u -> C u`` there."""
        state = self.schedule(t, **self.params)
        z = state.add_noise(z0, counter_rng.normal(keys, 0, tuple(z0.shape[1:])))
        eps = functools.partial(_call, self.denoiser, state)

        def product(u):
            u = u + ops.zeros_like(z)
            return u - ops.jvp(eps, (z,), (state.sigma * u,))[1]

        return state, product

    def _probe(self, keys, z0):
        return signs(keys, 2, tuple(z0.shape[1:]))[1]

    def _by_group(self, values):
        flat = ops.transpose(ops.reshape(values, (ops.shape(values)[0], -1)))
        index = ops.convert_to_tensor(self.groups.ravel().astype("int32"))
        return ops.transpose(ops.segment_sum(flat, index, num_segments=self.n_groups))


def _call(denoiser, state, z):
    return denoiser(z, state)
