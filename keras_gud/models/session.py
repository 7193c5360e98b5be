"""What a model holds for this process alone: nothing of it is tracked, copied or saved by Keras."""

from collections.abc import Callable
from typing import Any

from keras_gud import samplers
from keras_gud.samplers import Sampler


class Session:
    """Compiled objects of one model in one process."""

    def __init__(self) -> None:
        self._cache: dict[Any, Any] = {}

    def cached(self, key: Any, make: Callable[[], Any]) -> Any:
        """The object of a key, made once: what it has compiled serves again."""
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]

    def once(self, key: str, holds: Callable[[], bool]) -> bool:
        """Whether something holds; once it does, it is not asked again."""
        if key not in self._cache and holds():
            self._cache[key] = True
        return key in self._cache

    def clear(self) -> None:
        """Drops everything."""
        self._cache = {}

    def forget(self, *kinds: str) -> None:
        """Drops the objects whose key begins with one of these words."""
        self._cache = {key: made for key, made in self._cache.items() if key[0] not in kinds}

    def sampler(self, identifier: str | dict | Sampler) -> Sampler:
        """The sampler; named ones are kept, so that their loop is compiled once.

        Args:
            identifier: A name, config or instance.
        """
        if isinstance(identifier, Sampler):
            return identifier
        return self.cached(("sampler", str(identifier)), lambda: samplers.get(identifier))
