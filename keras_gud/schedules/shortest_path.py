"""The shortest path between two Gaussians, of data and of noise (Das et al., 2023).

With S the power of a frequency::

    gamma(t) = log[(S - S^(1-t))/(S^(1-t) - 1)]

"""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud.core.arguments import check_positive
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import Coordinates, Tensor
from keras_gud.schedules.frequencies import FrequencySchedule
from keras_gud.schedules.schedule import registry


@registry.register("shortest")
@keras.saving.register_keras_serializable(package=PACKAGE)
class ShortestPath(FrequencySchedule):
    """Shortest Path Diffusion (Das et al., 2023): the shortest path between two Gaussians.

    With data of power spectrum Sigma(k), the covariance is ``Sigma^(1 - t)`` on the way to white
    noise: ``gamma_i = log[(Sigma - Sigma^(1-t))/(Sigma^(1-t) - 1)]``, in the fourier basis.

    Args:
        amplitude: `None` measures Sigma, the mean variance of the components of a frequency in
            units of the prior's. Or the amplitude, > 0, of ``Sigma = amplitude/(corner + |k|)^2``;
            the paper's fit to CIFAR-10 is 1.59.
        corner: Frequency, > 0, in cycles per sample, below which that spectrum is flat.
        gamma_min: Gamma is clipped from below here (it is -inf at t = 0).
        gamma_max: Gamma is clipped from above here (it is inf at t = 1).
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for amplitude or corner <= 0.

    Example:

    >>> import numpy as np
    >>> schedule = ShortestPath(amplitude=1.59)
    >>> schedule.adapt(variance=np.ones(2), coordinates={"frequency": np.array([0.0, 0.5])})
    >>> [round(float(g), 2) for g in schedule(0.5).gamma[0]]
    [4.99, 0.91]
    """

    def __init__(
        self,
        amplitude: float | None = None,
        corner: float = 0.0086,
        gamma_min: float = -10.0,
        gamma_max: float = 10.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(gamma_min, gamma_max, **kwargs)
        self.amplitude = None if amplitude is None else check_positive("amplitude", amplitude)
        self.corner = check_positive("corner", corner)

    def create_weights(self) -> None:
        """The coordinates of each group, and its power."""
        super().create_weights()
        self.log_power = self.add_statistic("log_power", (1, self.n_groups))

    def fit_statistics(
        self, variance: np.ndarray, data_variance: np.ndarray, coordinates: Coordinates
    ) -> None:
        """Measures the spectrum, or takes the given one."""
        super().fit_statistics(variance, data_variance, coordinates)
        if self.amplitude is None:
            groups = self.make_groups(variance.shape, coordinates).ravel()
            power = np.bincount(groups, weights=variance.ravel()) / np.bincount(groups)
        else:
            frequency = ops.convert_to_numpy(self.group_coordinates)[0].astype("float64")
            power = self.amplitude / (self.corner + frequency) ** 2
        self.log_power.assign(np.log(power)[None])

    def gamma(self, t: Tensor, frequency: Tensor) -> Tensor:
        """The curve; see `CoordinateSchedule.gamma`."""
        log_power = ops.convert_to_tensor(self.log_power)
        # A white component (log Sigma = 0) follows the limit of the formula, log t/(1 - t).
        small = ops.abs(log_power) < 1e-3
        log_power = ops.where(small, 1e-3, log_power)
        t = ops.clip(t, 1e-6, 1.0 - 1e-6)
        ratio = -ops.expm1(-t * log_power) / ops.expm1((1.0 - t) * log_power)
        return log_power + ops.log(ratio)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"amplitude": self.amplitude, "corner": self.corner}
