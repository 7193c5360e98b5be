"""The order of examples, a function of the seed and the epoch alone."""

import numpy as np


class EpochOrder:
    """Which examples are in which batch of an epoch.

    A run that was stopped and started again sees the same batches as one that was not, as long as
    it says which epoch it is in.

    Args:
        n: Number of examples.
        batch_size: Examples per batch; the last batch may be smaller.
        shuffle: Whether to shuffle, anew in every epoch.
        seed: Seed of the order.

    Example:

    >>> order = EpochOrder(5, 2, shuffle=True, seed=1)
    >>> len(order), order.rows(2, epoch=7).shape
    (3, (1,))
    >>> sorted(int(i) for batch in range(3) for i in order.rows(batch, epoch=7))
    [0, 1, 2, 3, 4]
    """

    def __init__(self, n: int, batch_size: int, shuffle: bool, seed: int):
        self.n, self.batch_size = int(n), int(batch_size)
        self.shuffle, self.seed = bool(shuffle), int(seed)
        self._order = (None, None)

    def __len__(self):
        return -(-self.n // self.batch_size)

    def rows(self, index: int, epoch: int = 0) -> np.ndarray:
        """Indices of the examples of a batch, int64 ``(batch_size,)`` or fewer."""
        start, stop = index * self.batch_size, (index + 1) * self.batch_size
        if not self.shuffle:
            return np.arange(min(start, self.n), min(stop, self.n))
        last, order = self._order
        if last != epoch:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.n)
            self._order = (epoch, order)
        return order[start:stop]
