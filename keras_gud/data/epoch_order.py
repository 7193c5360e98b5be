"""The order of examples, a function of the seed and the epoch alone."""

import copy
from collections.abc import Iterable
from typing import Any

import numpy as np


class EpochOrder:
    """Which examples are in which batch of an epoch.

    Nothing else is remembered, so that a run that was interrupted and resumed sees the same batches
    as one that was not.

    Args:
        n: Number of examples.
        batch_size: Examples per batch, >= 1; the last batch may be smaller.
        shuffle: Whether to shuffle, anew in every epoch.
        seed: Seed of the order, >= 0.
        part: Which part of every batch to read, and the number of parts, as one of several
            processes does: ``(0, 2)`` is the first half.
        fill: Whether to fill the last batch up, where it is not the only one, with examples that
            the epoch began with; only if they are shuffled, so that these are others in every
            epoch. All batches then have one size, and a compiled step is compiled once.

    Example:

    >>> order = EpochOrder(5, 2, shuffle=True, seed=1)
    >>> len(order), order.rows(2, epoch=7).shape
    (3, (1,))
    >>> sorted(int(i) for batch in range(3) for i in order.rows(batch, epoch=7))
    [0, 1, 2, 3, 4]
    >>> filled = EpochOrder(5, 2, shuffle=True, seed=1, fill=True)
    >>> bool(filled.rows(2)[1] == filled.rows(0)[0])
    True
    """

    def __init__(
        self,
        n: int,
        batch_size: int,
        shuffle: bool,
        seed: int,
        part: tuple[int, int] = (0, 1),
        fill: bool = False,
    ) -> None:
        self.n, self.batch_size, self.part = int(n), int(batch_size), part
        self.shuffle, self.seed = bool(shuffle), int(seed)
        filled = fill and self.shuffle and self.n > self.batch_size
        self._rows = len(self) * self.batch_size if filled else self.n
        self._order: tuple[int | None, np.ndarray] = (None, np.arange(0))

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def rows(self, index: int, epoch: int = 0) -> np.ndarray:
        """Indices of the examples of this part of a batch, int64, at most ``(batch_size,)``."""
        start = min(index * self.batch_size, self._rows)
        size = min(self.batch_size, self._rows - start)
        here, count = self.part
        start, stop = (start + k * size // count for k in (here, here + 1))
        if not self.shuffle:
            return np.arange(start, stop)
        last, order = self._order
        if last != epoch:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.n)
            order = np.concatenate([order, order[: self._rows - self.n]])
            self._order = (epoch, order)
        return order[start:stop]

    def sizes(self) -> set[int]:
        """The sizes of the batches, all parts together: that of most, and that of the last."""
        n_full, last = divmod(self._rows, self.batch_size)
        return {size for size in (self.batch_size * bool(n_full), last) if size}


def filled(batches: Any) -> Any:
    """The same batches with the last one filled up, where an `EpochOrder` says what is in them.

    For training; statistics and likelihoods take every example once.

    Args:
        batches: A PyDataset, maybe with such an `order`; it stays as it is.
    """
    order = getattr(batches, "order", None)
    if not isinstance(order, EpochOrder):
        return batches
    others = copy.copy(batches)
    own = order.n, order.batch_size, order.shuffle, order.seed, order.part
    others.order = EpochOrder(*own, fill=True)
    return others


class LoaderOrder:
    """Makes the order of a torch DataLoader a function of the epoch, as far as possible.

    Setting `epoch` seeds the loader's generators from the epoch and their initial seed, and calls
    `set_epoch` of samplers that have it (DistributedSampler). A loader that shuffles without a
    `generator` of its own draws from torch's global one, which is left alone.

    Args:
        loader: A torch DataLoader.
    """

    def __init__(self, loader: Any) -> None:
        batches = getattr(loader, "batch_sampler", None)
        holders = [loader, getattr(loader, "sampler", None), batches]
        holders += [getattr(batches, "sampler", None), loader.dataset]
        self._epoch_setters = _distinct(h for h in holders if hasattr(h, "set_epoch"))
        generators = _distinct(getattr(holder, "generator", None) for holder in holders)
        generators = [g for g in generators if hasattr(g, "manual_seed")]
        self._seeded = [(g, g.initial_seed()) for g in generators]
        self._epoch: int | None = None

    @property
    def epoch(self) -> int | None:
        """The present epoch, `None` before the first; to set the same again has no effect."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        if epoch == self._epoch:
            return
        self._epoch = epoch
        for sampler in self._epoch_setters:
            sampler.set_epoch(epoch)
        for generator, seed in self._seeded:
            (mixed,) = np.random.SeedSequence([seed, epoch]).generate_state(1, "uint64")
            generator.manual_seed(int(mixed >> np.uint64(1)))


def _distinct(objects: Iterable[Any]) -> list[Any]:
    return list({id(each): each for each in objects if each is not None}.values())
