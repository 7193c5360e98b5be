"""Priors whose scale is constant, measured, or given."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_gud.core.arguments import as_floats, check_positive
from keras_gud.core.registry import PACKAGE, require_coordinate
from keras_gud.core.types import ArrayLike, Coordinates
from keras_gud.priors.prior import Prior, registry


@registry.register("isotropic")
@keras.saving.register_keras_serializable(package=PACKAGE)
class Isotropic(Prior):
    """White noise: S_i = scale for all components ("unwhitened" in the paper).

    Args:
        scale: The standard deviation of the prior, > 0, in units of the scaled data. `None`: the
            root mean square of the components' standard deviations, one number, so that the units
            of the data do not matter.
        floor: See `Prior`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> import numpy as np
    >>> prior = Isotropic()
    >>> prior.adapt(mean=np.zeros(2), variance=np.array([1.0, 0.25]))
    >>> [float(v) for v in prior.variance]
    [1.0, 0.25]
    """

    def __init__(self, scale: float | None = 1.0, floor: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(floor, **kwargs)
        self.constant = None if scale is None else check_positive("scale", scale)

    def make_scale(self, data_variance: np.ndarray, coordinates: Coordinates) -> np.ndarray:
        """One number, given or measured."""
        measured = np.sqrt(np.mean(data_variance))
        return np.full_like(data_variance, measured if self.constant is None else self.constant)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"scale": self.constant}


@registry.register("matching")
@keras.saving.register_keras_serializable(package=PACKAGE)
class Matching(Prior):
    """Whitening: S_i is the standard deviation of component i (paper sec. 4.4).

    Every Sigma_i is 1, unless variances are averaged. (A component below the floor is scaled by the
    floor's standard deviation, and its Sigma_i is reported as 1 all the same.)

    Args:
        over: A coordinate of the basis or several: variances are averaged over components that
            share their values, e.g. ``"frequency"`` for the power spectrum (paper app. E), or
            ``("band", "orientation", "channel")`` for the sub-bands of wavelets.
        floor: See `Prior`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for an `over` that is not a name, tuple or list; when adapted, for coordinates
            that the basis does not have.

    Example:

    >>> import numpy as np
    >>> prior = Matching()
    >>> prior.adapt(mean=np.zeros(2), variance=np.array([1.0, 0.25]))
    >>> [float(v) for v in prior.variance]
    [1.0, 1.0]
    """

    def __init__(self, over: str | Sequence[str] = (), floor: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(floor, **kwargs)
        self.over = (over,) if isinstance(over, str) else over
        if not isinstance(self.over, (tuple, list)):
            raise ValueError(
                f"Expected `over` to be names of coordinates. Received: over={over!r}."
            )
        self.over = tuple(self.over)

    def make_scale(self, data_variance: np.ndarray, coordinates: Coordinates) -> np.ndarray:
        """The standard deviations."""
        if not self.over:
            return np.sqrt(data_variance)
        columns = [require_coordinate(coordinates, name, "over").ravel() for name in self.over]
        _, group = np.unique(np.round(columns, 6), axis=1, return_inverse=True)
        total = np.bincount(group.ravel(), weights=data_variance.ravel())
        mean = total / np.bincount(group.ravel())
        return np.sqrt(mean[group].reshape(data_variance.shape))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"over": self.over}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Scaled(Prior):
    """Any positive scale per component: a power law, a free field, offset noise.

    Args:
        scale: S, array that broadcasts to `data_shape`, positive.
        floor: See `Prior`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for a scale that is not positive and finite; when adapted, for one that does not
            broadcast to `data_shape`.

    Example:

    >>> import numpy as np
    >>> prior = Scaled(scale=[2.0, 1.0])
    >>> prior.adapt(mean=np.zeros(2), variance=np.array([4.0, 4.0]))
    >>> [float(v) for v in prior.variance]
    [1.0, 4.0]
    """

    def __init__(self, scale: ArrayLike, floor: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(floor, **kwargs)
        self.constant = as_floats(scale)
        if not (np.isfinite(self.constant).all() and (self.constant > 0.0).all()):
            raise ValueError(
                "Expected `scale` to be positive and finite in every component. "
                f"Received: scale={scale!r}."
            )

    def make_scale(self, data_variance: np.ndarray, coordinates: Coordinates) -> np.ndarray:
        """The given scale, broadcast."""
        try:
            return np.broadcast_to(self.constant, data_variance.shape)
        except ValueError:
            raise ValueError(
                f"Expected a `scale` that broadcasts to the data's shape {data_variance.shape}. "
                f"Received: scale of shape {self.constant.shape}."
            ) from None

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"scale": self.constant.tolist()}


registry.add("spectrum", lambda **kwargs: Matching(over="frequency", **kwargs))
