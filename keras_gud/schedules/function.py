"""Any gamma(t, labels), with dgamma/dt by forward-mode differentiation."""

import keras
import numpy as np
from keras import ops

from keras_gud.core.registry import PACKAGE, require_label
from keras_gud.schedules.schedule import ComponentSchedule


class Curves(ComponentSchedule):
    """Base class of schedules whose gamma is a function of time and of labels of the basis.

    A subclass implements `gamma`; dgamma/dt comes from `keras.ops.jvp`.

    Args:
        labels: Names of the basis' labels that gamma depends on.
    """

    def __init__(self, labels: tuple[str, ...] = (), **kwargs):
        super().__init__(**kwargs)
        self.label_names = tuple(labels)

    def gamma(self, t, **labels):
        """Gamma at times t, float32 ``(batch, 1)``, for labels ``(1, n)``; broadcasts to both."""
        raise NotImplementedError("A schedule of Curves implements gamma(t, **labels).")

    def make_groups(self, data_shape, labels):
        """One group per combination of the labels' values; a single one without labels."""
        if not self.label_names:
            return super().make_groups(data_shape, labels)
        columns = [require_label(labels, name, "labels").ravel() for name in self.label_names]
        rows = np.round(np.stack(columns, axis=1), 6)
        return np.unique(rows, axis=0, return_inverse=True)[1].reshape(data_shape)

    def create_weights(self):
        """The labels of each group."""
        shape = (len(self.label_names), self.n_groups)
        self.group_labels = self.add_statistic("group_labels", shape)

    def fit_statistics(self, variance, data_variance, labels):
        """Reads the labels of the first component of every group."""
        groups = self.make_groups(variance.shape, labels).ravel()
        _, first = np.unique(groups, return_index=True)
        rows = [np.ravel(labels[name])[first] for name in self.label_names]
        self.group_labels.assign(np.reshape(rows, (len(rows), self.n_groups)))

    def path(self, t):
        """The function and its derivative along t."""
        labels = {name: self.group_labels[i : i + 1] for i, name in enumerate(self.label_names)}

        def gamma(t):
            # Adding 0 t makes gamma depend on t in every case: TensorFlow has no jvp otherwise.
            return self.gamma(t, **labels) + 0.0 * t

        return ops.jvp(gamma, (t,), (ops.ones_like(t),))


@keras.saving.register_keras_serializable(package=PACKAGE)
class Function(Curves):
    """A schedule made of a function gamma(t); its derivative comes from `keras.ops.jvp`.

    Args:
        function: ``function(t, **labels) -> gamma`` written in `keras.ops`; t is float32
            ``(batch, 1)``, each label float32 ``(1, n)`` over the components, and gamma broadcasts
            to ``(batch, n)``. It must be finite on [0, 1] and never decrease. To be saved with a
            model it must be registered with `keras.saving.register_keras_serializable`.
        labels: Names of the basis' labels that the function asks for, e.g. ``("frequency",)``.

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

    def __init__(self, function, labels: tuple[str, ...] = (), **kwargs):
        super().__init__(labels, **kwargs)
        if not callable(function):
            raise TypeError(f"Expected `function` to be callable. Received: function={function!r}.")
        self.function = function

    def gamma(self, t, **labels):
        """The function."""
        return self.function(t, **labels)

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {
            "function": keras.saving.serialize_keras_object(self.function),
            "labels": self.label_names,
        }

    @classmethod
    def from_config(cls, config):
        """Finds the function again by its registered name."""
        function = keras.saving.deserialize_keras_object(config["function"])
        return cls(**(config | {"function": function}))
