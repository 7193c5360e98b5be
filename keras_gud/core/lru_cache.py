"""A bounded cache of values that take long to make."""

from collections.abc import Callable, Hashable
from typing import Any


class LRUCache(dict):
    """A dictionary that drops the least recently used entry when it is full.

    Unlike `functools.lru_cache` it caches no function: the key is chosen by the caller, and each
    cache belongs to one object.

    Args:
        size: The largest number of entries.

    Example:

    >>> squares = LRUCache(2)
    >>> [squares.get_or_make(k, lambda k=k: k * k) for k in (1, 2, 1, 3)]
    [1, 4, 1, 9]
    >>> sorted(squares)
    [1, 3]
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def get_or_make(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The value of a key, made by calling `make` if there is none."""
        # A dict keeps the order of insertion: this makes the key the last one.
        self[key] = value = self.pop(key) if key in self else make()
        while len(self) > self.size:
            del self[next(iter(self))]
        return value
