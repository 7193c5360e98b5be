"""A score with its protocol; only scores of the same protocol can be compared."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """A distance to a reference set, and how it was measured.

    Comparing or subtracting scores of different protocols raises a `ValueError`.

    Attributes:
        value: The distance; less is better.
        protocol: All that has to be equal for two scores to be comparable: measure, features,
            resizing, numbers of images, reference set.
        error: Standard error over seeds, unless the protocol names another; `None` for a single
            measurement.

    Example:

    >>> one, other = (Score(value, "frechet, n = 100") for value in (2.0, 3.0))
    >>> one < other, other - one
    (True, 1.0)
    """

    value: float
    protocol: str
    error: float | None = None

    def __sub__(self, other: "Score") -> float:
        return self.value - self._comparable(other).value

    def __lt__(self, other: "Score") -> bool:
        return self.value < self._comparable(other).value

    def __gt__(self, other: "Score") -> bool:
        return self.value > self._comparable(other).value

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        error = "" if self.error is None else f" +- {self.error:.4g}"
        return f"{self.value:.4g}{error} ({self.protocol})"

    def _comparable(self, other: "Score") -> "Score":
        """The other score, or an error if its protocol differs."""
        if not isinstance(other, Score) or other.protocol != self.protocol:
            received = other.protocol if isinstance(other, Score) else repr(other)
            raise ValueError(
                f"Expected a score of the same protocol, {self.protocol!r}. Received: {received!r}."
            )
        return other
