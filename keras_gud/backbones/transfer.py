"""Weights of a trained network in one of its class of another size, or with other options.

Weights are matched by name and shape. Where the shape differs by the data alone, the part that both
have is taken, see `shared_weights`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_gud.backbones.backbone import Backbone
from keras_gud.backbones.named_weights import Named, named_weights
from keras_gud.backbones.shared_weights import Part, Weight, shared_part
from keras_gud.core.types import Array

_SHOWN = 8  # how many layers of a kind a report names


@dataclass(frozen=True)
class LayerTransfer:
    """What one layer took.

    Attributes:
        name: Its attribute in the network, ``"down[0].residual[1].film"``.
        taken: The number of its values that came from the other network.
        total: The number of its values.
        notes: What became of the others, or why there is nothing.
    """

    name: str
    taken: int
    total: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Transfer:
    """What of a network came from another one; as text, a report.

    Attributes:
        layers: What each layer with weights took.
        unused: Names of weights of the other network for which there was no place.
    """

    layers: tuple[LayerTransfer, ...]
    unused: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """The share of the values of all weights that came from the other network, 0 to 1."""
        return sum(x.taken for x in self.layers) / max(1, sum(x.total for x in self.layers))

    @property
    def fitted(self) -> tuple[LayerTransfer, ...]:
        """The layers that took all of their values."""
        return tuple(x for x in self.layers if x.taken == x.total)

    @property
    def partly(self) -> tuple[LayerTransfer, ...]:
        """The layers that took some of their values."""
        return tuple(x for x in self.layers if 0 < x.taken < x.total)

    @property
    def missing(self) -> tuple[LayerTransfer, ...]:
        """The layers that took none."""
        return tuple(x for x in self.layers if x.taken == 0)

    def __str__(self) -> str:
        taken, total = (sum(getattr(x, k) for x in self.layers) for k in ("taken", "total"))
        lines = [f"{taken:,} of {total:,} weights were loaded ({self.share:.1%})."]
        for title in ("fitted", "partly", "missing"):
            layers = getattr(self, title)
            count = sum(layer.total for layer in layers)
            lines.append(f"{title}: {len(layers)} layers of {count:,} weights")
            noted = [layer for layer in layers if layer.notes]
            lines += [f"  {_line(layer)}" for layer in noted[:_SHOWN]]
            lines += [f"  and {len(noted) - _SHOWN} more"] * (len(noted) > _SHOWN)
        if self.unused:
            shown = ", ".join(self.unused[:_SHOWN])
            lines.append(f"of the other network unused: {len(self.unused)} weights, {shown}")
        return "\n".join(lines)


def _line(layer: LayerTransfer) -> str:
    return f"{layer.name} ({layer.taken:,} of {layer.total:,}): {'; '.join(layer.notes)}"


def transfer(
    source: keras.layers.Layer, target: keras.layers.Layer, values: Mapping[int, Array]
) -> Transfer:
    """Copies the weights of a network into another one, as far as they fit.

    Args:
        source: A built network. What LoRA adds to its kernels is added to what is copied.
        target: A built network of the same class; where it has LoRA, its factors start anew.
        values: The values of the source's weights by ``id(weight)``: those of their average, say.

    Returns:
        What fitted.

    Raises:
        ValueError: for a network of another class.
    """
    if type(source) is not type(target):
        raise ValueError(
            f"Expected a network of the same class, {type(target).__name__}. "
            f"Received: {type(source).__name__}."
        )
    given = _merged(named_weights(source), values)
    own = {name: each for name, each in named_weights(target).items() if not _is_factor(name)}
    found: dict[str, list[tuple[int, int, str]]] = {}
    for name, (layer, weight) in own.items():
        ours = Weight(target, layer, _numpy(weight))
        part = _fit(name, given.get(name), ours, source)
        if part.taken:
            weight.assign(part.values)
        entry = (part.taken, ours.values.size, part.note)
        found.setdefault(name.rpartition(".")[0] or name, []).append(entry)
    _restart_factors(target)
    return Transfer(
        tuple(_of_layer(name, entries) for name, entries in found.items()),
        tuple(name for name in given if name not in own),
    )


def _of_layer(name: str, entries: list[tuple[int, int, str]]) -> LayerTransfer:
    taken, total, notes = zip(*entries, strict=True)
    return LayerTransfer(name, sum(taken), sum(total), tuple(dict.fromkeys(filter(None, notes))))


def _fit(
    name: str, given: tuple[keras.layers.Layer, Array] | None, ours: Weight, source: Any
) -> Part:
    """The values of a weight of the target; nothing is taken where no rule applies."""
    if given is None:
        return Part(ours.values, 0, "not in the other network")
    theirs = Weight(source, *given)
    if theirs.values.shape == ours.values.shape:
        return Part(theirs.values, ours.values.size, "")
    shapes = f"{theirs.values.shape} there, {ours.values.shape} here"
    part = shared_part(name, theirs, ours) if isinstance(source, Backbone) else None
    if part is None:
        return Part(ours.values, 0, shapes)
    return part._replace(note=f"{shapes}: {part.note}")


def _merged(
    weights: dict[str, Named], values: Mapping[int, Array]
) -> dict[str, tuple[keras.layers.Layer, Array]]:
    """The values by name, kernels with what LoRA adds to them."""
    found = {}
    for name, (layer, weight) in weights.items():
        if _is_factor(name):
            continue
        value = np.array(values[id(weight)])
        prefix, _, last = name.rpartition(".")
        factors = [f"{prefix}.lora_{last}_{side}" for side in "ab"]
        if set(factors) <= set(weights):
            a, b = (np.asarray(values[id(weights[factor].weight)]) for factor in factors)
            value += layer.lora_alpha / layer.lora_rank * (a @ b)
        found[name] = (layer, value)
    return found


def _is_factor(name: str) -> bool:
    return name.rpartition(".")[2].startswith("lora_")


def _restart_factors(network: keras.layers.Layer) -> None:
    """Of each pair of factors, the second at zero."""
    for name, (_, weight) in named_weights(network).items():
        if _is_factor(name) and name.endswith("_b"):
            weight.assign(np.zeros(weight.shape, "float32"))


def _numpy(weight: keras.Variable) -> Array:
    return np.array(keras.ops.convert_to_numpy(weight.value), "float32")
