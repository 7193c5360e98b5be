"""What the network is told: the noising state as a short sequence of tokens (paper app. A).

A token stands for a *group* of components that share a gamma, never for a pixel, so the cost of
being told the noising state does not grow with the image. Where a schedule has more groups than
tokens (each principal component its own), neighbours in the order of noising share one.
"""

import keras
import numpy as np
from keras import ops

from keras_gud.core.arguments import check_integer
from keras_gud.core.fitted_layer import FittedLayer
from keras_gud.core.registry import PACKAGE


@keras.saving.register_keras_serializable(package=PACKAGE)
class GammaTokens(FittedLayer):
    """Turns gamma into tokens ``(batch, n_tokens, 1 + n_coordinates)``.

    Column 0 is the mean gamma of the token's components; the others are the basis' coordinates and
    -log(data variance), averaged over the token and scaled to [-1, 1], and marks that are the same
    for all tokens.

    Args:
        max_tokens: The cap on the number of tokens.

    Example:

    >>> import numpy as np
    >>> tokens = GammaTokens()
    >>> n = np.arange(4)
    >>> tokens.adapt(groups=n, order=n, coordinates={"position": n})
    >>> tuple(tokens(np.zeros((2, 4), "float32")).shape)
    (2, 4, 2)
    """

    def __init__(self, max_tokens: int = 64, **kwargs):
        super().__init__(**kwargs)
        self.max_tokens = check_integer("max_tokens", max_tokens, 1)
        self.group_shape: tuple[int, ...] | None = None

    def count(self, groups: np.ndarray) -> int:
        """The number of different tokens for these groups."""
        return min(int(np.max(groups)) + 1, self.max_tokens)

    def build(self, group_shape, n_tokens, n_coordinates, n_means=None):
        """Creates the map from entries of `group_shape` to tokens, and the tokens' coordinates.

        Args:
            group_shape: Shape of the schedule's groups.
            n_tokens: Number of tokens.
            n_coordinates: Number of their coordinates and marks.
            n_means: Number of different ones, which are repeated to make `n_tokens`.

        Raises:
            ValueError: for more different tokens than there are.
        """
        self.group_shape = tuple(group_shape)
        self.n_tokens, self.n_coordinates = int(n_tokens), int(n_coordinates)
        self.n_means = self.n_tokens if n_means is None else int(n_means)
        if self.n_means > self.n_tokens:
            raise ValueError(
                "Expected at most as many different tokens as tokens. "
                f"Received: n_means={self.n_means}, n_tokens={self.n_tokens}."
            )
        size = int(np.prod(self.group_shape))
        self.token_of = self.add_statistic("token_of", (size,), dtype="int32")
        self.share = self.add_statistic("share", (size,))
        self.coordinates = self.add_statistic("coordinates", (self.n_tokens, self.n_coordinates))

    def adapt(
        self,
        groups: np.ndarray,
        order: np.ndarray,
        coordinates: dict[str, np.ndarray],
        total: int | None = None,
        marks=(),
    ):
        """Learns which components share a token.

        Args:
            groups: Integers of `group_shape`: the schedule's groups.
            order: Numbers of `group_shape` that grow in the order of noising.
            coordinates: Arrays that `groups` broadcasts against, one per coordinate.
            total: Number of tokens, where a network needs more than there are: they are repeated.
            marks: Numbers that every token has as its last columns.
        """
        groups = np.asarray(groups)
        n_groups = int(groups.max()) + 1
        token_of = groups.ravel()
        if n_groups > self.max_tokens:
            rank = np.argsort(np.argsort(np.ravel(order), kind="stable"), kind="stable")
            token_of = rank * self.max_tokens // rank.size
        n_means = int(token_of.max()) + 1
        if not self.built:
            self.build(groups.shape, total or n_means, len(coordinates) + len(marks), n_means)
            self.built = True
        count = np.bincount(token_of, minlength=n_means)
        self.token_of.assign(token_of.astype("int32"))
        self.share.assign(1.0 / count[token_of])
        columns = [
            self._mean_coordinate(coordinates[name], token_of, groups.shape)
            for name in sorted(coordinates)
        ]
        columns += [np.full(n_means, mark) for mark in marks]
        rows = np.reshape(columns, (len(columns), n_means)).T
        self.coordinates.assign(rows[np.arange(self.n_tokens) % n_means])

    def _mean_coordinate(self, coordinate, token_of, group_shape):
        """Mean of a coordinate over each token, scaled to [-1, 1]."""
        coordinate = np.asarray(coordinate, "float64")
        tokens = np.broadcast_to(token_of.reshape(group_shape), coordinate.shape).ravel()
        mean = np.bincount(tokens, weights=coordinate.ravel()) / np.bincount(tokens)
        span = np.ptp(mean)
        return 2.0 * (mean - mean.min()) / span - 1.0 if span > 0 else np.zeros_like(mean)

    def call(self, gamma):
        """The tokens of a noising state.

        Args:
            gamma: float32, broadcastable against ``(batch, *data_shape)``.
        """
        gamma = self._to_groups(ops.cast(gamma, "float32"))
        flat = ops.reshape(gamma, (-1, int(np.prod(self.group_shape)))) * self.share
        mean = ops.transpose(
            ops.segment_sum(ops.transpose(flat), self.token_of, num_segments=self.n_means)
        )
        if self.n_means < self.n_tokens:
            mean = ops.take(mean, np.arange(self.n_tokens) % self.n_means, axis=1)
        batch = ops.shape(mean)[0]
        coordinates = ops.broadcast_to(
            ops.expand_dims(self.coordinates, 0), (batch, self.n_tokens, self.n_coordinates)
        )
        return ops.concatenate([ops.expand_dims(mean, -1), coordinates], axis=-1)

    def _to_groups(self, gamma):
        """Brings gamma to ``(batch, *group_shape)``: averages or repeats it where they differ."""
        for axis, size in enumerate(self.group_shape, start=1):
            if size == 1 and gamma.shape[axis] != 1:
                gamma = ops.mean(gamma, axis=axis, keepdims=True)
        return ops.broadcast_to(gamma, (ops.shape(gamma)[0], *self.group_shape))

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {"max_tokens": self.max_tokens}

    def get_build_config(self):
        """The sizes, so that saved tokens are built again on loading."""
        if self.group_shape is None:
            return None
        return {
            "group_shape": list(self.group_shape),
            "n_tokens": self.n_tokens,
            "n_coordinates": self.n_coordinates,
            "n_means": self.n_means,
        }
