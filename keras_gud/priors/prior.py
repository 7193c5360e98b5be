"""The base class of priors: a mean that is subtracted and a scale S that is divided out."""

from typing import Any

import numpy as np
from keras import ops

from keras_gud.core.arguments import check_numbers
from keras_gud.core.data_shape import validate_data_shape
from keras_gud.core.fitted_layer import FittedLayer
from keras_gud.core.registry import Registry
from keras_gud.core.types import ArrayLike, BatchShape, Coordinates, Shape, Tensor, TensorLike

# Between these, a statistic and the ratio of two of them are normal numbers of float32.
_SMALLEST, _LARGEST = 1e-36, 1e36


class Prior(FittedLayer):
    """Base class of priors: ``z0 = S^-1 (U x - U mean)``, fitted to the data's mean and variance.

    A subclass implements `make_scale`.

    Args:
        floor: In (0, 1). Components whose variance is below `floor` times the largest one are
            treated as if they had that much: a constant pixel neither divides by zero nor gets an
            infinite ordering. The default, 1e-6, changes nothing in 8-bit images, whose
            quantisation noise alone is larger.
        **kwargs: Arguments of `keras.layers.Layer`.

    Attributes:
        mean: U applied to the mean of the data, shape `data_shape`.
        scale: S, positive, shape `data_shape`.
        data_variance: Variance of (U x)_i over the data, floored, shape `data_shape`.
        variance: Sigma_i, the variance of z0_i: ``data_variance / scale^2``.

    Raises:
        ValueError: for a floor outside (0, 1); when adapted, if no component varies at all, or a
            statistic is not finite or beyond the range of float32.

    Example:

    A prior of one's own:

    >>> class MeanDeviation(Prior):
    ...     def make_scale(self, data_variance, coordinates):
    ...         return np.full_like(data_variance, np.sqrt(data_variance).mean())
    >>> prior = MeanDeviation()
    >>> prior.adapt(mean=np.zeros(2), variance=np.array([1.0, 9.0]))
    >>> [float(s) for s in prior.scale.numpy()]
    [2.0, 2.0]
    """

    data_shape: Shape

    def __init__(self, floor: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_numbers(floor=floor)
        if not 0.0 < floor < 1.0:
            raise ValueError(f"Expected `floor` in (0, 1). Received: floor={floor}.")
        self.floor = float(floor)
        self.data_shape = None  # type: ignore[assignment]  # until it is built

    def make_scale(self, data_variance: np.ndarray, coordinates: Coordinates) -> np.ndarray:
        """The scale S, positive.

        Args:
            data_variance: Floored variances of the components, float64 of `data_shape`.
            coordinates: The coordinates of the components.

        Returns:
            Array of `data_shape`.
        """
        raise NotImplementedError("A Prior implements make_scale(data_variance, coordinates).")

    def build(self, input_shape: BatchShape) -> None:
        """Creates the statistics for components of shape ``(batch, *data_shape)``."""
        self.data_shape = validate_data_shape(input_shape[1:])
        self.mean = self.add_statistic("mean", self.data_shape)
        self.scale = self.add_statistic("scale", self.data_shape, "ones")
        self.data_variance = self.add_statistic("data_variance", self.data_shape, "ones")

    def adapt(
        self, mean: ArrayLike, variance: ArrayLike, coordinates: Coordinates | None = None
    ) -> None:
        """Fits the prior, and builds it if it is not built.

        Args:
            mean: Mean of the components (U x)_i over the data, array of `data_shape`.
            variance: Their variance, >= 0, same shape.
            coordinates: The coordinates of the basis, for priors that depend on them.

        Raises:
            ValueError: if no component varies at all, a statistic is not finite or beyond the range
                of float32, or the basis does not have a coordinate that the prior needs.
        """
        mean, variance = np.asarray(mean, "float64"), np.asarray(variance, "float64")
        if not (np.isfinite(mean).all() and np.isfinite(variance).all()):
            raise ValueError("Expected finite statistics of the data. Received: NaN or inf.")
        if variance.max() <= 0.0:
            raise ValueError(
                "Expected data that vary. Received: data in which every example is the same "
                f"(all {variance.size} components have variance 0)."
            )
        floored = np.maximum(variance, self.floor * variance.max())
        scale = np.asarray(self.make_scale(floored, coordinates or {}), "float64")
        if scale.shape != floored.shape or not (np.isfinite(scale).all() and scale.min() > 0.0):
            raise ValueError(
                f"Expected a positive finite scale of shape {floored.shape}. "
                f"Received: shape {scale.shape}, minimum {scale.min():g}."
            )
        _check_range(mean, floored, scale)
        if not self.built:
            self.build((None, *floored.shape))
            self.built = True
        self.mean.assign(mean)
        self.scale.assign(scale)
        self.data_variance.assign(floored)

    @property
    def variance(self) -> Tensor:
        """Sigma_i, the variance of z0_i over the data, ``data_shape``; 1 for a matching prior."""
        # Divided twice: the square of the scale may overflow or underflow float32.
        return self.data_variance / self.scale / self.scale

    def call(self, components: TensorLike) -> Tensor:
        """``z0 = (components - mean)/S``, shape ``(batch, *data_shape)``."""
        return (components - self.mean) / self.scale

    def inverse(self, z0: TensorLike) -> Tensor:
        """``components = S z0 + mean``, shape ``(batch, *data_shape)``."""
        return z0 * self.scale + self.mean

    def log_det(self) -> Tensor:
        """``log|d z0/d x| = -sum_i log S_i``, a scalar in nats (U contributes 0)."""
        return -ops.sum(ops.log(self.scale))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"floor": self.floor}

    def get_build_config(self) -> dict[str, Any] | None:
        """The shape, so that loading builds a saved prior before it loads the statistics."""
        return None if self.data_shape is None else {"input_shape": [None, *self.data_shape]}


def _check_range(mean: np.ndarray, variance: np.ndarray, scale: np.ndarray) -> None:
    """Raises a `ValueError` for statistics beyond the range of float32."""
    statistics = {"mean": mean, "variance": variance, "scale": scale}
    statistics["variance/scale^2"] = variance / scale**2
    for name, value in statistics.items():
        size = np.abs(value)
        least = 0.0 if name == "mean" else _SMALLEST
        if size.max() > _LARGEST or size.min() < least:
            raise ValueError(
                f"Expected data whose statistics are within the range of float32, about 1e-36 to "
                f"1e36. Received: components with a {name} from {size.min():.3g} to "
                f"{size.max():.3g}. Rescale the data, e.g. to a variance of 1."
            )


registry = Registry("prior", Prior)
