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


class LoaderOrder:
    """Makes the order of a torch DataLoader a function of the epoch, as far as it can be.

    Saying which `epoch` begins seeds the loader's generators from the seed that they came with and
    the epoch, and calls `set_epoch` of samplers that have one (DistributedSampler). A loader that
    shuffles without a `generator` of its own draws from torch's global one, which is left alone.

    Args:
        loader: A torch DataLoader.
    """

    def __init__(self, loader):
        batches = getattr(loader, "batch_sampler", None)
        holders = [loader, getattr(loader, "sampler", None), batches]
        holders += [getattr(batches, "sampler", None), loader.dataset]
        self._tellable = _distinct(h for h in holders if hasattr(h, "set_epoch"))
        generators = _distinct(getattr(holder, "generator", None) for holder in holders)
        generators = [g for g in generators if hasattr(g, "manual_seed")]
        self._seeded = [(g, g.initial_seed()) for g in generators]
        self._epoch: int | None = None

    @property
    def epoch(self) -> int | None:
        """The epoch that has begun; `None` before the first. Told twice, it is not begun anew."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: int):
        if epoch == self._epoch:
            return
        self._epoch = epoch
        for each in self._tellable:
            each.set_epoch(epoch)
        for generator, seed in self._seeded:
            (mixed,) = np.random.SeedSequence([seed, epoch]).generate_state(1, "uint64")
            generator.manual_seed(int(mixed >> np.uint64(1)))


def _distinct(objects) -> list:
    return list({id(each): each for each in objects if each is not None}.values())
