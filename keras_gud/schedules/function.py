"""Any gamma(t, coordinates), with dgamma/dt by forward-mode differentiation.

``gamma_i(t) = f(t, c_i)`` with c_i the coordinates of component i in its basis; dgamma/dt is a
Jacobian-vector product, `keras.ops.jvp`.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud.core.registry import PACKAGE, require_coordinate
from keras_gud.core.types import Coordinates, Shape, Tensor
from keras_gud.schedules.schedule import ComponentSchedule


class Curves(ComponentSchedule):
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
        raise NotImplementedError("A schedule of Curves implements gamma(t, **coordinates).")

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

    def path(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """The function and its derivative along t."""
        coordinates = {
            name: self.group_coordinates[i : i + 1] for i, name in enumerate(self.coordinate_names)
        }

        def gamma(t):
            # Adding 0 t makes gamma depend on t in every case: TensorFlow has no jvp otherwise.
            return self.gamma(t, **coordinates) + 0.0 * t

        return ops.jvp(gamma, (t,), (ops.ones_like(t),))


@keras.saving.register_keras_serializable(package=PACKAGE)
class Function(Curves):
    """A schedule made of a function gamma(t); its derivative comes from `keras.ops.jvp`.

    Args:
        function: ``function(t, **coordinates) -> gamma`` written in `keras.ops`; t is float32
            ``(batch, 1)``, each coordinate float32 ``(1, n)`` over the groups of components, and
            gamma broadcasts to ``(batch, n)``. It must be finite on [0, 1] and never decrease. To
            be saved with a model it must be registered with
            `keras.saving.register_keras_serializable`.
        coordinates: Names of the basis' coordinates that the function takes, e.g.
            ``("frequency",)``.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: at `adapt`, if gamma decreases or is not finite somewhere.
        TypeError: if `function` is not callable.

    Example:

    >>> import numpy as np
    >>> schedule = Function(lambda t: -7.0 + 12.0 * t**2)
    >>> schedule.adapt(variance=np.ones(2))
    >>> round(float(schedule(0.5).dgamma_dt[0, 0]), 3)
    12.0
    """

    def __init__(
        self, function: Callable[..., Tensor], coordinates: tuple[str, ...] = (), **kwargs: Any
    ) -> None:
        super().__init__(coordinates, **kwargs)
        if not callable(function):
            raise TypeError(f"Expected `function` to be callable. Received: function={function!r}.")
        self.function = function

    def gamma(self, t: Tensor, **coordinates: Any) -> Tensor:
        """The function; see `Curves.gamma`."""
        return self.function(t, **coordinates)

    def unbuilt(self) -> "Function":
        """As `ComponentSchedule.unbuilt`, also of a function that is not registered."""
        return Function(self.function, self.coordinate_names)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "function": keras.saving.serialize_keras_object(self.function),
            "coordinates": self.coordinate_names,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Function":
        """Finds the function again by its registered name."""
        function = keras.saving.deserialize_keras_object(config["function"])
        return cls(**(config | {"function": function}))
