"""The noising state as a short sequence of tokens, which condition the network (paper app. A).

A token stands for a *group* of components that share a gamma, never for a pixel, so its cost does
not grow with the image. Where a schedule has more groups than the maximum number of tokens (as many
as principal components, for example), neighbours in the order of noising share one.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud.core.arguments import check_integer
from keras_gud.core.fitted_layer import FittedLayer
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import ArrayLike, Coordinates, Shape, Tensor, TensorLike


@keras.saving.register_keras_serializable(package=PACKAGE)
class GammaTokens(FittedLayer):
    """Turns gamma into tokens, float32 ``(batch, n_tokens, 1 + n_coordinates)``.

    Column 0 is the mean gamma of the components of a token. The others are given coordinates of the
    components (their frequency, band, row, ...), averaged over each token and scaled to [-1, 1],
    and numbers that are the same for all tokens. With `with_mean` a last column follows, in all
    tokens the mean of gamma over all components.

    Args:
        max_tokens: The maximum number of different tokens, >= 1.
        **kwargs: Arguments of `keras.layers.Layer`.

    Attributes:
        n_tokens: Number of tokens T.
        n_means: Number of different tokens; they are repeated to make `n_tokens`.
        n_coordinates: Number of columns beside gamma.
        token_of: Weight, int32: the token of each entry of the flattened groups.
        with_mean: Whether there is a column with the mean over all components; a network with an
            attribute ``mean_gamma = True`` asks for it.
        share: Weight: 1 / the number of entries of that token.
        coordinates: Weight ``(n_tokens, n_coordinates)``.

    Raises:
        ValueError: for a `max_tokens` that is no integer >= 1.

    Example:

    >>> import numpy as np
    >>> tokens = GammaTokens()
    >>> n = np.arange(4)
    >>> tokens.adapt(groups=n, order=n, coordinates={"position": n})
    >>> tuple(tokens(np.zeros((2, 4), "float32")).shape)
    (2, 4, 2)
    """

    group_shape: Shape

    def __init__(self, max_tokens: int = 64, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_tokens = check_integer("max_tokens", max_tokens, 1)
        self.group_shape = None  # type: ignore[assignment]  # until it is built
        self.with_mean = False

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return 1 + self.n_coordinates + int(self.with_mean)

    def count(self, groups: np.ndarray) -> int:
        """The number of different tokens for groups numbered from 0."""
        return min(int(np.max(groups)) + 1, self.max_tokens)

    def build(
        self,
        group_shape: Sequence[int],
        n_tokens: int,
        n_coordinates: int,
        n_means: int | None = None,
    ) -> None:
        """Creates the map from entries of the groups to tokens, and the coordinates of the tokens.

        Args:
            group_shape: Shape of the schedule's groups.
            n_tokens: Number of tokens.
            n_coordinates: Number of columns beside gamma.
            n_means: Number of different tokens; default: all of them.

        Raises:
            ValueError: for more different tokens than tokens.
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
        order: TensorLike,
        coordinates: Coordinates,
        total: int | None = None,
        marks: Sequence[float] = (),
    ) -> None:
        """Determines which components share a token, and the coordinates of the tokens.

        Args:
            groups: The schedule's groups, integers from 0 of `group_shape`.
            order: Numbers of `group_shape` that grow in the order of noising; not needed for at
                most `max_tokens` groups.
            coordinates: Arrays that `groups` broadcasts against, one per coordinate.
            total: Number of tokens, if a network needs more than the different ones, which are then
                repeated; default: their number.
            marks: Numbers in the last columns of every token, which distinguish bases.

        Raises:
            ValueError: for a `total` less than the number of different tokens.
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

    def _mean_coordinate(
        self, coordinate: ArrayLike, token_of: np.ndarray, group_shape: Shape
    ) -> np.ndarray:
        """The mean of a coordinate over each token, scaled to [-1, 1]; 0 if all are equal."""
        coordinate = np.asarray(coordinate, "float64")
        tokens = np.broadcast_to(token_of.reshape(group_shape), coordinate.shape).ravel()
        mean = np.bincount(tokens, weights=coordinate.ravel()) / np.bincount(tokens)
        span = np.ptp(mean)
        return 2.0 * (mean - mean.min()) / span - 1.0 if span > 0 else np.zeros_like(mean)

    def call(self, gamma: TensorLike) -> Tensor:
        """The tokens of a noising state.

        Args:
            gamma: float32, broadcastable against ``(batch, *data_shape)``.

        Returns:
            float32 ``(batch, n_tokens, n_features)``.
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
        columns = [ops.expand_dims(mean, -1), coordinates]
        if self.with_mean:
            # Every entry of the groups stands for equally many components.
            axes = tuple(range(1, len(gamma.shape)))
            over_all = ops.reshape(ops.mean(gamma, axis=axes), (-1, 1, 1))
            columns.append(ops.broadcast_to(over_all, (batch, self.n_tokens, 1)))
        return ops.concatenate(columns, axis=-1)

    def _to_groups(self, gamma: Tensor) -> Tensor:
        """Gamma of shape ``(batch, *group_shape)``, averaged or repeated along the other axes."""
        for axis, size in enumerate(self.group_shape, start=1):
            if size == 1 and gamma.shape[axis] != 1:
                gamma = ops.mean(gamma, axis=axis, keepdims=True)
        return ops.broadcast_to(gamma, (ops.shape(gamma)[0], *self.group_shape))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"max_tokens": self.max_tokens}

    def get_build_config(self) -> dict[str, Any] | None:
        """The sizes, so that loading builds saved tokens before it loads the weights."""
        if self.group_shape is None:
            return None
        return {
            "group_shape": list(self.group_shape),
            "n_tokens": self.n_tokens,
            "n_coordinates": self.n_coordinates,
            "n_means": self.n_means,
        }
