"""What a weight of a network takes of one whose shape differs by the data alone.

By the number of channels, of classes, of tokens or of positions; each rule says what becomes of
what is new.
"""

import math
import re
from typing import NamedTuple

import keras
import numpy as np

from keras_gud.backbones.embedding import PERIODS
from keras_gud.core.resizing import resizing_weights
from keras_gud.core.types import Array

# Scaled gamma, its sines and cosines.
_GAMMA_FEATURES = 1 + 2 * len(PERIODS)


class Part(NamedTuple):
    """New values of a weight, how many of them were taken, and what became of the others."""

    values: Array
    taken: int
    note: str


class Weight(NamedTuple):
    """A weight with the layer and the network that it belongs to."""

    network: keras.layers.Layer
    layer: keras.layers.Layer
    values: Array


def _entering(theirs: Weight, ours: Weight) -> Part | None:
    """The kernel of the stem: of each position of a patch data, bands of detail, then all else."""
    bands = max(_bands(theirs.network), _bands(ours.network))
    lengths = [_entering_channels(w, bands) for w in (theirs, ours)]
    blocks = [(min(pair), *pair) for pair in zip(*lengths, strict=True)]
    patches = _patch(theirs.network), _patch(ours.network)
    return _blocks(theirs, ours, -2, patches, blocks, "new inputs start at zero")


def _leaving(theirs: Weight, ours: Weight) -> Part | None:
    """Kernel and bias of the head: the channels of each position of a patch."""
    old, new = (w.network.data_shape[-1] for w in (theirs, ours))
    patches = _patch(theirs.network), _patch(ours.network)
    block = (min(old, new), old, new)
    return _blocks(theirs, ours, -1, patches, [block], "new outputs start at zero")


def _labels(theirs: Weight, ours: Weight) -> Part | None:
    """A row for each class, then that of the null label."""
    old, new = theirs.values, ours.values
    if old.shape[1] != new.shape[1]:
        return None
    shared = min(len(old), len(new)) - 1
    values = np.repeat(old[-1:], len(new), axis=0)
    values[:shared] = old[:shared]
    return Part(values, (shared + 1) * new.shape[1], "new classes start as the null label")


def _positions(theirs: Weight, ours: Weight) -> Part | None:
    """Embeddings of positions, between which those of other sizes are interpolated."""
    old, new = _grid(theirs), _grid(ours)
    if old.ndim != new.ndim or old.shape[-1] != new.shape[-1]:
        return None
    for axis, size in enumerate(new.shape[:-1]):
        resized = np.tensordot(old, resizing_weights(old.shape[axis], size), (axis, 0))
        old = np.moveaxis(resized, -1, axis)
    return Part(old.reshape(ours.values.shape), ours.values.size, "positions are interpolated")


def _gammas(theirs: Weight, ours: Weight) -> Part | None:
    """The kernel of `GammaMapEmbedding`: features of the mean, then the gammas of a patch."""
    patches = _patch(theirs.network), _patch(ours.network)
    before, after = (w._replace(values=w.values[_GAMMA_FEATURES:]) for w in (theirs, ours))
    if before.values.shape[1:] != after.values.shape[1:]:
        return None
    inner = len(before.values) // patches[0], len(after.values) // patches[1]
    blocks = [(min(inner), *inner)]
    rest = _blocks(before, after, 0, patches, blocks, "new gammas start at zero")
    if rest is None:
        rest = Part(np.zeros_like(after.values), 0, "of gamma its mean alone")
    first = theirs.values[:_GAMMA_FEATURES]
    return Part(np.concatenate([first, rest.values]), first.size + rest.taken, rest.note)


def _features(theirs: Weight, ours: Weight) -> Part | None:
    """The kernel that embeds a token: features of gamma, then coordinates."""
    return _first_rows(theirs, ours, _GAMMA_FEATURES, "gamma alone, coordinates start at zero")


