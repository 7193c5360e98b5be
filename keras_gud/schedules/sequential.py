"""Sequential generation, column by column or along any coordinate (paper eq. 21, sec. 5.2).

For groups i = 1..L, of which group 1 is generated first::

    gamma_i(t) = clip(gamma_min + (t - t_i) (gamma_max - gamma_min)/(1 - b), gamma_min, gamma_max)
    t_i        = b (L - i)/(L - 1)
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud.core.arguments import check_flag, check_integer, check_positive
from keras_gud.core.data_shape import axis_names
from keras_gud.core.registry import PACKAGE, require_coordinate
from keras_gud.core.types import Coordinates, Parameter, Shape, Tensor
from keras_gud.schedules.clipping import clipped_line
from keras_gud.schedules.end_points import ClippedSchedule
from keras_gud.schedules.schedule import registry

# The bases with coordinates that pixels do not have.
_HOMES = {"band": "haar", "frequency": "dct"}


@registry.register("sequential")
@keras.saving.register_keras_serializable(package=PACKAGE)
class Sequential(ClippedSchedule):
    """Groups i = 1..L are generated one after the other, overlapping as b allows (paper eq. 21)::

        t_i        = b (L - i)/(L - 1)
        gamma_i(t) = clip(gamma_min + (t - t_i)(gamma_max - gamma_min)/(1 - b))

    Group 1 is noised last and generated first. ``b = 0`` is standard diffusion; from
    ``b = (L-1)/L`` on, groups do not overlap any more: the model is autoregressive.

    Args:
        b: Autoregressiveness in [0, 1); a number or a range (low, high); default: 0.5.
        over: Which components go together: a coordinate of the basis (``"column"``, ``"row"``,
            ``"band"``, ...), ``"rank"`` or ``"log_variance"`` of any basis, or a data axis (an
            integer). Default: the last spatial axis, i.e. columns of an image.
        reverse: Whether the largest coordinate is generated first (right to left).
        gamma_min: Gamma of finished components, at t = 0; default: -7.
        gamma_max: Gamma of components whose generation has not begun, at t = 1; default: 5.
        groups: Number of groups, of neighbouring values of the coordinate each; default: every
            value is a group.
        window: In place of b: how many groups are noised at a time, > 0, ``b = (L - 1)/(L - 1 +
            window)``; 1: each is generated before the next begins.
        gamma_denoise: In place of `gamma_min`: -log of the smallest signal-to-noise ratio at t = 0
            (paper eq. 19).
        gamma_noise: In place of `gamma_max`: -log of the largest signal-to-noise ratio at t = 1, or
            ``"paper"`` for that of the paper's app. B.
        floor: For these, see `Linear`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for b outside [0, 1), both b and window, gamma_min >= gamma_max, a coordinate or
            an axis that the basis does not have, or more groups than it has values.

    Example:

    >>> import numpy as np
    >>> schedule = Sequential(b=0.5, over=0)
    >>> schedule.adapt(variance=np.ones(3))
    >>> [round(float(g), 2) for g in schedule(0.5).gamma[0]]
    [-7.0, -1.0, 5.0]
    """

    bounds = {"b": (0.0, 1.0)}

    def __init__(
        self,
        b: Parameter | None = None,
        over: str | int | None = None,
        reverse: bool = False,
        gamma_min: float | None = None,
        gamma_max: float | None = None,
        *,
        groups: int | None = None,
        window: float | None = None,
        gamma_denoise: float | None = None,
        gamma_noise: float | str | None = None,
        floor: float | None = None,
        **kwargs: Any,
    ) -> None:
        if b is not None and window is not None:
            raise ValueError(
                "Expected `b` or `window`, not both: b = (L - 1)/(L - 1 + window). "
                f"Received: b={b!r}, window={window!r}."
            )
        ends = gamma_min, gamma_max, gamma_denoise, gamma_noise, floor
        super().__init__({"b": 0.5 if b is None else b}, *ends, **kwargs)
        self.window = None if window is None else check_positive("window", window)
        self.count = None if groups is None else check_integer("groups", groups, 1)
        self.over, self.reverse = over, check_flag("reverse", reverse)
        self.home = _HOMES.get(over) if isinstance(over, str) else None

    def make_groups(self, data_shape: Shape, coordinates: Coordinates) -> np.ndarray:
        """One group per value of the coordinate, in generation order."""
        if isinstance(self.over, int):
            if not -len(data_shape) <= self.over < len(data_shape):
                raise ValueError(
                    f"Expected `over` to be an axis of the data's shape {tuple(data_shape)}. "
                    f"Received: over={self.over}."
                )
            axis = self.over % len(data_shape)
            index = np.arange(data_shape[axis])
            shape = [-1 if i == axis else 1 for i in range(len(data_shape))]
            coordinate = np.broadcast_to(index.reshape(shape), data_shape)
        else:
            coordinate = require_coordinate(
                coordinates, self.over or axis_names(data_shape)[-1], "over"
            )
        # Coordinates such as |k| are computed: nearly equal values are the same group.
        values, groups = np.unique(np.round(coordinate, 6), return_inverse=True)
        groups, n = groups.reshape(data_shape), len(values)
        if self.count is not None:
            if self.count > n:
                raise ValueError(
                    f"Expected at most {n} `groups`, as many as there are values. "
                    f"Received: groups={self.count}."
                )
            groups, n = groups * self.count // n, self.count
        return n - 1 - groups if self.reverse else groups

    def group_names(self, data_shape: Shape) -> tuple[str, ...]:
        """The coordinate, or the name of the axis."""
        if not isinstance(self.over, int):
            return (self.over or axis_names(data_shape)[-1],)
        names = [*axis_names(data_shape), *(["channel"] if len(data_shape) > 1 else [])]
        return (names[self.over],)

    def create_weights(self) -> None:
        """Settles b, now that the number of groups is known."""
        super().create_weights()
        if self.window is not None:
            last = self.n_groups - 1
            b = last / (last + self.window)
            self.ranges["b"] = b, b

    def path(self, t: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Paper eq. 21; see `ComponentSchedule.path`."""
        begins, length = self._intervals(b)
        u, (low, high) = (t - begins) / length, self.ends
        slope = (high - low) / length
        return clipped_line(u, low, high, slope + ops.zeros_like(u))

    def kinks(self, **params: Any) -> Tensor | None:
        """Where the intervals begin and end; see `ComponentSchedule.kinks`."""
        begins, length = self._intervals(**self.parameter_columns(params))
        return ops.concatenate([begins, begins + length], axis=-1)

    def _intervals(self, b: Tensor) -> tuple[Tensor, Tensor]:
        """When each group begins to move, and for how long; a single group has b = 0."""
        last = max(self.n_groups - 1, 1)
        b = b if self.n_groups > 1 else ops.zeros_like(b)
        ahead = ops.expand_dims(last - ops.arange(self.n_groups, dtype="float32"), 0) / last
        ahead = ahead if self.n_groups > 1 else ops.zeros_like(ahead)
        return b * ahead, 1.0 - b

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        return config | {
            "b": config["b"] if self.window is None else None,
            "over": self.over,
            "reverse": self.reverse,
            "groups": self.count,
            "window": self.window,
        }


registry.add("columns", lambda **kwargs: Sequential(over="column", **kwargs))
registry.add("rows", lambda **kwargs: Sequential(over="row", **kwargs))
