"""Groups that go along one schedule, each in an interval of time of its own.

For groups i = 1..L and a schedule gamma, with the offset b in (-1, 1)::

    gamma_i(t) = gamma(clip((t - t_i)/(1 - |b|), 0, 1))
    t_i        = |b| (L - i)/(L - 1)        b >= 0: group 1 is generated first
    t_i        = |b| (i - 1)/(L - 1)        b < 0: group L is generated first
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud.core.registry import PACKAGE, require_coordinate
from keras_gud.core.types import (
    ArrayLike,
    Coordinates,
    Identifier,
    Parameter,
    Shape,
    Tensor,
    TensorLike,
)
from keras_gud.diffusion.noising_state import NoisingState
from keras_gud.schedules.clipping import snap
from keras_gud.schedules.schedule import ComponentSchedule, registry

# Every evaluation of the schedule inside is for each group.
_MOST_GROUPS = 64


@keras.saving.register_keras_serializable(package=PACKAGE)
class Staggered(ComponentSchedule):
    """One schedule for all, and an offset in time between groups of components::

        gamma_i(t) = gamma(clip((t - t_i)/(1 - |b|), 0, 1))
        t_i        = |b| (L - i)/(L - 1) for b >= 0, |b| (i - 1)/(L - 1) for b < 0

    The sign of the offset b is the order: with a positive one group 1 is generated first, with a
    negative one group L; 0 is the schedule itself. So one family, ``offset=(-0.5, 0.5)``, trains
    one network for both orders and all between, as for streams of latents (`LatentGUD`). From
    ``|b| = (L-1)/L`` on, 1/2 for two groups, they do not overlap any more.

    Groups may have schedules that differ in more: `Learned` and `Curves` with ``over="stream"``, or
    `Function` with the coordinate ``"stream"``.

    Args:
        schedule: What each group goes along: a name, a config or an instance. Its parameters are
            parameters here, too.
        offset: b; a number in (-1, 1) or a range (low, high).
        over: The coordinate of the basis whose values are the groups, in ascending order.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for an offset outside (-1, 1), a schedule that learns or has an offset itself;
            when adapted, for a coordinate that the basis does not have, or one of more than 64
            values.

    Example:

    >>> import numpy as np
    >>> schedule = Staggered("cosine", offset=(-0.5, 0.5))
    >>> schedule.adapt(variance=np.ones(2), coordinates={"stream": np.arange(2)})
    >>> for offset in (-0.5, 0.0, 0.5):
    ...     print([round(float(g)) for g in schedule(0.5, offset=offset).gamma[0]])
    [10, -10]
    [0, 0]
    [-10, 10]
    """

    bounds = {"offset": (-0.999, 1.0)}

    def __init__(
        self,
        schedule: Identifier = "cosine",
        offset: Parameter = (-0.5, 0.5),
        over: str = "stream",
        **kwargs: Any,
    ) -> None:
        inside = registry.get(schedule)
        if inside.learns or "offset" in inside.ranges:
            what = "learns" if inside.learns else "has an offset"
            raise ValueError(
                f"Expected a `schedule` that neither learns nor has an offset. Received: "
                f"{type(inside).__name__}, which {what}."
            )
        super().__init__({"offset": offset}, **kwargs)
        self.bounds, self.ranges = self.bounds | inside.bounds, self.ranges | inside.ranges
        self.schedule, self.over, self.home = inside, over, inside.home

    def adapt(
        self,
        variance: ArrayLike,
        data_variance: ArrayLike | None = None,
        coordinates: Coordinates | None = None,
    ) -> None:
        """Adapts the schedule inside, then the groups; see `ComponentSchedule.adapt`."""
        self.schedule.adapt(variance, data_variance, coordinates)
        super().adapt(variance, data_variance, coordinates)

    def make_groups(self, data_shape: Shape, coordinates: Coordinates) -> np.ndarray:
        """One group for each group of the schedule inside within each value of the coordinate."""
        inside = ops.convert_to_numpy(self.schedule.groups)
        inside = np.broadcast_to(inside, data_shape).ravel()
        place = self._places(data_shape, coordinates).ravel()
        self.n_places = int(place.max()) + 1
        pairs = np.stack([place, inside], axis=1)
        return np.unique(pairs, axis=0, return_inverse=True)[1].reshape(data_shape)

    def _places(self, data_shape: Shape, coordinates: Coordinates) -> np.ndarray:
        """Place of each component in the order of the coordinate's values, from 0."""
        values = np.round(require_coordinate(coordinates, self.over, "over"), 6)
        found, place = np.unique(values, return_inverse=True)
        if len(found) > _MOST_GROUPS:
            raise ValueError(
                f"Expected `over` to have at most {_MOST_GROUPS} values; `Sequential` takes more. "
                f"Received: over={self.over!r}, {len(found)} values."
            )
        return place.reshape(data_shape)

    def build(
        self,
        group_shape: Shape,
        n_groups: int,
        in_order: bool = False,
        n_places: int | None = None,
    ) -> None:
        """See `ComponentSchedule.build`; `n_places` is the number of values of the coordinate."""
        self.n_places = self.n_places if n_places is None else n_places
        super().build(group_shape, n_groups, in_order)

    def create_weights(self) -> None:
        """1 where a component is in a group, else 0, for each group."""
        self.members = self.add_statistic("members", (self.n_places, *self.group_shape))

    def fit_statistics(
        self, variance: np.ndarray, data_variance: np.ndarray, coordinates: Coordinates
    ) -> None:
        """Settles them."""
        members = np.arange(self.n_places).reshape(-1, *(1 for _ in variance.shape))
        members = members == self._places(variance.shape, coordinates)
        for axis, size in enumerate(self.group_shape, start=1):
            members = members.take([0], axis=axis) if size == 1 else members
        self.members.assign(members.astype("float32"))

    def call(self, t: TensorLike, **params: Any) -> NoisingState:
        """The noising state at time t; see `ComponentSchedule.call`."""
        t = ops.reshape(ops.cast(t, "float32"), (-1, 1))
        columns = self.parameter_columns(params)
        begins, length = self._intervals(columns.pop("offset"))
        passed = snap((t - begins) / length)  # (batch, n_places)
        inside = {name: ops.reshape(v + 0.0 * passed, (-1,)) for name, v in columns.items()}
        state = self.schedule(ops.reshape(ops.clip(passed, 0.0, 1.0), (-1,)), **inside)
        moves = ops.logical_and(passed >= 0.0, passed <= 1.0)
        speed = ops.where(moves, 1.0 / length, 0.0)
        speed = ops.reshape(speed, (-1, self.n_places, *(1 for _ in self.group_shape)))
        gamma, slope = map(self._by_place, (state.gamma, state.dgamma_dt))
        members = ops.expand_dims(ops.convert_to_tensor(self.members), 0)
        return NoisingState(
            ops.sum(members * gamma, axis=1), ops.sum(members * speed * slope, axis=1), t
        )

    def _by_place(self, values: Tensor) -> Tensor:
        return ops.reshape(values, (-1, self.n_places, *values.shape[1:]))

    def _intervals(self, offset: Tensor) -> tuple[Tensor, Tensor]:
        """When each group begins to move, ``(n, n_places)``, and for how long, ``(n, 1)``."""
        last = self.n_places - 1
        offset = offset if last else ops.zeros_like(offset)
        i = ops.expand_dims(ops.arange(self.n_places, dtype="float32"), 0) / max(last, 1)
        return ops.abs(offset) * ops.where(offset >= 0.0, 1.0 - i, i), 1.0 - ops.abs(offset)

    def kinks(self, **params: Any) -> Tensor | None:
        """Where the intervals begin and end, and those of the schedule inside."""
        columns = self.parameter_columns(params)
        begins, length = self._intervals(columns.pop("offset"))
        found = [begins, begins + length]
        inside = self.schedule.kinks(**{n: ops.reshape(v, (-1,)) for n, v in columns.items()})
        if inside is not None:
            inside = ops.clip(inside, 0.0, 1.0)
            found += [begins[:, i : i + 1] + length * inside for i in range(self.n_places)]
        rows = sum(0.0 * part[:, :1] for part in found)
        return ops.concatenate([rows + part for part in found], axis=-1)

    def group_names(self, data_shape: Shape) -> tuple[str, ...]:
        """The coordinate, and those of the schedule inside."""
        inside = self.schedule.group_names(data_shape)
        return (self.over, *(name for name in inside if name != self.over))

    def unbuilt(self) -> "Staggered":
        """See `ComponentSchedule.unbuilt`."""
        return Staggered(self.schedule.unbuilt(), self.ranges["offset"], self.over)

    def get_build_config(self) -> dict[str, Any] | None:
        """See `ComponentSchedule.get_build_config`."""
        config = super().get_build_config()
        return config and config | {"n_places": self.n_places}

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        low, high = self.ranges["offset"]
        return {
            "name": self.name,
            "schedule": keras.saving.serialize_keras_object(self.schedule),
            "offset": low if low == high else (low, high),
            "over": self.over,
        }
