"""Hierarchical generation: levels coarse to fine, columns within each (paper eq. 22, sec. 5.3).

For levels i = 1..N, the coarsest first, and columns j = 1..L_i in level i::

    gamma_ij(t) = clip(gamma_min + (gamma_max - gamma_min) (s_i - c_ij)/(1 - b), ...)
    s_i  = clip((t - c_i)/(1 - a), 0, 1)
    c_i  = a (N - i)/(N - 1)
    c_ij = b (L_i - j)/(L_i - 1)
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud.core.data_shape import axis_names
from keras_gud.core.registry import PACKAGE, require_coordinate
from keras_gud.core.types import Coordinates, Parameter, Shape, Tensor
from keras_gud.schedules.clipping import clipped_line, snap
from keras_gud.schedules.end_points import ClippedSchedule
from keras_gud.schedules.schedule import registry


@registry.register("hierarchical")
@keras.saving.register_keras_serializable(package=PACKAGE)
class Hierarchical(ClippedSchedule):
    """Levels i = 1..N, coarsest first, and columns j = 1..L_i inside level i (paper eq. 22)::

        c_i  = a (N - i)/(N - 1)         s_i = clip((t - c_i)/(1 - a), 0, 1)
        c_ij = b (L_i - j)/(L_i - 1)
        gamma_ij(t) = clip(gamma_min + (gamma_max - gamma_min)(s_i - c_ij)/(1 - b), ...)

    The paper prints ``t - c_i/(1 - a)``, which would leave levels unfinished, and numbers levels
    from the finest in its appendix D; here every component goes from gamma_min to gamma_max and
    level 1 is the coarsest, noised last and generated first. A single level has a = 0, and a level
    with a single column b = 0.

    Args:
        a: Autoregressiveness between levels, in [0, 1); a number or a range (low, high).
        b: Autoregressiveness between the columns of a level, in [0, 1); a number or a range.
        levels: The coordinate that numbers the levels from coarse to fine (``"band"`` of Haar).
        columns: The coordinate that numbers columns within a level. Default: the last spatial axis.
        gamma_min: Gamma of finished components, at t = 0; default: -7.
        gamma_max: Gamma of components whose generation has not begun, at t = 1; default: 5.
        gamma_denoise: In place of `gamma_min`: -log of the smallest signal-to-noise ratio at t = 0
            (paper eq. 19).
        gamma_noise: In place of `gamma_max`: -log of the largest signal-to-noise ratio at t = 1, or
            ``"paper"`` for that of the paper's app. B.
        floor: For these, see `Linear`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for a or b outside [0, 1), gamma_min >= gamma_max, or coordinates that the basis
            does not have.

    Example:

    >>> from keras_gud import bases
    >>> import numpy as np
    >>> haar = bases.get("haar", levels=1); haar.build((None, 4, 4, 1))
    >>> schedule = Hierarchical(a=0.5, b=0.0)
    >>> schedule.adapt(variance=np.ones((4, 4, 1)), coordinates=haar.coordinates)
    >>> [round(float(g), 2) for g in schedule(0.5).gamma[0, 0, :, 0]]
    [-7.0, -7.0, 5.0, 5.0]
    """

    bounds = {"a": (0.0, 1.0), "b": (0.0, 1.0)}
    home = "haar"

    def __init__(
        self,
        a: Parameter = 0.5,
        b: Parameter = 0.5,
        levels: str = "band",
        columns: str | None = None,
        gamma_min: float | None = None,
        gamma_max: float | None = None,
        *,
        gamma_denoise: float | None = None,
        gamma_noise: float | str | None = None,
        floor: float | None = None,
        **kwargs: Any,
    ) -> None:
        ends = gamma_min, gamma_max, gamma_denoise, gamma_noise, floor
        super().__init__({"a": a, "b": b}, *ends, **kwargs)
        self.levels, self.columns = levels, columns

    def _indices(
        self, data_shape: Shape, coordinates: Coordinates
    ) -> tuple[np.ndarray, np.ndarray]:
        """Level and column index of every component, both counting from 0."""
        column_name = self.columns or axis_names(data_shape)[-1]
        if isinstance(self.levels, str) and self.levels == "band" and "band" not in coordinates:
            raise ValueError(
                'Expected a basis with levels for the hierarchical schedule: basis="haar", or '
                f"`levels` set to one of its coordinates {sorted(coordinates)}. "
                "Received: levels='band'."
            )
        level = require_coordinate(coordinates, self.levels, "levels")
        column = require_coordinate(coordinates, column_name, "columns")
        return np.unique(level, return_inverse=True)[1].reshape(data_shape), column.astype(int)

    def group_names(self, data_shape: Shape) -> tuple[str, ...]:
        """Levels and columns."""
        return self.levels, self.columns or axis_names(data_shape)[-1]

    def make_groups(self, data_shape: Shape, coordinates: Coordinates) -> np.ndarray:
        """One group per column of each level."""
        level, column = self._indices(data_shape, coordinates)
        pairs = np.stack([level.ravel(), column.ravel()], axis=1)
        return np.unique(pairs, axis=0, return_inverse=True)[1].reshape(data_shape)

    def create_weights(self) -> None:
        """The offsets of levels and of columns within them, see `fit_statistics`."""
        super().create_weights()
        shape = (self.n_groups,)
        self.level_ahead = self.add_statistic("level_ahead", shape)
        self.column_ahead = self.add_statistic("column_ahead", shape)
        # 1 where there is an order between levels (columns), 0 where there is only one.
        self.has_levels = self.add_statistic("has_levels", shape)
        self.has_columns = self.add_statistic("has_columns", shape)

    def fit_statistics(
        self, variance: np.ndarray, data_variance: np.ndarray, coordinates: Coordinates
    ) -> None:
        """The offsets (N - i)/(N - 1) and (L_i - j)/(L_i - 1) of each group, and the ends."""
        super().fit_statistics(variance, data_variance, coordinates)
        level, column = self._indices(variance.shape, coordinates)
        groups = self.make_groups(variance.shape, coordinates).ravel()
        _, first = np.unique(groups, return_index=True)
        level, column = level.ravel(), column.ravel()
        width = np.array([column[level == i].max() for i in range(level.max() + 1)])
        group_level, group_column, last = level[first], column[first], width[level[first]]
        n = level.max()
        self.level_ahead.assign((n - group_level) / max(n, 1))
        self.column_ahead.assign((last - group_column) / np.maximum(last, 1))
        self.has_levels.assign(np.full(len(first), float(n > 0)))
        self.has_columns.assign((last > 0).astype("float32"))

    def path(self, t: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Paper eq. 22, corrected; see `ComponentSchedule.path`."""
        a, b = self._effective(a, b)
        raw = snap((t - a * ops.expand_dims(self.level_ahead, 0)) / (1.0 - a))
        inside = ops.logical_and(raw >= 0.0, raw <= 1.0)
        u = (ops.clip(raw, 0.0, 1.0) - b * ops.expand_dims(self.column_ahead, 0)) / (1.0 - b)
        low, high = self.ends
        slope = ops.where(inside, (high - low) / ((1.0 - a) * (1.0 - b)), 0.0)
        return clipped_line(u, low, high, slope)

    def kinks(self, **params: Any) -> Tensor | None:
        """Where the intervals begin and end; see `ComponentSchedule.kinks`."""
        a, b = self._effective(**self.parameter_columns(params))
        begins = b * ops.expand_dims(self.column_ahead, 0)
        within = ops.concatenate([begins, begins + 1.0 - b], axis=-1)
        ahead = a * ops.expand_dims(self.level_ahead, 0)
        return ops.tile(ahead, (1, 2)) + (1.0 - ops.tile(a, (1, 2))) * within

    def _effective(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """The a and b of every group, ``(batch, n_groups)``: 0 where there is nothing to order."""
        a = a * ops.expand_dims(self.has_levels, 0)
        return a, b * ops.expand_dims(self.has_columns, 0)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"levels": self.levels, "columns": self.columns}
