"""Monotone curves gamma(t) through knots, one for each group of components.

What `keras_gud.paths.optimize` returns: any path between two states can be one, to any precision.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud.core.arguments import as_floats
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import Array, ArrayLike, Coordinates, Tensor
from keras_gud.schedules import monotone
from keras_gud.schedules.function import CoordinateSchedule


@keras.saving.register_keras_serializable(package=PACKAGE)
class Curves(CoordinateSchedule):
    """A monotone curve through knots for each group of components.

    Args:
        gamma: Values at n >= 2 equally spaced times from 0 to 1, ``(n, n_groups)``, or ``(n,)`` for
            one group; never decreasing.
        over: Names of the coordinates of the basis whose combinations of values are the groups, in
            ascending order; ``()``: one group of all components.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for values that decrease or are not finite; at `adapt`, for another number of
            groups.

    Example:

    >>> import numpy as np
    >>> schedule = Curves([[-7.0, -7.0], [-7.0, 5.0], [5.0, 5.0]], over=("row",))
    >>> schedule.adapt(np.ones((2, 3)), coordinates={"row": np.array([[0] * 3, [1] * 3])})
    >>> [round(float(g), 2) for g in schedule(0.5).gamma[0, :, 0]]
    [-7.0, 5.0]
    """

    def __init__(self, gamma: ArrayLike, over: str | Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__((over,) if isinstance(over, str) else tuple(over), **kwargs)
        self.knots = self._check(gamma)

    @staticmethod
    def _check(gamma: ArrayLike) -> Array:
        """The knots, float64 ``(n, n_groups)``."""
        knots = as_floats(gamma)
        knots = knots[:, None] if knots.ndim == 1 else knots
        if knots.ndim != 2 or len(knots) < 2 or not np.isfinite(knots).all():
            raise ValueError(
                "Expected finite `gamma` of shape (n, n_groups) with n >= 2. "
                f"Received: gamma of shape {knots.shape}."
            )
        if np.diff(knots, axis=0).min() < 0.0:
            raise ValueError(
                "Expected `gamma` that never decreases from one time to the next. Received: a "
                f"group that falls by {-np.diff(knots, axis=0).min():.3g}."
            )
        return knots

    def move(self, gamma: ArrayLike) -> None:
        """Gives adapted curves other knots; what has been compiled with them serves on.

        Args:
            gamma: As at first, and as many.

        Raises:
            ValueError: for another number of knots, or values that decrease or are not finite.
        """
        knots = self._check(gamma)
        if knots.shape != self.knots.shape:
            raise ValueError(
                f"Expected `gamma` of shape {self.knots.shape}, as before. "
                f"Received: gamma of shape {knots.shape}."
            )
        self.knots = knots
        self.values.assign(knots)
        self.slopes.assign(monotone.knot_slopes(knots))

    def create_weights(self) -> None:
        """The coordinates of each group, the values and the slopes of its knots."""
        super().create_weights()
        n, count = self.knots.shape
        if count != self.n_groups:
            raise ValueError(
                f"Expected a curve for each of {self.n_groups} groups, the values of "
                f"{self.coordinate_names}. Received: {count} curves."
            )
        self.values = self.add_statistic("values", (n, count))
        self.slopes = self.add_statistic("slopes", (n, count))

    def fit_statistics(
        self, variance: np.ndarray, data_variance: np.ndarray, coordinates: Coordinates
    ) -> None:
        """Settles the curves."""
        super().fit_statistics(variance, data_variance, coordinates)
        self.move(self.knots)

    def path(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """The curves and their derivatives."""
        values, slopes = (ops.convert_to_tensor(v) for v in (self.values, self.slopes))
        return monotone.evaluate(values, slopes, t)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "gamma": self.knots.tolist(),
            "over": self.coordinate_names,
        }
