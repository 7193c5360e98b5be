"""Positions on a circle as rotations of queries and keys (after Su et al. 2021, arXiv:2104.09864).

Along a periodic axis of L positions, a pair of channels of position n is turned by ``2 pi m n / L``
with an integer m. A product of a query and a key then depends on the difference of their positions
modulo L, and on nothing else: shifted data are attended to in the same way.
"""

import numpy as np
from keras import ops

from keras_gud.core.types import Array, Shape, Tensor


def turns(
    sizes: Shape, periodic: tuple[bool, ...], depth: int, others: int = 0
) -> tuple[Array, Array] | None:
    """Cosines and sines of the angles of each position; `None` without periodic axes.

    Half of the channels of a head are turned, an equal part for each axis, with frequencies from 1
    to L/2. The other half is left, for what does not depend on positions: what is appended to the
    sequence has no position, and takes part in products by that half alone.

    Args:
        sizes: Number of positions along each axis.
        periodic: For each axis whether it is periodic.
        depth: Channels of a head.
        others: How many vectors follow the positions.

    Returns:
        Two float32 arrays ``(positions + others, pairs)``; the first ``2 * pairs`` channels of a
        head are turned.

    Raises:
        ValueError: for heads of less than 4 channels for each periodic axis.

    Example:

    >>> cosine, sine = turns((8, 6), (True, False), depth=16, others=3)
    >>> cosine.shape, bool(np.allclose(cosine[:48] ** 2 + sine[:48] ** 2, 1.0))
    ((51, 4), True)
    """
    if not any(periodic):
        return None
    pairs = depth // 4 // sum(periodic)
    if pairs < 1:
        raise ValueError(
            "Expected heads of at least 4 channels for each periodic axis, for its positions. "
            f"Received: {depth} channels, {sum(periodic)} periodic axes; fewer `heads` have more."
        )
    angles = []
    for axis, size in enumerate(sizes):
        if periodic[axis]:
            highest = max(size // 2, 1)
            frequency = 1 + np.arange(pairs) * highest // max(pairs, highest)
            place = np.indices(sizes)[axis].reshape(-1, 1)
            angles.append(2 * np.pi * frequency * place / size)
    angle = np.concatenate(angles, axis=1)
    zeros = np.zeros((others, angle.shape[1]))
    cosine, sine = (np.concatenate([f(angle), zeros]) for f in (np.cos, np.sin))
    return cosine.astype("float32"), sine.astype("float32")


def rotated(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """The vectors with their first channels turned; where cosine and sine are 0, these are 0.

    Args:
        x: ``(batch, heads, N, depth)``.
        cosine: ``(N, pairs)``, from `turns`.
        sine: ``(N, pairs)``.
    """
    pairs = cosine.shape[-1]
    cosine, sine = ops.cast(cosine, x.dtype), ops.cast(sine, x.dtype)
    first, second, rest = x[..., :pairs], x[..., pairs : 2 * pairs], x[..., 2 * pairs :]
    turned = [first * cosine - second * sine, first * sine + second * cosine]
    return ops.concatenate([*turned, rest], axis=-1)
