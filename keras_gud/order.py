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
        part: Which part of every batch is wanted, and of how many: ``(0, 2)`` is the first half.

    Example:

    >>> order = EpochOrder(5, 2, shuffle=True, seed=1)
    >>> len(order), order.rows(2, epoch=7).shape
    (3, (1,))
    >>> sorted(int(i) for batch in range(3) for i in order.rows(batch, epoch=7))
    [0, 1, 2, 3, 4]
    """

    def __init__(self, n: int, batch_size: int, shuffle: bool, seed: int, part=(0, 1)):
        self.n, self.batch_size, self.part = int(n), int(batch_size), part
        self.shuffle, self.seed = bool(shuffle), int(seed)
        self._order = (None, None)

    def __len__(self):
        return -(-self.n // self.batch_size)

    def rows(self, index: int, epoch: int = 0) -> np.ndarray:
        """Indices of the examples of a batch, or of its part, int64 ``(batch_size,)`` or fewer."""
        start = min(index * self.batch_size, self.n)
        size = min(self.batch_size, self.n - start)
        here, count = self.part
        start, stop = (start + k * size // count for k in (here, here + 1))
        if not self.shuffle:
            return np.arange(start, stop)
        last, order = self._order
        if last != epoch:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.n)
            self._order = (epoch, order)
        return order[start:stop]

    def sizes(self) -> set[int]:
        """The sizes of whole batches."""
        whole, rest = divmod(self.n, self.batch_size)
        return {size for size in (self.batch_size * bool(whole), rest) if size}
