"""Low-rank adaptation (LoRA; Hu et al. 2021, arXiv:2106.09685) of the networks of this package."""

from typing import Any

import keras
import numpy as np

from keras_gud.core.arguments import check_integer
from keras_gud.core.initial_values import GlorotUniform, Zeros
from keras_gud.core.registry import PACKAGE

_FACTORS = ("lora_kernel_a", "lora_kernel_b")


@keras.saving.register_keras_serializable(package=PACKAGE)
class AdaptableDense(keras.layers.Dense):
    """A `keras.layers.Dense` for `Backbone.enable_lora`, which keeps its factors in files.

    Keras writes the sum ``W + A B`` in place of W, and a file without A and B: training would not
    go on from there as before, and averages of W, A and B would no longer belong to them.

    Args:
        **kwargs: Arguments of `keras.layers.Dense`.

    Example:
    >>> layer = AdaptableDense(3)
    >>> layer.build((None, 4))
    >>> layer.enable_lora(2)
    >>> sorted(tuple(weight.shape) for weight in layer.trainable_weights)
    [(2, 3), (3,), (4, 2)]
    """

    def save_own_variables(self, store: Any) -> None:
        """Writes the kernel as it is, and its factors beside it."""
        if not self.lora_enabled:
            super().save_own_variables(store)
            return
        kept = [self._kernel] if self.bias is None else [self._kernel, self.bias]
        for i, weight in enumerate(kept):
            store[str(i)] = weight
        for name in _FACTORS:
            store[name] = getattr(self, name)

    def load_own_variables(self, store: Any) -> None:
        """Reads what `save_own_variables` wrote."""
        if not self.lora_enabled:
            super().load_own_variables(store)
            return
        # Keras sets both factors to zero, from where they have no gradient.
        before = np.array(keras.ops.convert_to_numpy(self.lora_kernel_a))
        super().load_own_variables(store)
        self.lora_kernel_a.assign(before)
        if set(_FACTORS) <= set(store.keys()):
            for name in _FACTORS:
                getattr(self, name).assign(store[name])


def adaptable_layers(network: keras.layers.Layer) -> list[AdaptableDense]:
    """The layers of a network to which `add_factors` adds."""
    return [layer for layer in network._flatten_layers() if isinstance(layer, AdaptableDense)]


def add_factors(network: keras.layers.Layer, rank: int) -> None:
    """Freezes a network but for new factors of rank `rank` in each `AdaptableDense`.

    Args:
        network: A network whose layers are built.
        rank: The rank, at least 1.

    Raises:
        ValueError: for a rank that is no integer >= 1, or a network that has no such layer, or in
            which they have factors already.

    Example:
    >>> from keras_gud import backbones
    >>> network = backbones.DiT(width=16, blocks=1, heads=2)
    >>> network.build([(None, 8, 8, 1), (None, 4, 2)])
    >>> add_factors(network, rank=2)
    >>> len(network.trainable_weights)  # two each of 4 layers of attention and 2 of the MLP
    12
    """
    rank = check_integer("rank", rank, 1)
    layers = adaptable_layers(network)
    if not layers:
        raise ValueError(
            "Expected a network with attention or dense blocks, to which LoRA adds. "
            f"Received: {type(network).__name__} without any."
        )
    if any(layer.lora_enabled for layer in layers):
        raise ValueError(
            "Expected a network without LoRA. Received: one in which it has been enabled already."
        )
    for weight in network.weights:
        weight.trainable = False
    for layer in layers:
        # By NumPy, so that they are the same on every backend.
        layer.enable_lora(rank, a_initializer=GlorotUniform(), b_initializer=Zeros())
