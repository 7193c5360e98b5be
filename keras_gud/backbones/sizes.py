"""The networks behind names such as ``"small"`` and ``"dit-small"``, chosen by data shape."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from keras_gud.backbones.backbone import registry
from keras_gud.backbones.dit import DiT
from keras_gud.backbones.mlp import MLP
from keras_gud.backbones.resampling import level_sizes, max_levels, patched
from keras_gud.backbones.unet import ATTENTION_POSITIONS, UNet
from keras_gud.core.arguments import check_keywords, constructor_arguments
from keras_gud.core.types import Identifier, Shape

_UNETS: dict[str, dict[str, Any]] = {
    "tiny": {"widths": (16, 24, 32), "blocks": 1, "heads": 2, "embedding_dim": 64},
    "small": {"widths": (64, 96), "blocks": 2, "heads": 2, "embedding_dim": 128, "patch": 2},
    "base": {"widths": (128, 192, 256), "blocks": 2, "heads": 4, "embedding_dim": 512},
}
_TRANSFORMERS: dict[str, dict[str, Any]] = {
    "dit-tiny": {"width": 64, "blocks": 3, "heads": 2, "embedding_dim": 64},
    "dit-small": {"width": 96, "blocks": 6, "heads": 3, "embedding_dim": 96},
    "dit-base": {"width": 384, "blocks": 12, "heads": 6, "embedding_dim": 256},
}
# Of images, that the U-Nets are given.
DETAIL_BANDS = 2
# Below this the positions are so few that patches save nothing.
SMALLEST_PATCHED = 16
_MLPS: dict[str, dict[str, Any]] = {
    "tiny": {"width": 96, "blocks": 2, "embedding_dim": 64},
    "small": {"width": 192, "blocks": 3, "embedding_dim": 128},
    "base": {"width": 1024, "blocks": 4, "embedding_dim": 256},
}


def _factory(name: str) -> Callable[..., keras.layers.Layer]:
    def create(data_shape: Shape | None = None, **kwargs: Any) -> keras.layers.Layer:
        if data_shape is not None and len(data_shape) == 1:
            return MLP(**{**_MLPS[name], **kwargs})
        arguments = {**_UNETS[name], "detail_bands": DETAIL_BANDS, **kwargs}
        if data_shape is not None:
            spatial = data_shape[:-1]
            if min(spatial) < SMALLEST_PATCHED and "patch" not in kwargs:
                arguments["patch"] = 1
            spatial = patched(spatial, arguments.get("patch", 1))
            arguments["widths"] = fit_levels(arguments["widths"], spatial)
        return UNet(**arguments)

    return create


def _transformer_factory(name: str) -> Callable[..., keras.layers.Layer]:
    def create(data_shape: Shape | None = None, **kwargs: Any) -> keras.layers.Layer:
        arguments = {**_TRANSFORMERS[name], **kwargs}
        if data_shape is not None and "patch" not in kwargs:
            arguments["patch"] = fit_patch(data_shape[:-1])
        return DiT(**arguments)

    return create


for _name in _UNETS:
    registry.add(_name, _factory(_name))
for _name in _TRANSFORMERS:
    registry.add(_name, _transformer_factory(_name))


def fit_patch(spatial: Shape) -> int:
    """The edge of a transformer's patches: at least 2 but for tiny images, at most 256 patches.

    Args:
        spatial: The spatial sizes of the images; empty for vectors, which transformers refuse.

    >>> fit_patch((8, 8)), fit_patch((32, 32)), fit_patch((64, 48)), fit_patch((1000,))
    (1, 2, 4, 4)
    """
    patch = 1 if min(spatial, default=1) < SMALLEST_PATCHED else 2
    while math.prod(patched(spatial, patch)) > ATTENTION_POSITIONS:
        patch *= 2
    return patch


def fit_levels(widths: Sequence[int], spatial: Shape) -> tuple[int, ...]:
    """The widths of a U-Net for images of these sizes: fewer for tiny images, more for large ones.

    Self-attention at the coarsest level costs the square of its number of positions; the last width
    is repeated until there are at most 256 of them, so that the cost of a step is linear in pixels.

    Args:
        widths: Channels per level, the finest first.
        spatial: The spatial sizes of the images.

    >>> fit_levels((32, 64, 64), (8, 3)), fit_levels((32, 64, 64), (128, 100))
    ((32, 64, 64), (32, 64, 64, 64))
    """
    limit = max_levels(spatial)
    widths = tuple(widths[:limit])
    while (
        len(widths) < limit
        and math.prod(level_sizes(spatial, len(widths))[-1]) > ATTENTION_POSITIONS
    ):
        widths += widths[-1:]
    return widths


def get(
    identifier: Identifier, data_shape: Shape | None = None, **kwargs: Any
) -> keras.layers.Layer:
    """Returns a network for a size, a config or an instance.

    Args:
        identifier: ``"tiny"`` (about 0.1M parameters: tests, digits), ``"small"`` (0.9M: small
            images on a CPU), ``"base"`` (11M: photographs on a GPU), ``"ncsnpp"`` (74M, not for
            vectors: the paper's appendix B), ``"dit-tiny"``, ``"dit-small"`` and ``"dit-base"``
            (0.3M, 1.1M and 30M, not for vectors: transformers of patches), a Keras config
            (dict), or any Keras layer or model that is called as
            ``network([y, tokens], training=...)``.
        data_shape: Shape of one example; a size gives an `MLP` for ``(features,)`` and a `UNet`
            otherwise, with fewer levels where the images are tiny and more where they are large.
        **kwargs: Arguments of the network, e.g. `dtype` or `dropout`; only used with a size.

    Raises:
        ValueError: for an unknown name; the nearest known one is suggested.
        TypeError: for anything else.

    Example:
    >>> [type(get("tiny", data_shape=shape)).__name__ for shape in ((8, 8, 1), (5,))]
    ['UNet', 'MLP']
    """
    factory = registry.factories.get(identifier.lower()) if isinstance(identifier, str) else None
    # A class is one network for all shapes; a function chooses the network by the shape.
    if not inspect.isclass(factory):
        kwargs["data_shape"] = data_shape
    return registry.get(identifier, **kwargs)


# What a model decides by itself, and what is of no use to a network.
_NO_OPTIONS = {"gamma_map", "classes", "conditions", "dtype", "lora_rank"}
_NO_OPTIONS |= {"activity_regularizer", "autocast"}


def check_options(
    identifier: str, options: Mapping[str, Any], data_shape: Shape | None = None
) -> None:
    """Raises a `ValueError` for arguments, or values of them, that a network does not take.

    Args:
        identifier: A name, as in `get`.
        options: The arguments.
        data_shape: Shape of one example; `None`: a size may become either of its networks.

    Example:

    >>> check_options("small", {"widths": (32, 64), "remat": True})
    >>> check_options("small", {"remat": True, "widths": (32, 64)}, data_shape=(5,))
    Traceback (most recent call last):
    ValueError: Expected an argument of `MLP`, one of ['blocks', 'detail_bands', 'dropout', \
'embedding_dim', 'mixers', 'name', 'remat', 'seed', 'trainable', 'width']. \
Received: widths=(32, 64). Did you mean 'width'?
    """
    either = data_shape is None and identifier.lower() in _MLPS
    shapes = [data_shape, (1,)] if either else [data_shape]
    kinds = [type(get(identifier, shape)) for shape in shapes]
    taken = [constructor_arguments(kind, keras.layers.Layer) - _NO_OPTIONS for kind in kinds]
    name = " or ".join(kind.__name__ for kind in kinds)
    check_keywords(name, dict(options), set().union(*taken))
    fitting = [shape for shape, names in zip(shapes, taken, strict=True) if names >= set(options)]
    if not fitting:
        check_keywords(kinds[0].__name__, dict(options), taken[0])
    for shape in fitting:
        get(identifier, shape, **options)
