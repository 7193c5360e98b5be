"""Several latents of one example as groups of channels of one array, the diffusion's data.

A latent on a finer grid is folded onto the coarsest one (`core.folding`). Values are moved, none is
changed: what is likely stays as likely.
"""

import itertools
import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_gud.core.arguments import check_integer
from keras_gud.core.folding import fold, module_of, unfold
from keras_gud.core.registry import require_one_of
from keras_gud.core.types import Array, Shape, Tensor


class LatentStreams:
    """Which latents there are, how they are joined, and which of them a decoder is given.

    Args:
        encoder: A Keras layer; or several, a list or a dict by name.
        decode_from: The stream that the decoder is given, a name or, of a list, a number; or a list
            of them, which it is then called with; default: the first.

    Attributes:
        keys: Names of the streams, or their numbers.
        layers: Their encoders.
        sizes: Numbers of channels (of entries, for vectors) that the streams take in the joined
            array, once `open` has been called.
        shape: Shape of one joined latent, likewise.

    Raises:
        TypeError: for anything but Keras layers and models.
        ValueError: for no encoders, or an unknown stream.

    Example:

    >>> same = keras.layers.Identity()
    >>> streams = LatentStreams({"fine": same, "coarse": same})
    >>> streams.open([(4, 4, 1), (2, 2, 3)])
    >>> streams.shape, streams.sizes
    ((2, 2, 7), (4, 3))
    >>> fine, coarse = np.arange(16.0).reshape(1, 4, 4, 1), np.zeros((1, 2, 2, 3))
    >>> joined = streams.join([fine, coarse])
    >>> joined[0, 0, 1].tolist(), bool((streams.split(joined)[0] == fine).all())
    ([2.0, 3.0, 6.0, 7.0, 0.0, 0.0, 0.0], True)
    """

    def __init__(self, encoder: Any, decode_from: Any = None) -> None:
        self.several = isinstance(encoder, (list, tuple, Mapping))
        self.named = isinstance(encoder, Mapping)
        by_key = dict(encoder) if self.named else dict(enumerate(encoder if self.several else ()))
        by_key = by_key if self.several else {0: encoder}
        if not by_key:
            raise ValueError(
                f"Expected `encoder` to hold at least one encoder. Received: encoder={encoder!r}."
            )
        self.keys, self.layers = list(by_key), list(by_key.values())
        for i, layer in enumerate(self.layers):
            require_layer(self.argument(i), layer)
        self._decoded, self.decodes_several = self._choose(decode_from)
        # Known once `open` has been called.
        self.shapes: list[Shape] = []
        self.factors: list[Shape] = []
        self.sizes: tuple[int, ...] = ()
        self.shape: Any = None

    def argument(self, i: int) -> str:
        """What messages call the encoder of a stream."""
        return f"encoder[{self.keys[i]!r}]" if self.several else "encoder"

    def _choose(self, decode_from: Any) -> tuple[list[int], bool]:
        if decode_from is None:
            return [0], False
        if not self.several:
            raise ValueError(
                "Expected `decode_from` with several encoders only. "
                f"Received: decode_from={decode_from!r} with one encoder."
            )
        several = isinstance(decode_from, (list, tuple))
        chosen = list(decode_from) if several else [decode_from]
        for key in chosen:
            if self.named:
                require_one_of("decode_from", key, self.keys)
            elif check_integer("decode_from", key, 0) >= len(self.keys):
                raise ValueError(
                    f"Expected `decode_from` to be below {len(self.keys)}, the number of encoders. "
                    f"Received: decode_from={decode_from!r}."
                )
        if not chosen or len(set(chosen)) < len(chosen):
            raise ValueError(
                "Expected `decode_from` to be different streams, at least one. "
                f"Received: decode_from={decode_from!r}."
            )
        return [self.keys.index(key) for key in chosen], several

    def open(self, shapes: list[Shape]) -> None:
        """Settles how latents of these shapes are joined.

        Args:
            shapes: Shape of one latent of each encoder.

        Raises:
            ValueError: for vectors beside maps, or grids of which the coarsest does not divide all.
        """
        if len({len(shape) for shape in shapes}) > 1:
            raise ValueError(
                "Expected the encoders to return latents with equally many axes. Received: "
                f"{self._listed(shapes)}. Give a vector places, e.g. by keras.layers.Reshape((4, "
                "4, -1)) after a Dense layer, or flatten the others."
            )
        grids = [shape[:-1] for shape in shapes]
        coarsest = tuple(min(sizes) for sizes in zip(*grids, strict=True))
        uneven = any(n % g for grid in grids for n, g in zip(grid, coarsest, strict=True))
        # On a grid of a single place a network of images sees no image.
        vanished = math.prod(coarsest) == 1 and any(math.prod(grid) > 1 for grid in grids)
        if uneven or vanished:
            raise ValueError(
                "Expected latents whose grids are multiples of the coarsest one, of more than one "
                f"place. Received: {self._listed(shapes)}. Resize one of them in its encoder, e.g. "
                "by keras.layers.AveragePooling2D or UpSampling2D."
            )
        self.factors = [
            tuple(n // g for n, g in zip(grid, coarsest, strict=True)) for grid in grids
        ]
        self.shapes = list(shapes)
        self.sizes = tuple(
            math.prod(factors) * shape[-1]
            for factors, shape in zip(self.factors, shapes, strict=True)
        )
        self.shape = (*coarsest, sum(self.sizes))

    def _listed(self, shapes: list[Shape]) -> str:
        return ", ".join(f"{self.argument(i)} returns {shape}" for i, shape in enumerate(shapes))

    @property
    def decoded_shapes(self) -> Any:
        """The shape of what the decoder is given, or the list of them."""
        shapes = [self.shapes[i] for i in self._decoded]
        return shapes if self.decodes_several else shapes[0]

    @property
    def decoded_names(self) -> str:
        """What messages call the streams that the decoder is given."""
        return ", ".join(repr(self.keys[i]) for i in self._decoded)

    def join(self, parts: list[Any]) -> Any:
        """Latents ``(batch, *shape)`` of each encoder to one array, or tensor."""
        if not self.several:
            return parts[0]
        folded = [fold(x, factors) for x, factors in zip(parts, self.factors, strict=True)]
        return module_of(parts[0]).concatenate(folded, axis=-1)

    def split(self, latents: Array | Tensor) -> list[Any]:
        """The inverse of `join`."""
        if not self.several:
            return [latents]
        ends = np.cumsum((0, *self.sizes)).tolist()
        parts = [latents[..., a:b] for a, b in itertools.pairwise(ends)]
        return [unfold(x, factors) for x, factors in zip(parts, self.factors, strict=True)]

    def for_decoder(self, latents: Array | Tensor) -> Any:
        """What the decoder is called with: one stream, or a list of them."""
        parts = self.split(latents)
        chosen = [parts[i] for i in self._decoded]
        return chosen if self.decodes_several else chosen[0]

    def as_given(self, parts: list[Any]) -> Any:
        """A value for each stream as the encoders were given: a list, or a dict by name."""
        return dict(zip(self.keys, parts, strict=True)) if self.named else parts


def require_layer(name: str, layer: Any) -> None:
    """Raises a `TypeError` for anything but a Keras layer or model."""
    if not isinstance(layer, keras.layers.Layer):
        raise TypeError(
            f"Expected `{name}` to be a Keras layer or model. Received: {name}={layer!r}."
        )
