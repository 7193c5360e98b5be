"""A figure that says what it was measured with, and is compared with its like only."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """A distance to a reference set.

    Attributes:
        value: The figure; less is better.
        protocol: What has to be equal for two figures to be comparable: measure, features, resize,
            numbers of images, reference set.
        error: Standard error over seeds, unless the protocol says of what; `None` for a single
            measurement.

    Example:

    >>> one, other = (Score(value, "frechet, n = 100") for value in (2.0, 3.0))
    >>> one < other, other - one
    (True, 1.0)
    """

    value: float
    protocol: str
    error: float | None = None

    def __sub__(self, other) -> float:
        return self.value - self._like(other).value

    def __lt__(self, other) -> bool:
        return self.value < self._like(other).value

    def __gt__(self, other) -> bool:
        return self.value > self._like(other).value

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        error = "" if self.error is None else f" +- {self.error:.4g}"
        return f"{self.value:.4g}{error} ({self.protocol})"

    def _like(self, other):
        if not isinstance(other, Score) or other.protocol != self.protocol:
            received = other.protocol if isinstance(other, Score) else repr(other)
            raise ValueError(
                f"Expected a score of the same protocol, {self.protocol!r}. Received: {received!r}."
            )
        return other
