"""What was made most recently: a bounded memory of things that take long to make."""


class Recent(dict):
    """A dictionary that forgets what has not been used for longest.

    Args:
        size: The largest number of entries.

    Example:

    >>> squares = Recent(2)
    >>> [squares.get_or_make(k, lambda k=k: k * k) for k in (1, 2, 1, 3)]
    [1, 4, 1, 9]
    >>> sorted(squares)
    [1, 3]
    """

    def __init__(self, size: int):
        super().__init__()
        self.size = size

    def get_or_make(self, key, make):
        """The entry of a key, made by calling `make` if there is none."""
        self[key] = value = self.pop(key) if key in self else make()  # now the last in order
        while len(self) > self.size:
            del self[next(iter(self))]
        return value
