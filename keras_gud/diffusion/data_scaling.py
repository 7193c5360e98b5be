"""Between raw data x, the model's floats phi and clean components z0, with the density's change.

    floats        phi = (x - centre)/scale
    on a grid     phi = (x + step (u - 1/2) - centre)/scale, u uniform in [0, 1)
    components    z0 = S^-1 U (phi - mean)
    z(0)          alpha(0) z0, the state at t = 0 without its noise
    density       log p(x) = log p(z(0)) + sum_i log alpha_i(0) - sum_i log S_i - sum_i log scale_i

Integers are on a grid of step 1, and log p(x) is then a bound of the log of their probability: the
dequantisation u itself contributes 0 (DESIGN sec. 3.8). For floats on a grid it is the density in
their own units, that is the same less log step for each value. The orthogonal U contributes nothing
where the scale is one number; a scale for each column of a table is a change of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from keras_gud.core.types import Array, Tensor

# Types that every backend has, and float32 holds exactly.
_IN_GRAPHS = ("bool", "uint8", "int8", "int16", "uint16")


@dataclass(frozen=True, eq=False)
class DataScaling:
    """How raw data become the model's floats, and back.

    Whatever is not given is that of the type: integers fill [-1, 1), ``(x + u)/128 - 1`` for 8-bit
    images as in the paper, floats are taken as they are.

    Args:
        kind: Type of the data: ``"float"``, or the name of an integer type.
        centre: The raw value at phi = 0, with u at its mean 1/2. A number, or an array that
            broadcasts to the data's shape, like all that follow.
        scale: Raw units in one unit of phi, > 0.
        step: Distance of neighbouring raw values, 0 where they are continuous.
        low: The smallest raw value.
        high: The largest one.

    Example:

    >>> scaling = DataScaling("uint8")
    >>> scaling.expected(np.array([0, 255], "uint8")).tolist()
    [-0.99609375, 0.99609375]
    >>> DataScaling("float", centre=20.0, scale=4.0).expected(np.array([12.0])).tolist()
    [-2.0]
    """

    kind: str
    centre: Any = None
    scale: Any = None
    step: Any = None
    low: Any = None
    high: Any = None

    @classmethod
    def as_they_are(cls, kind: str, data_scale: str) -> "DataScaling":
        """That of the type alone, without measuring anything.

        Args:
            kind: Type of the data.
            data_scale: ``"none"``: numbers as they are; or ``"range"``, see `GUDModel`.
        """
        if data_scale == "range":
            return cls(kind)
        return cls(kind, centre=0.0, scale=1.0, step=float(kind != "float"))

    def __post_init__(self) -> None:
        for name, default in _of_type(self.kind).items():
            given = getattr(self, name)
            value = np.asarray(default if given is None else given, "float64")
            # `None` within a list of bounds: there is none.
            unbounded = {"low": -np.inf, "high": np.inf}.get(name, np.nan)
            object.__setattr__(self, name, np.where(np.isnan(value), unbounded, value))

    @property
    def dequantises(self) -> bool:
        """Whether any value is on a grid."""
        return bool((self.step > 0.0).any())

    @property
    def uniform(self) -> bool:
        """Whether all values have one scale."""
        return bool((self.scale == self.scale.flat[0]).all())

    @property
    def dequantisation_variance(self) -> Array:
        """The variance that u adds to phi, a number or an array like `scale`."""
        return (self.step / self.scale) ** 2 / 12.0

    def to_phi(self, x: Tensor, dequantise: Callable[[], Any]) -> Tensor:
        """Raw data to phi, float32 of the same shape.

        Args:
            x: Raw data, a tensor.
            dequantise: Function that returns u, of x's shape; called for data on a grid only.
        """
        x = (ops.cast(x, "float32") - _constant(self.centre)) / _constant(self.scale)
        if self.dequantises:
            x = x + _constant(self.step / self.scale) * (dequantise() - 0.5)
        return x

    def expected(self, x: Array) -> Array:
        """Raw data to phi with u at its mean 1/2, float32 NumPy of the same shape."""
        x = x.astype("float32") if x.dtype.itemsize <= 2 else x
        return ((x - _like(self.centre, x)) / _like(self.scale, x)).astype("float32")

    def to_raw(self, phi: Array) -> Array:
        """Phi to raw values, neither rounded nor clipped."""
        return _like(self.scale, phi) * phi + _like(self.centre, phi)

    def rounded(self, raw: Array) -> Array:
        """Raw values as the data have them: of their type, on their grid, within their bounds."""
        if not (self.dequantises or np.isfinite(self.low).any()):
            return raw
        result = self._on_grid(raw, np, np.asarray)
        return result.astype("float32" if self.kind == "float" else self.kind)

    def from_phi(self, phi: Tensor) -> Tensor:
        """`to_raw` and `rounded` of a tensor, in a graph; integers of over 16 bits stay floats."""
        raw = _constant(self.scale) * phi + _constant(self.centre)
        if not (self.dequantises or np.isfinite(self.low).any()):
            return raw
        result = self._on_grid(raw, ops, _finite_constant)
        return ops.cast(result, self.kind) if self.kind in _IN_GRAPHS else result

    def _on_grid(self, raw: Any, xp: Any, constant: Callable[[Array], Any]) -> Any:
        """Raw values on their grid and within their bounds.

        Args:
            raw: An array or a tensor.
            xp: `numpy` or `keras.ops`, which computes with it.
            constant: Makes a constant of `xp` of an array.
        """
        step = constant(np.where(self.step > 0.0, self.step, 1.0))
        origin = constant(np.where(np.isfinite(self.low), self.low, 0.0))
        on_grid = origin + step * xp.floor((raw - origin) / step + 0.5)
        result = xp.where(constant(self.step) > 0.0, on_grid, raw)
        return xp.minimum(xp.maximum(result, constant(self.low)), constant(self.high))

    def get_config(self) -> dict[str, Any]:
        """The arguments, in numbers and lists."""
        numbers = {name: getattr(self, name) for name in _of_type(self.kind)}
        return {"kind": self.kind} | {name: _as_json(value) for name, value in numbers.items()}


def _of_type(kind: str) -> dict[str, float]:
    """What is known of data by their type alone."""
    if kind == "float":
        return {"centre": 0.0, "scale": 1.0, "step": 0.0, "low": -np.inf, "high": np.inf}
    low, high = (0, 1) if kind == "bool" else (np.iinfo(kind).min, np.iinfo(kind).max)
    # In Python's integers: 64-bit bounds are beyond those of NumPy.
    size = int(high) - int(low) + 1
    return {"centre": low + (size - 1) / 2, "scale": size / 2, "step": 1, "low": low, "high": high}


def _as_json(value: Array) -> Any:
    """Numbers and lists, `None` for what is infinite."""
    plain: np.ndarray = value.astype(object)
    plain[~np.isfinite(value)] = None
    return plain.tolist()


def _constant(value: Array) -> Tensor:
    return ops.convert_to_tensor(value, "float32")


def _finite_constant(value: Array) -> Tensor:
    largest = float(np.finfo("float32").max)
    return _constant(np.clip(value, -largest, largest))


def _like(value: Array, x: Array) -> Any:
    """A constant of the same precision as x; float32 arrays stay what they are."""
    return value.astype(x.dtype) if x.dtype.kind == "f" else value


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
        scaling: The data's scaling. Where columns have scales of their own and only some components
            are counted, component i has the scale of column i.
        counted: 1 for the components that the density is of, else 0; of `data_shape`, or
            ``(batch, *data_shape)``.
        xp: `numpy`, for float64, or `keras.ops`, within a compiled function.

    Returns:
        Scalars, or arrays ``(batch,)``: ``"log_alpha"``, ``"log_scale"``, ``"data_scaling"``.

    Example:

    >>> ones = np.ones((2,))
    >>> terms = log_density_terms(ones, 2.0 * ones, DataScaling("float"), ones, np)
    >>> round(float(sum(terms.values())), 4)
    -1.3863
    """
    of_data = np.log(scaling.scale)
    axes = tuple(range(-len(scale.shape), 0))
    return {
        "log_alpha": xp.sum(counted * xp.log(alpha), axis=axes),
        "log_scale": -xp.sum(counted * xp.log(scale), axis=axes),
        "data_scaling": -xp.sum(counted * (of_data if xp is np else _constant(of_data)), axis=axes),
    }
