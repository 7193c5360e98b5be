"""Between raw data x, the model's floats phi and clean components z0, with the density's change.

    8-bit data    phi = (x + u)/128 - 1, u uniform in [0, 1): [0, 256) becomes [-1, 1)
    floats        phi = x
    components    z0 = S^-1 U (phi - mean)
    z(0)          alpha(0) z0, the state at t = 0 without its noise
    density       log p(x) = log p(z(0)) + sum_i log alpha_i(0) - sum_i log S_i - d log 128

The dequantisation u itself contributes 0 (DESIGN sec. 3.8). The last term is there for 8-bit data
only, and the orthogonal U contributes nothing.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from keras_gud.core.types import Array, Tensor

LEVELS = 128.0


@dataclass(frozen=True)
class DataScaling:
    """How raw data of one kind become floats, and back.

    Args:
        kind: ``"uint8"`` or ``"float"``.

    Example:

    >>> scaling = DataScaling("uint8")
    >>> scaling.expected(np.array([0, 255], "uint8")).tolist()
    [-0.99609375, 0.99609375]
    """

    kind: str

    @property
    def levels(self) -> float:
        """Raw units in one unit of phi."""
        return LEVELS if self.kind == "uint8" else 1.0

    @property
    def offset(self) -> float:
        """The raw value at phi = 0, with u at its mean 1/2."""
        return LEVELS - 0.5 if self.kind == "uint8" else 0.0

    @property
    def dequantisation_variance(self) -> float:
        """The variance that u adds to every component of an orthogonal basis."""
        return 1.0 / (12.0 * LEVELS**2) if self.kind == "uint8" else 0.0

    def to_phi(self, x: Tensor, dequantise: Callable[[], Any]) -> Tensor:
        """Raw data to phi, float32 of the same shape.

        Args:
            x: Raw data, a tensor.
            dequantise: Function that returns u, of x's shape; called for 8-bit data only.
        """
        x = ops.cast(x, "float32")
        return (x + dequantise()) / LEVELS - 1.0 if self.kind == "uint8" else x

    def expected(self, x: Array) -> Array:
        """Raw data to phi with u at its mean 1/2, float32 NumPy of the same shape."""
        return (x.astype("float32") - self.offset) / self.levels

    def to_raw(self, phi: Array) -> Array:
        """Phi to raw values, neither rounded nor clipped."""
        return self.levels * phi + self.offset

    def rounded(self, raw: Array) -> Array:
        """Raw values in the data's own type: uint8 for 8-bit data, else as they are."""
        if self.kind != "uint8":
            return raw
        return np.clip(np.floor(raw + 0.5), 0, 255).astype("uint8")


def components_to_raw(
    z0: Tensor, basis: Any, prior: Any, scaling: DataScaling, batch_size: int = 256
) -> Array:
    """Clean components to raw values, neither rounded nor clipped: float32 of the same shape.

    Args:
        z0: Components ``(n, *data_shape)``.
        basis: The `Basis` that they are of.
        prior: Its `Prior`.
        scaling: The data's scaling.
        batch_size: Examples transformed at a time.
    """
    phi = [
        ops.convert_to_numpy(basis.inverse(prior.inverse(z0[i : i + batch_size])))
        for i in range(0, len(z0), batch_size)
    ]
    return scaling.to_raw(np.concatenate(phi))


def log_density_terms(
    alpha: Any, scale: Any, scaling: DataScaling, counted: Any, xp: Any
) -> dict[str, Any]:
    """What is added to log p(z(0)) to make it log p(x): the same for all examples, in nats.

    Args:
        alpha: alpha_i(0), broadcastable to `data_shape`.
        scale: S, of `data_shape`.
        scaling: The data's scaling.
        counted: 1 for the components that the density is of, else 0; of `data_shape`.
        xp: `numpy`, for float64, or `keras.ops`, within a compiled function.

    Returns:
        Scalars: ``"log_alpha"``, ``"log_scale"``, ``"data_scaling"``.

    Example:

    >>> ones = np.ones((2,))
    >>> terms = log_density_terms(ones, 2.0 * ones, DataScaling("float"), ones, np)
    >>> round(float(sum(terms.values())), 4)
    -1.3863
    """
    return {
        "log_alpha": xp.sum(counted * xp.log(alpha)),
        "log_scale": -xp.sum(counted * xp.log(scale)),
        "data_scaling": -xp.sum(counted) * math.log(scaling.levels),
    }