def _state(theirs: Weight, ours: Weight) -> Part | None:
    """The kernel that makes the global vector: of the tokens' mean, then of each of them."""
    widths = [getattr(w.network.embedding, "width", 0) for w in (theirs, ours)]
    if widths[0] != widths[1] or not widths[0]:
        return None
    return _first_rows(theirs, ours, widths[0], "the mean of tokens alone, others start at zero")


# Names of weights whose shapes differ by the data alone, and what is taken of them.
_RULES = {
    r"stem\.kernel": _entering,
    r"head\.(kernel|bias)": _leaving,
    r"label_embedding\.embeddings": _labels,
    r"(.*\.)?position(_\d+)?": _positions,
    r"local\.dense\.kernel": _gammas,
    r"embedding\.token_in\.kernel": _features,
    r"embedding\.merge\.kernel": _state,
}


def shared_part(name: str, theirs: Weight, ours: Weight) -> Part | None:
    """What a weight takes of one of the same name and another shape; `None`: nothing.

    Args:
        name: The name of both, see `named_weights`.
        theirs: The one of the network that is loaded.
        ours: The one that is to be replaced.
    """
    rules = (rule for pattern, rule in _RULES.items() if re.fullmatch(pattern, name))
    rule = next(rules, None)
    return None if rule is None else rule(theirs, ours)


def _first_rows(theirs: Weight, ours: Weight, n: int, note: str) -> Part | None:
    """The first n rows of a kernel, and zero for the others."""
    blocks = [(n, len(theirs.values), len(ours.values))]
    return _blocks(theirs, ours, 0, (1, 1), blocks, note)


def _blocks(
    theirs: Weight,
    ours: Weight,
    axis: int,
    patches: tuple[int, int],
    blocks: list[tuple[int, int, int]],
    note: str,
) -> Part | None:
    """What is shared along an axis of ``(patch, channels)``, the channels in blocks; else zeros.

    Args:
        theirs: The weight of the source.
        ours: That of the target.
        axis: The axis, which is the only one that may differ.
        patches: The number of positions in a patch, of both.
        blocks: How many channels of each block are taken, and how many there are in both.
        note: For the report.
    """
    old, new = (np.moveaxis(w.values, axis, 0) for w in (theirs, ours))
    if patches[0] != patches[1] or old.shape[1:] != new.shape[1:]:
        return None
    old, values = (x.reshape(patches[0], -1, *x.shape[1:]) for x in (old, np.zeros_like(new)))
    taken = start = begin = 0
    for shared, length, other_length in blocks:
        values[:, begin : begin + shared] = old[:, start : start + shared]
        taken, start, begin = taken + shared, start + length, begin + other_length
    values = np.moveaxis(values.reshape(new.shape), 0, axis)
    return Part(values, taken * patches[0] * math.prod(new.shape[1:]), note)


def _patch(network: keras.layers.Layer) -> int:
    """The number of positions in a patch."""
    return getattr(network, "patch", 1) ** (len(network.data_shape) - 1)


def _bands(network: keras.layers.Layer) -> int:
    """The number of bands of detail that a network is given."""
    return getattr(network, "detail_bands", 0)


def _entering_channels(of: Weight, slots: int) -> list[int]:
    """Channels of the data, of each band of detail (none where there are fewer), and all others."""
    channels, bands = of.network.data_shape[-1], _bands(of.network)
    own = [channels] * (1 + bands) + [0] * (slots - bands)
    return [*own, of.values.shape[-2] // _patch(of.network) - sum(own)]


def _grid(of: Weight) -> Array:
    """Embeddings of positions as ``(*sizes, width)``."""
    sizes = getattr(of.layer, "sizes", ())
    flat = of.values.ndim == 2 and math.prod(sizes) == len(of.values)
    # The positions of one axis belong to a network, which has sizes as well.
    return of.values.reshape(*sizes, -1) if flat and of.layer is not of.network else of.values
