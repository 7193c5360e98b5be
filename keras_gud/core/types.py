"""Names for the types that signatures are written in."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

# A tensor of whichever backend is active; their classes have no common base.
Tensor: TypeAlias = Any
# What `keras.ops.convert_to_tensor` takes: a tensor, a NumPy array, a (nested) sequence, a number.
TensorLike: TypeAlias = Any
Array: TypeAlias = np.ndarray
# Shape of one example or of one example's components, without the batch axis.
Shape: TypeAlias = tuple[int, ...]
# Shape of a batch as Keras passes it to `build`: None for the batch axis, then sizes.
BatchShape: TypeAlias = Sequence[Any]
# One value of a schedule's parameter, a range (low, high) of a family, or one value a sample.
Parameter: TypeAlias = float | tuple[float, float] | ArrayLike
# A part of a model: a name, a Keras config, or an instance.
Identifier: TypeAlias = Any
# (z, state, **condition) -> eps, all in component space.
DenoiserFunction: TypeAlias = Callable[..., Tensor]
# What a basis publishes of its components: name -> array of `Shape`.
Coordinates: TypeAlias = dict[str, np.ndarray]

__all__ = [
    "Array",
    "ArrayLike",
    "BatchShape",
    "Callable",
    "Coordinates",
    "DenoiserFunction",
    "Identifier",
    "Parameter",
    "Sequence",
    "Shape",
    "Tensor",
    "TensorLike",
]
