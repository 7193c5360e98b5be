"""The contract of component-wise noise schedules: gamma_i(t) for groups of components.

A schedule is a path through the space of noising states. Components that always share a gamma form
a *group*; a schedule computes one number per group and spreads it over the components, so that a
column-wise schedule of a megapixel image costs as much as it has columns.
"""

import warnings
from typing import ClassVar

import numpy as np
from keras import ops

from keras_gud.core.arguments import check_values
from keras_gud.core.fitted_layer import FittedLayer
from keras_gud.core.registry import Registry, near_match
from keras_gud.diffusion.noising_state import NoisingState
from keras_gud.schedules.pieces import check_finite_gamma, check_monotone, check_size, squeeze

Range = tuple[float, float]


class ComponentSchedule(FittedLayer):
    """Base class of the component-wise schedules.

    A subclass implements `path`, lists its parameters in `bounds`, and sets `make_groups` if its
    components differ. Parameters may be ranges: a *family* of schedules. Training draws from the
    range, the network sees only gamma, and sampling picks a value (default: the middle).

    Args:
        ranges: The parameters, a number or a pair (low, high) each.
        **kwargs: Keras layer arguments.

    Attributes:
        bounds: Dict from parameter name to the half-open interval [low, high) of legal values.
        ranges: Dict from parameter name to the chosen (low, high); equal for a fixed parameter.
        group_shape: Shape that broadcasts against `data_shape`: 1 along every axis on which
            gamma does not change.

    Raises:
        ValueError: for a parameter outside its bounds or a range upside down.
    """

    bounds: ClassVar[dict[str, Range]] = {}
    # Whether training calls `learn(t, error, weight)` after every step.
    learns: ClassVar[bool] = False

    def __init__(self, ranges: dict | None = None, **kwargs):
        super().__init__(**kwargs)
        self.ranges = {
            name: self._check_range(name, value) for name, value in (ranges or {}).items()
        }
        self.group_shape: tuple[int, ...] | None = None
        self.n_groups: int | None = None

    def _check_range(self, name: str, value) -> Range:
        low, high = self.bounds[name]
        try:
            pair = tuple(map(float, value if isinstance(value, (tuple, list)) else (value,)))
        except (TypeError, ValueError):  # not numbers
            pair = ()
        # As float32, in which paths compute: 1 - 1e-9 would otherwise pass and divide by zero.
        with np.errstate(over="ignore"):
            legal = all(low <= float(np.float32(v)) < high for v in pair)
        if len(pair) not in (1, 2) or not legal or pair[0] > pair[-1]:
            raise ValueError(
                f"Expected `{name}` to be a number in [{low:g}, {high:g}), or a pair (low, high) "
                f"of such numbers. Received: {name}={value!r}."
            )
        return pair[0], pair[-1]

    # -- what a subclass says -------------------------------------------------------------------

    def path(self, t, **params):
        """Gamma and dgamma/dt of every group.

        Args:
            t: float32 ``(batch, 1)`` in [0, 1].
            **params: Parameters by name, float32 ``(batch, 1)`` or ``(1, 1)``.

        Returns:
            Pair of float32 tensors ``(batch, n_groups)`` or ``(batch, 1)``.
        """
        raise NotImplementedError("A ComponentSchedule implements path(t, **params).")

    def make_groups(self, data_shape, coordinates: dict[str, np.ndarray]) -> np.ndarray:
        """Group index of every component, shape `data_shape`, counting from 0 (default: one)."""
        return np.zeros(data_shape, "int32")

    def create_weights(self):
        """Creates the weights that hold fitted statistics; groups are known (default: none)."""

    def fit_statistics(self, variance, data_variance, coordinates):
        """Assigns those weights from NumPy arrays of shape `data_shape` (default: nothing)."""

    # -- building -------------------------------------------------------------------------------

    def build(self, group_shape, n_groups, in_order=False):
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

    def adapt(self, variance, data_variance=None, coordinates: dict | None = None):
        """Learns the grouping and the statistics of the components.

        Args:
            variance: Sigma_i, variance of the (whitened) component chi_i, array of `data_shape`.
            data_variance: The same before whitening (default: `variance`). Orderings by variance
                use this one, also when the prior whitens: that is what makes a = 1 standard
                diffusion in both cases (paper fig. 2c).
            coordinates: The coordinates of the basis.

        Raises:
            ValueError: if the coordinates lack one that the schedule orders by, or gamma decreases.
        """
        variance = np.asarray(variance, "float64")
        data_variance = variance if data_variance is None else np.asarray(data_variance, "float64")
        coordinates = coordinates or {}
        groups = squeeze(np.asarray(self.make_groups(variance.shape, coordinates)))
        if not self.built:
            in_order = np.array_equal(groups.ravel(), np.arange(groups.size))
            self.build(groups.shape, int(groups.max()) + 1, in_order)
            self.built = True
        self.groups.assign(groups.astype("int32"))
        self.fit_statistics(variance, data_variance, coordinates)
        self._check_monotone()

    def _check_monotone(self):
        t = np.linspace(0.0, 1.0, 257, dtype="float32")
        gamma = ops.convert_to_numpy(self(t, **self.resolve({})).gamma).reshape(len(t), -1)
        check_finite_gamma(gamma, type(self).__name__)
        for end in (0, 1):
            self._check_size({name: ends[end] for name, ends in self.ranges.items()})
        check_monotone(t, gamma, type(self).__name__)

    def _check_size(self, params: dict):
        for t in (0.0, 1.0):
            gamma = ops.convert_to_numpy(self(t, **params).gamma)
            check_size(gamma, type(self).__name__, params)

    def get_build_config(self):
        """The grouping's size, so that a saved schedule is built again on loading."""
        if self.group_shape is None:
            return None
        return {
            "group_shape": list(self.group_shape),
            "n_groups": self.n_groups,
            "in_order": self.in_order,
        }

    # -- use ------------------------------------------------------------------------------------

    def draw(self, uniforms):
        """Draws parameters from their ranges.

        Args:
            uniforms: float32 ``(batch, len(self.ranges))`` in (0, 1).

        Returns:
            Dict from name to float32 ``(batch,)``.
        """
        return {
            name: low + (high - low) * uniforms[:, i]
            for i, (name, (low, high)) in enumerate(self.ranges.items())
        }

    def resolve(self, params: dict, others=()) -> dict[str, np.ndarray]:
        """Fills in parameters left open: the middle of their range.

        Args:
            params: Chosen values by name, numbers or arrays ``(batch,)``.
            others: Names that the caller takes beside them, where a typo may have been meant.

        Raises:
            ValueError: for an unknown name, with the near match, or a value out of bounds.

        Warns:
            UserWarning: for a value outside the range that the schedule was given.
        """
        also = f", or an argument, one of {sorted(others)}" if others else ""
        outside = False
        for name, value in params.items():
            if name not in self.ranges:
                raise ValueError(
                    f"Expected a parameter of the schedule, one of {sorted(self.ranges)}{also}. "
                    f"Received: {name}={value!r}.{near_match(name, [*self.ranges, *others])}"
                )
            numbers = check_values(name, value)
            for v in numbers:
                self._check_range(name, v)
            low, high = self.ranges[name]
            if numbers.min() < low - 1e-6 or numbers.max() > high + 1e-6:
                warnings.warn(
                    f"{name}={value} is outside the range [{low:g}, {high:g}] of this schedule: "
                    "a network trained on the range has not met these noising states.",
                    stacklevel=3,
                )
                outside = True
        resolved = {
            name: np.asarray(params.get(name, 0.5 * (low + high)), "float32").reshape(-1)
            for name, (low, high) in self.ranges.items()
        }
        lengths = {len(values) for values in resolved.values()} - {1}
        if outside and self.built and len(lengths) < 2:  # else the caller refuses them
            self._check_size(resolved)
        return resolved

    def __call__(self, t, **params):
        """The noising state at time t; see `call`."""
        # A schedule takes plain numbers and returns a state, not tensors for tensors, so the
        # bookkeeping of Layer.__call__ does not apply.
        if not self.built:
            raise ValueError(
                f"Expected the {type(self).__name__} schedule to know its components before it is "
                "called: call `adapt(variance=...)` first."
            )
        return self.call(t, **params)

    def call(self, t, **params):
        """The noising state at time t.

        Args:
            t: Number, or float32 ``(batch,)``, in [0, 1]; 0 = data, 1 = noise.
            **params: Values of the parameters, numbers or ``(batch,)``; default: mid-range.

        Returns:
            A `NoisingState` whose fields broadcast against ``(batch, *data_shape)``.
        """
        t = ops.reshape(ops.cast(t, "float32"), (-1, 1))
        gamma, dgamma_dt = self.path(t, **self.parameter_columns(params))
        return NoisingState(self.spread(gamma), self.spread(dgamma_dt))

    def parameter_columns(self, params: dict) -> dict:
        """The parameters as `path` takes them, those left open in the middle of their range."""
        middle = {name: 0.5 * (low + high) for name, (low, high) in self.ranges.items()}
        return {
            name: ops.reshape(ops.cast(value, "float32"), (-1, 1))
            for name, value in (middle | params).items()
        }

    def unwarped(self):
        """The same path at its natural pace, for solvers that choose their own steps."""
        return self

    def kinks(self, **params):
        """Times at which a group begins or ceases to move, where dgamma/dt jumps.

        Solvers with error estimates made for smooth fields stop there and start again.

        Args:
            **params: As in `call`.

        Returns:
            float32 ``(batch, n)``, in any order, or `None` for a schedule that is smooth, or that
            does not know.
        """
        return None

    def spread(self, values):
        """Spreads group values ``(batch, n_groups or 1)`` to ``(batch, *group_shape)``."""
        if values.shape[-1] == 1:
            return ops.reshape(values, (-1, *(1 for _ in self.group_shape)))
        if not self.in_order:
            values = ops.take(values, ops.reshape(self.groups, (-1,)), axis=1)
        return ops.reshape(values, (-1, *self.group_shape))

    def order(self) -> np.ndarray:
        """A number per entry of `group_shape` that grows in the order of noising.

        Components with near values share a token of the network's embedding where there are more
        groups than tokens.
        """
        middle = self(0.5, **self.resolve({}))
        return ops.convert_to_numpy(ops.broadcast_to(middle.gamma, (1, *self.group_shape)))[0]

    def get_config(self):
        """The constructor's arguments."""
        config = super().get_config()
        config.update(
            {name: low if low == high else (low, high) for name, (low, high) in self.ranges.items()}
        )
        return config


registry = Registry("schedule", ComponentSchedule)
