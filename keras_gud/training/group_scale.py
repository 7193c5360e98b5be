"""A measured scale for each of several groups of channels, as of several latents of one example."""

import dataclasses

import numpy as np

from keras_gud.core.streaming_moments import varies
from keras_gud.core.types import Array


@dataclasses.dataclass(frozen=True)
class GroupScale:
    """A `data_scale` that is measured: one for each group of channels, or columns.

    Args:
        sizes: Number of channels of each group, in their order.
        names: What messages call the groups.
    """

    sizes: tuple[int, ...]
    names: tuple[str, ...]

    def measured(self, mean: Array, variance: Array) -> tuple[Array, Array]:
        """Centre and scale of each channel, from the moments of its values.

        Args:
            mean: Of all values, ``(..., channels)``.
            variance: Likewise.

        Raises:
            ValueError: for a group that does not vary.

        Example:

        >>> mean, variance = np.array([[5.0, 0.0, 2.0]]), np.array([[4.0, 1.0, 1.0]])
        >>> centre, scale = GroupScale((1, 2), ("a", "b")).measured(mean, variance)
        >>> centre.tolist(), scale.tolist()
        ([5.0, 1.0, 1.0], [2.0, 1.0, 1.0])
        """
        ends = np.cumsum(self.sizes)[:-1]
        parts = (np.split(values, ends, axis=-1) for values in (mean, variance))
        found = []
        for name, size, centre, spread in zip(self.names, self.sizes, *parts, strict=True):
            if not varies(centre, spread).any():
                raise ValueError(
                    f"Expected latents that vary. Received: {name} returns the same for all data."
                )
            found += [(centre.mean(), np.sqrt(spread.mean()))] * size
        centres, scales = np.transpose(found)
        return centres, scales
