"""The contract of component-wise noise schedules: gamma_i(t) for groups of components.

``gamma_i(t) = log(sigma_i^2/alpha_i^2)`` never decreases from t = 0 (data) to t = 1 (noise), so a
schedule is a path through the space of noising states (paper sec. 4). Components that always share
a gamma form a *group*; a schedule computes one number per group and spreads it over the components,
so that a column-wise schedule of a megapixel image costs as much as it has columns.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
from keras import ops

from keras_gud.core.fitted_layer import FittedLayer
from keras_gud.core.registry import Registry
from keras_gud.core.types import ArrayLike, Coordinates, Shape, Tensor, TensorLike
from keras_gud.diffusion.noising_state import NoisingState
from keras_gud.schedules import parameters
from keras_gud.schedules.checks import check_finite_gamma, check_monotone, check_size
from keras_gud.schedules.coordinates import squeeze, variance_coordinates
from keras_gud.schedules.parameters import Range


class ComponentSchedule(FittedLayer):
    """Base class of the component-wise schedules.

    A subclass implements `path`, lists its parameters in `bounds`, and overrides `make_groups` if
    its components differ. Parameters may be ranges: a *family* of schedules. Training draws from
    the range, the network sees only gamma, and sampling picks a value (default: the middle).

    Args:
        ranges: The parameters, a number or a pair (low, high) each.
        **kwargs: Keras layer arguments.

    Attributes:
        bounds: Dict from parameter name to the half-open interval [low, high) of legal values.
        ranges: Dict from parameter name to the chosen (low, high); equal for a fixed parameter.
        group_shape: Shape that broadcasts against `data_shape`: 1 along every axis on which
            gamma does not change.
        n_groups: Number of groups.

    Raises:
        ValueError: for a parameter outside its bounds or a range upside down.

    Example:

    >>> class Quadratic(ComponentSchedule):
    ...     def path(self, t):
    ...         return -7.0 + 12.0 * t**2, 24.0 * t
    >>> schedule = Quadratic(); schedule.adapt(variance=np.ones((4, 4, 1)))
    >>> float(schedule(0.5).gamma[0, 0, 0, 0])
    -4.0
    """

    bounds: dict[str, Range] = {}
    # Name of the basis in which the literature has it; `None` for one that acts in any.
    home: str | None = None
    # Whether training calls `learn(t, error, weight)` after every step.
    learns: ClassVar[bool] = False
    group_shape: Shape
    n_groups: int

    def __init__(self, ranges: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ranges = {
            name: parameters.check_range(name, value, self.bounds[name])
            for name, value in (ranges or {}).items()
        }
        self.group_shape = self.n_groups = None  # type: ignore[assignment]  # until it is built

    # -- what a subclass defines ----------------------------------------------------------------

    def path(self, t: Tensor, *args: Any, **params: Any) -> tuple[Tensor, Tensor]:
        """Gamma and dgamma/dt of every group.

        Args:
            t: float32 ``(batch, 1)`` in [0, 1].
            *args: None: a subclass names its parameters, ``path(self, t, a, b)``.
            **params: Parameters by name, float32 ``(batch, 1)`` or ``(1, 1)``.

        Returns:
            Pair of float32 tensors ``(batch, n_groups)`` or ``(batch, 1)``.
        """
        raise NotImplementedError("A ComponentSchedule implements path(t, **params).")

    def make_groups(self, data_shape: Shape, coordinates: Coordinates) -> np.ndarray:
        """Group index of every component, shape `data_shape`, counting from 0 (default: one)."""
        return np.zeros(data_shape, "int32")

    def create_weights(self) -> None:
        """Creates the weights that hold fitted statistics; groups are known (default: none)."""

    def fit_statistics(
        self, variance: np.ndarray, data_variance: np.ndarray, coordinates: Coordinates
    ) -> None:
        """Assigns those weights; arguments as of `adapt`, float64 (default: nothing)."""

    # -- building -------------------------------------------------------------------------------

    def build(self, group_shape: Shape, n_groups: int, in_order: bool = False) -> None:
        """Creates the weights for a known grouping; `adapt` calls it.

        Args:
            group_shape: See the class.
            n_groups: Number of different groups.
            in_order: Whether group i is simply entry i of `group_shape`, so that nothing has to
                be gathered.
        """
        self.group_shape, self.n_groups = tuple(group_shape), int(n_groups)
        self.in_order = in_order
        self.groups = self.add_statistic("groups", self.group_shape, dtype="int32")
        self.create_weights()

    def adapt(
        self,
        variance: ArrayLike,
        data_variance: ArrayLike | None = None,
        coordinates: Coordinates | None = None,
    ) -> None:
        """Fits the grouping and the statistics of the components.

        Args:
            variance: Sigma_i, variance of the clean (whitened) component z0_i, > 0, array of
                `data_shape`.
            data_variance: The same before whitening (default: `variance`). Orderings by variance
                use this one, also when the prior whitens: that is what makes a = 1 standard
                diffusion in both cases (paper fig. 2c).
            coordinates: The coordinates of the basis, each an array of `data_shape`. Schedules also
                know ``"variance"``, ``"log_variance"`` (of the data) and ``"rank"`` (0 for the
                component with the largest variance).

        Raises:
            ValueError: if the coordinates lack one that the schedule orders by, or gamma decreases,
                is not finite or too large for float32.
        """
        variance = np.asarray(variance, "float64")
        data_variance = variance if data_variance is None else np.asarray(data_variance, "float64")
        # The basis' own come first: principal components have a rank without rounding.
        coordinates = variance_coordinates(data_variance) | (coordinates or {})
        groups = squeeze(np.asarray(self.make_groups(variance.shape, coordinates)))
        if not self.built:
            in_order = np.array_equal(groups.ravel(), np.arange(groups.size))
            self.build(groups.shape, int(groups.max()) + 1, in_order)
            self.built = True
        self.groups.assign(groups.astype("int32"))
        self.fit_statistics(variance, data_variance, coordinates)
        self._check_monotone()

    def _check_monotone(self) -> None:
        t = np.linspace(0.0, 1.0, 257, dtype="float32")
        gamma = ops.convert_to_numpy(self(t, **self.resolve({})).gamma).reshape(len(t), -1)
        check_finite_gamma(gamma, type(self).__name__)
        for end in (0, 1):
            self._check_size({name: ends[end] for name, ends in self.ranges.items()})
        check_monotone(t, gamma, type(self).__name__)

    def _check_size(self, params: dict[str, Any]) -> None:
        for t in (0.0, 1.0):
            gamma = ops.convert_to_numpy(self(t, **params).gamma)
            check_size(gamma, type(self).__name__, params)

    def get_build_config(self) -> dict[str, Any] | None:
        """The grouping's size, so that a saved schedule is built again on loading."""
        if self.group_shape is None:
            return None
        return {
            "group_shape": list(self.group_shape),
            "n_groups": self.n_groups,
            "in_order": self.in_order,
        }

    # -- use ------------------------------------------------------------------------------------

    def draw_parameters(self, uniforms: Tensor) -> dict[str, Tensor]:
        """Draws parameters from their ranges.

        Args:
            uniforms: float32 ``(batch, >= len(self.ranges))`` in (0, 1).

        Returns:
            Dict from name to float32 ``(batch,)``.
        """
        return parameters.draw(self.ranges, uniforms)

    def resolve(self, params: dict[str, Any], others: Iterable[str] = ()) -> dict[str, np.ndarray]:
        """Fills in parameters left open: the middle of their range.

        Args:
            params: Chosen values by name, numbers or arrays ``(batch,)``.
            others: Names that the caller takes beside parameters, for which a misspelt name may
                stand.

        Returns:
            Dict from the name of every parameter to float32 ``(1,)`` or ``(batch,)``.

        Raises:
            ValueError: for an unknown name, with the nearest one, or a value out of bounds.

        Warns:
            UserWarning: for a value outside the range that the schedule was given.
        """
        outside = parameters.check_chosen(params, self.ranges, self.bounds, others, stacklevel=4)
        chosen = parameters.middle(self.ranges) | params
        resolved = {name: np.asarray(chosen[name], "float32").reshape(-1) for name in self.ranges}
        lengths = {len(values) for values in resolved.values()} - {1}
        if outside and self.built and len(lengths) < 2:  # else the caller refuses them
            self._check_size(resolved)
        return resolved

    def __call__(self, t: TensorLike, **params: Any) -> NoisingState:
        """The noising state at time t; see `call`."""
        # Not Layer.__call__: a schedule takes plain numbers and returns a state.
        if not self.built:
            raise ValueError(
                f"Expected the {type(self).__name__} schedule to know its components before it is "
                "called: call `adapt(variance=...)` first."
            )
        return self.call(t, **params)

    def call(self, t: TensorLike, **params: Any) -> NoisingState:
        """The noising state at time t.

        Args:
            t: Number, or float32 ``(batch,)``, in [0, 1]; 0 = data, 1 = noise.
            **params: Values of the parameters, numbers or ``(batch,)``; default: mid-range.

        Returns:
            A `NoisingState` whose fields broadcast against ``(batch, *data_shape)``.
        """
        t = ops.reshape(ops.cast(t, "float32"), (-1, 1))
        gamma, dgamma_dt = self.path(t, **self.parameter_columns(params))
        return NoisingState(self.spread(gamma), self.spread(dgamma_dt), t)

    def parameter_columns(self, params: dict[str, Any]) -> dict[str, Tensor]:
        """The parameters as `path` takes them, those left open in the middle of their range."""
        return {
            name: ops.reshape(ops.cast(value, "float32"), (-1, 1))
            for name, value in (parameters.middle(self.ranges) | params).items()
        }

    def unwarped(self) -> "ComponentSchedule":
        """The same path without a time warp, for solvers that choose their own steps."""
        return self

    def group_names(self, data_shape: Shape) -> tuple[str, ...]:
        """The coordinates whose combinations of values tell the groups apart (default: one group).

        Args:
            data_shape: Shape of one example.
        """
        return ()

    def unbuilt(self) -> "ComponentSchedule":
        """A schedule with the same arguments, not adapted to any data."""
        return type(self).from_config(self.get_config())

    def kinks(self, **params: Any) -> Tensor | None:
        """Times at which a group begins or ceases to move, where dgamma/dt jumps.

        Adaptive solvers stop there and start again: their error estimates are for smooth fields.

        Args:
            **params: As in `call`.

        Returns:
            float32 ``(batch, n)``, in any order, or `None` for a schedule that is smooth, or that
            does not know.
        """
        return None

    def spread(self, values: Tensor) -> Tensor:
        """Spreads group values ``(batch, n_groups or 1)`` to ``(batch, *group_shape)``."""
        if values.shape[-1] == 1:
            return ops.reshape(values, (-1, *(1 for _ in self.group_shape)))
        if not self.in_order:
            values = ops.take(values, ops.reshape(self.groups, (-1,)), axis=1)
        return ops.reshape(values, (-1, *self.group_shape))

    def noising_order(self) -> np.ndarray:
        """Numbers, float32 of `group_shape`, that are larger the earlier a component is noised.

        They are gamma(0.5). Components with near values share a token of the network's embedding
        where there are more groups than tokens.
        """
        middle = self(0.5, **self.resolve({}))
        return ops.convert_to_numpy(ops.broadcast_to(middle.gamma, (1, *self.group_shape)))[0]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        config.update(
            {name: low if low == high else (low, high) for name, (low, high) in self.ranges.items()}
        )
        return config


registry = Registry("schedule", ComponentSchedule)
