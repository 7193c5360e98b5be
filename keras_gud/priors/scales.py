"""Priors whose scale is constant, measured, or given."""

import keras
import numpy as np

from keras_gud.core.arguments import as_floats
from keras_gud.core.registry import PACKAGE, require_coordinate
from keras_gud.priors.prior import Prior, positive, registry


@registry.register("isotropic")
@keras.saving.register_keras_serializable(package=PACKAGE)
class Isotropic(Prior):
    """White noise: S_i = scale for all components ("unwhitened" in the paper).

    Args:
        scale: The standard deviation of the prior, > 0, in the data's units. `None` measures the
            data's: the root mean square over components, one number, so that the units of the data
            do not matter.
        floor: See `Prior`.

    Example:

    >>> import numpy as np
    >>> prior = Isotropic()
    >>> prior.adapt(mean=np.zeros(2), variance=np.array([1.0, 0.25]))
    >>> [float(v) for v in prior.variance]
    [1.0, 0.25]
    """

    def __init__(self, scale: float | None = 1.0, floor: float = 1e-6, **kwargs):
        super().__init__(floor, **kwargs)
        self.constant = None if scale is None else positive(scale)

    def make_scale(self, data_variance, coordinates):
        """One number, given or measured."""
        measured = np.sqrt(np.mean(data_variance))
        return np.full_like(data_variance, measured if self.constant is None else self.constant)

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {"scale": self.constant}


@registry.register("matching")
@keras.saving.register_keras_serializable(package=PACKAGE)
class Matching(Prior):
    """Whitening: S_i is the standard deviation of component i (paper sec. 4.4).

    Every Sigma_i is 1 (but for components below the floor, which get the floor's standard
    deviation and so a Sigma_i that is still reported as 1), unless variances are averaged.

    Args:
        over: A coordinate of the basis or several: variances are averaged over components that
            share their values, e.g. ``"frequency"`` for the power spectrum (paper app. E), or
            ``("band", "orientation", "channel")`` for the sub-bands of wavelets.
        floor: See `Prior`.

    Raises:
        ValueError: when adapted, for coordinates that the basis does not have.

    Example:

    >>> import numpy as np
    >>> prior = Matching()
    >>> prior.adapt(mean=np.zeros(2), variance=np.array([1.0, 0.25]))
    >>> [float(v) for v in prior.variance]
    [1.0, 1.0]
    """

    def __init__(self, over=(), floor: float = 1e-6, **kwargs):
        super().__init__(floor, **kwargs)
        self.over = (over,) if isinstance(over, str) else over
        if not isinstance(self.over, (tuple, list)):
            raise ValueError(
                f"Expected `over` to be names of coordinates. Received: over={over!r}."
            )
        self.over = tuple(self.over)

    def make_scale(self, data_variance, coordinates):
        """The standard deviations."""
        if not self.over:
            return np.sqrt(data_variance)
        columns = [require_coordinate(coordinates, name, "over").ravel() for name in self.over]
        _, group = np.unique(np.round(columns, 6), axis=1, return_inverse=True)
        total = np.bincount(group.ravel(), weights=data_variance.ravel())
        mean = total / np.bincount(group.ravel())
        return np.sqrt(mean[group].reshape(data_variance.shape))

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {"over": self.over}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Scaled(Prior):
    """Any positive scale per component: a power law, a free field, offset noise.

    Args:
        scale: S, array that broadcasts to `data_shape`, positive.
        floor: See `Prior`.

    Example:

    >>> import numpy as np
    >>> prior = Scaled(scale=[2.0, 1.0])
    >>> prior.adapt(mean=np.zeros(2), variance=np.array([4.0, 4.0]))
    >>> [float(v) for v in prior.variance]
    [1.0, 4.0]
    """

    def __init__(self, scale, floor: float = 1e-6, **kwargs):
        super().__init__(floor, **kwargs)
        self.constant = as_floats(scale)
        if not (np.isfinite(self.constant).all() and (self.constant > 0.0).all()):
            raise ValueError(
                "Expected `scale` to be positive and finite in every component. "
                f"Received: scale={scale!r}."
            )

    def make_scale(self, data_variance, coordinates):
        """The given scale."""
        try:
            return np.broadcast_to(self.constant, data_variance.shape)
        except ValueError:
            raise ValueError(
                f"Expected a `scale` that broadcasts to the data's shape {data_variance.shape}. "
                f"Received: scale of shape {self.constant.shape}."
            ) from None

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {"scale": self.constant.tolist()}


registry.add("spectrum", lambda **kwargs: Matching(over="frequency", **kwargs))
