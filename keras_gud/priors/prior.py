"""The contract of priors: a mean that is removed and a scale S that is divided out."""

import math

import numpy as np
from keras import ops

from keras_gud.core.arguments import check_numbers
from keras_gud.core.data_shape import Shape, validate_data_shape
from keras_gud.core.fitted_layer import FittedLayer
from keras_gud.core.registry import Registry

# Within these, a statistic and its quotient with another one stay normal numbers of float32.
_SMALLEST, _LARGEST = 1e-36, 1e36


class Prior(FittedLayer):
    """Base class: an affine map of each component, fitted to the data's mean and variance.

    A subclass implements `make_scale`.

    Args:
        floor: Components whose variance is below `floor` times the largest one are treated as if
            they had that much: a constant pixel neither divides by zero nor gets an infinite
            ordering. The default, 1e-6, changes nothing in 8-bit images, whose quantisation noise
            alone is larger.

    Attributes:
        mean: U applied to the mean of the data, ``data_shape``.
        scale: S, positive, ``data_shape``.
        data_variance: Variance of (U phi)_i over the data, floored.
        variance: Sigma_i, the variance of chi_i: `data_variance` / scale^2.

    Raises:
        ValueError: if no component varies at all, or a statistic is not finite.
    """

    def __init__(self, floor: float = 1e-6, **kwargs):
        super().__init__(**kwargs)
        check_numbers(floor=floor)
        if not 0.0 < floor < 1.0:
            raise ValueError(f"Expected `floor` in (0, 1). Received: floor={floor}.")
        self.floor = float(floor)
        self.data_shape: Shape | None = None

    def make_scale(self, data_variance: np.ndarray, coordinates: dict) -> np.ndarray:
        """S_i, `data_shape`, from the (floored) variances and the coordinates of the components."""
        raise NotImplementedError("A Prior implements make_scale(data_variance, coordinates).")

    def build(self, input_shape):
        """Creates the statistics for components of shape ``(batch, *data_shape)``."""
        self.data_shape = validate_data_shape(input_shape[1:])
        self.mean = self.add_statistic("mean", self.data_shape)
        self.scale = self.add_statistic("scale", self.data_shape, "ones")
        self.data_variance = self.add_statistic("data_variance", self.data_shape, "ones")

    def adapt(self, mean, variance, coordinates: dict | None = None):
        """Fits the prior.

        Args:
            mean: Mean of the components (U phi)_i over the data, array of `data_shape`.
            variance: Their variance, >= 0, same shape.
            coordinates: The coordinates of the basis, for priors that depend on them.
        """
        mean, variance = np.asarray(mean, "float64"), np.asarray(variance, "float64")
        if not (np.isfinite(mean).all() and np.isfinite(variance).all()):
            raise ValueError("Expected finite statistics of the data. Received: NaN or inf.")
        if variance.max() <= 0.0:
            raise ValueError(
                "Expected data that vary. Received: data in which every example is the same "
                f"(all {variance.size} components have variance 0)."
            )
        variance = np.maximum(variance, self.floor * variance.max())
        scale = np.asarray(self.make_scale(variance, coordinates or {}), "float64")
        if scale.shape != variance.shape or not (np.isfinite(scale).all() and scale.min() > 0.0):
            raise ValueError(
                f"Expected a positive finite scale of shape {variance.shape}. "
                f"Received: shape {scale.shape}, minimum {scale.min():g}."
            )
        _check_range(mean, variance, scale)
        if not self.built:
            self.build((None, *variance.shape))
            self.built = True
        self.mean.assign(mean)
        self.scale.assign(scale)
        self.data_variance.assign(variance)

    @property
    def variance(self):
        """Sigma_i, variance of chi_i over the data, ``data_shape``; 1 for a matching prior."""
        # Divided twice: the square of a scale that float32 holds may be beyond it.
        return self.data_variance / self.scale / self.scale

    def call(self, components):
        """Chi = (components - mean)/S, shape ``(batch, *data_shape)``."""
        return (components - self.mean) / self.scale

    def inverse(self, z0):
        """Components = S z0 + mean."""
        return z0 * self.scale + self.mean

    def log_det(self):
        """log|d z0/d phi| = -sum_i log S_i, a scalar in nats (U contributes 0)."""
        return -ops.sum(ops.log(self.scale))

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {"floor": self.floor}

    def get_build_config(self):
        """The shape, so that a saved prior is built again on loading."""
        return None if self.data_shape is None else {"input_shape": [None, *self.data_shape]}


def _check_range(mean, variance, scale):
    """Raises a `ValueError` for statistics that float32 cannot hold."""
    kinds = {"mean": mean, "variance": variance, "scale": scale, "ratio": variance / scale**2}
    for name, value in kinds.items():
        size = np.abs(value)
        least = 0.0 if name == "mean" else _SMALLEST
        if size.max() > _LARGEST or size.min() < least:
            raise ValueError(
                f"Expected data whose statistics are within the range of float32, about 1e-36 to "
                f"1e36. Received: components with a {name} from {size.min():.3g} to "
                f"{size.max():.3g}. Rescale the data, e.g. to a variance of 1."
            )


def positive(scale: float) -> float:
    """The standard deviation `scale`, or a `ValueError`."""
    check_numbers(scale=scale)
    if not (scale > 0.0 and math.isfinite(scale)):
        raise ValueError(f"Expected a finite `scale` > 0. Received: scale={scale}.")
    return float(scale)


registry = Registry("prior", Prior)
