"""Any gamma(t, coordinates), with dgamma/dt by forward-mode differentiation.

``gamma_i(t) = f(t, c_i)`` with c_i the coordinates of component i in its basis; dgamma/dt is a
Jacobian-vector product, `keras.ops.jvp`. Or f is alpha, sigma or the rate beta.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud.core.arguments import check_numbers
from keras_gud.core.registry import PACKAGE, require_coordinate, require_one_of
from keras_gud.core.types import Coordinates, Shape, Tensor
from keras_gud.schedules.schedule import ComponentSchedule


class CoordinateSchedule(ComponentSchedule):
    """Base class of schedules whose gamma is a function of time and of coordinates of the basis.

    A subclass implements `gamma`; dgamma/dt comes from `keras.ops.jvp`.

    Args:
        coordinates: Names of the basis' coordinates that gamma depends on.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, coordinates: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.coordinate_names = tuple(coordinates)

    def gamma(self, t: Tensor, *args: Any, **coordinates: Any) -> Tensor:
        """Gamma of the groups.

        Args:
            t: float32 ``(batch, 1)`` in [0, 1].
            *args: None: a subclass may name its coordinates, ``gamma(self, t, frequency)``.
            **coordinates: Coordinates by name, float32 ``(1, n_groups)``.

        Returns:
            Tensor that broadcasts to ``(batch, n_groups)``.
        """
        raise NotImplementedError("A CoordinateSchedule implements gamma(t, **coordinates).")

    def group_names(self, data_shape: Shape) -> tuple[str, ...]:
        """The coordinates that gamma depends on."""
        return self.coordinate_names

    def make_groups(self, data_shape: Shape, coordinates: Coordinates) -> np.ndarray:
        """One group per combination of the coordinates' values; one in all without coordinates."""
        if not self.coordinate_names:
            return super().make_groups(data_shape, coordinates)
        columns = [
            require_coordinate(coordinates, name, "coordinates").ravel()
            for name in self.coordinate_names
        ]
        rows = np.round(np.stack(columns, axis=1), 6)
        return np.unique(rows, axis=0, return_inverse=True)[1].reshape(data_shape)

    def create_weights(self) -> None:
        """The coordinates of each group."""
        shape = (len(self.coordinate_names), self.n_groups)
        self.group_coordinates = self.add_statistic("group_coordinates", shape)

    def fit_statistics(
        self, variance: np.ndarray, data_variance: np.ndarray, coordinates: Coordinates
    ) -> None:
        """Reads the coordinates of the first component of every group."""
        groups = self.make_groups(variance.shape, coordinates).ravel()
        _, first = np.unique(groups, return_index=True)
        rows = [np.ravel(coordinates[name])[first] for name in self.coordinate_names]
        self.group_coordinates.assign(np.reshape(rows, (len(rows), self.n_groups)))

    def coordinates_of_groups(self) -> dict[str, Tensor]:
        """Coordinates by name, float32 ``(1, n_groups)``."""
        return {
            name: self.group_coordinates[i : i + 1] for i, name in enumerate(self.coordinate_names)
        }

    def path(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """The function and its derivative along t."""
        coordinates = self.coordinates_of_groups()

        def gamma(t):
            # Adding 0 t makes gamma depend on t in every case: TensorFlow has no jvp otherwise.
            return self.gamma(t, **coordinates) + 0.0 * t

        return ops.jvp(gamma, (t,), (ops.ones_like(t),))


# Nodes in [0, 1] and weights of the integral of beta; exact for polynomials of degree 63.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)
_NODES, _WEIGHTS = 0.5 * (_NODES + 1.0), 0.5 * _WEIGHTS
# The integrals by half as many nodes differ by less, or beta is not integrable.
_TOLERANCE = 1e-3
_GIVES = ("gamma", "beta", "alpha", "sigma")


@keras.saving.register_keras_serializable(package=PACKAGE)
class Function(CoordinateSchedule):
    """A schedule made of a function of time, for instance gamma(t).

    With ``alpha^2 + sigma^2 = 1`` and, of beta, ``B(t) = log(1 + exp(gamma_min)) + int_0^t beta``::

        gamma = log(1/alpha^2 - 1) = -log(1/sigma^2 - 1) = log(exp(B) - 1)

    Args:
        function: ``function(t, **coordinates)`` written in `keras.ops`; t is float32
            ``(batch, 1)``, each coordinate float32 ``(1, n)`` over the groups of components, and
            the result broadcasts to ``(batch, n)``. Gamma must be finite on [0, 1] and never
            decrease. To be saved with a model it must be registered with
            `keras.saving.register_keras_serializable`.
        coordinates: Names of the coordinates that the function takes: of the basis, e.g.
            ``("frequency",)``, or ``"variance"``, ``"log_variance"``, ``"rank"``.
        gives: What the function returns: ``"gamma"``, ``"alpha"`` or ``"sigma"`` in (0, 1), whose
            derivative comes from `keras.ops.jvp`, or ``"beta"``, the rate >= 0 of the process
            ``dz = -beta/2 z dt + sqrt(beta) dw`` (paper eq. 13), smooth and integrable on [0, 1].
        gamma_min: Gamma at t = 0, where beta is given.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for an unknown `gives`; at `adapt`, if gamma decreases or is not finite
            somewhere, or beta is negative or not integrable.
        TypeError: if `function` is not callable.

    Example:

    >>> import numpy as np
    >>> schedule = Function(lambda t: -7.0 + 12.0 * t**2)
    >>> schedule.adapt(variance=np.ones(2))
    >>> round(float(schedule(0.5).dgamma_dt[0, 0]), 3)
    12.0
    """

    def __init__(
        self,
        function: Callable[..., Tensor],
        coordinates: tuple[str, ...] = (),
        gives: str = "gamma",
        gamma_min: float = -10.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(coordinates, **kwargs)
        if not callable(function):
            raise TypeError(f"Expected `function` to be callable. Received: function={function!r}.")
        require_one_of("gives", gives, _GIVES)
        check_numbers(gamma_min=gamma_min)
        self.function, self.gives, self.gamma_min = function, gives, float(gamma_min)

    def gamma(self, t: Tensor, **coordinates: Any) -> Tensor:
        """Gamma, of a function that gives gamma, alpha or sigma; see `CoordinateSchedule.gamma`."""
        value = self.function(t, **coordinates)
        if self.gives == "gamma":
            return value
        square = ops.square(value)
        logit = ops.log(square) - ops.log1p(-square)
        return logit if self.gives == "sigma" else -logit

    def path(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """The function and its derivative along t."""
        if self.gives != "beta":
            return super().path(t)
        integral, beta = self._integral(t, _NODES, _WEIGHTS), self._beta(t)
        total = math.log1p(math.exp(self.gamma_min)) + integral
        gamma = total + ops.log(-ops.expm1(-total))  # log(exp(B) - 1)
        return gamma, beta / -ops.expm1(-total)

    def fit_statistics(
        self, variance: np.ndarray, data_variance: np.ndarray, coordinates: Coordinates
    ) -> None:
        """Reads the coordinates, and checks beta."""
        super().fit_statistics(variance, data_variance, coordinates)
        if self.gives == "beta":
            self._check_beta()

    def _beta(self, t: Tensor) -> Tensor:
        values = self.function(t, **self.coordinates_of_groups())
        return values + ops.zeros_like(t)

    def _integral(self, t: Tensor, nodes: np.ndarray, weights: np.ndarray) -> Tensor:
        """The integral of beta from 0 to t, ``(batch, n)``, by Gauss-Legendre quadrature."""
        terms = (w * self._beta(t * float(x)) for x, w in zip(nodes, weights.tolist(), strict=True))
        return t * sum(terms)

    def _check_beta(self) -> None:
        t = ops.reshape(ops.linspace(0.0, 1.0, 257), (-1, 1))
        beta = ops.convert_to_numpy(self._beta(t))
        if not np.isfinite(beta).all() or beta.min() < 0.0:
            raise ValueError(
                "Expected a function that gives a finite `beta` >= 0 on [0, 1]. "
                f"Received: beta from {beta.min():.3g} to {beta.max():.3g}."
            )
        nodes, weights = np.polynomial.legendre.leggauss(16)
        coarse = self._integral(t, 0.5 * (nodes + 1.0), 0.5 * weights)
        fine = self._integral(t, _NODES, _WEIGHTS)
        apart = ops.convert_to_numpy(ops.abs(coarse - fine) / (1.0 + fine)).max()
        if not apart < _TOLERANCE:
            raise ValueError(
                "Expected a `beta` that can be integrated: smooth, without poles and jumps. "
                f"Received: one whose integral is known to {apart:.1%}. Give gamma instead."
            )

    def unbuilt(self) -> "Function":
        """As `ComponentSchedule.unbuilt`, also of a function that is not registered."""
        return Function(self.function, self.coordinate_names, self.gives, self.gamma_min)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "function": keras.saving.serialize_keras_object(self.function),
            "coordinates": self.coordinate_names,
            "gives": self.gives,
            "gamma_min": self.gamma_min,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Function":
        """Finds the function again by its registered name."""
        function = keras.saving.deserialize_keras_object(config["function"])
        return cls(**(config | {"function": function}))
