"""A model in one line, and as a table of its parts.

`GUDModel` sets them as its `__repr__` and `summary`.
"""

import math
from collections.abc import Callable
from typing import Any

import keras

from keras_gud.core.arguments import check_keywords

_HEADER = ("part", "layer (type)", "shape of its output", "numbers", "what they are")
_STATISTICS = "statistics of the data"


def in_one_line(model: keras.Model) -> str:
    """The parts of a model, the size of its network and the shape of its data.

    Example:

    >>> import keras_gud
    >>> keras_gud.GUD(basis="haar", schedule="hierarchical")
    <GUD: basis=Haar, prior=Isotropic, schedule=Hierarchical, backbone='small', no data seen>
    """
    parts = ("basis", "prior", "schedule")
    said = [f"{name}={type(getattr(model, name)).__name__}" for name in parts]
    if model.region:
        said.append(f"further paths={len(model.region)}")
    if model.classes is not None:
        said.append(f"classes={model.classes}")
    if kinds := model.conditions.network_kinds:
        said.append(f"condition={kinds}")
    if model.built:
        size = model.network.count_params()
        network = type(model.network).__name__
        said.append(f"backbone={network} of {size / 1e6:.3g}M weights")
        said.append(f"data_shape={model.data_shape}")
    else:
        backbone = model.backbone
        name = repr(getattr(backbone, "identifier", type(backbone).__name__))
        said += [f"backbone={name}", "no data seen"]
    return f"<{type(model).__name__}: {', '.join(said)}>"


def measured(model: keras.Model, span: Any) -> str:
    """What `adapt` has measured, in one line.

    Args:
        model: A `GUDModel` that has been adapted.
        span: The `regions.Span` of its path.
    """
    scaling = model.data_space.scaling
    low, high = float(scaling.scale.min()), float(scaling.scale.max())
    scale = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
    grid = "on a grid" if scaling.dequantises else "continuous"
    return (
        f"Measured: {scaling.kind} data of shape {model.data_shape}, {grid}, of scale {scale}. "
        f"Path of {type(model.schedule).__name__}: {span}."
    )


def summary(
    model: keras.Model,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    **kwargs: Any,
) -> None:
    """Prints the parts of a model: shapes, and what is weights, their average, and statistics.

    Args:
        print_fn: What is called with each line; default: `print`.
        expand_nested: Whether the layers of the network are listed, too.
        **kwargs: Nothing; the table has no other settings of `keras.Model.summary`.

    Raises:
        ValueError: for other arguments.

    Example:

    >>> import keras_gud
    >>> import numpy as np
    >>> model = keras_gud.GUD(backbone="tiny")
    >>> model.adapt(np.random.default_rng(0).normal(size=(64, 4)), verbose=0)
    >>> model.summary()  # doctest: +ELLIPSIS
    <GUD: basis=Pixel, ...data_shape=(4,)>
    part       layer ...
    basis      pixel (Pixel)  ...
    prior      isotropic (Isotropic)  ...  12  statistics of the data
    ...
    """
    check_keywords("summary", kwargs, ("print_fn", "expand_nested"))
    say = print if print_fn is None else print_fn
    say(repr(model))
    if not model.built:
        say("Its layers are made when it is given data: fit(x) or adapt(x).")
        return
    rows = [_HEADER, *_rows(model, expand_nested)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADER))]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        cells[3] = row[3].rjust(widths[3])
        say("  ".join(cells).rstrip())
    say(f"{_count(model.trainable_variables):,} of {_count(model.variables):,} are trained.")


def _rows(model: keras.Model, nested: bool) -> list[tuple[str, ...]]:
    """The cells of every part, in the order in which data pass them."""
    shape = str((None, *model.data_shape))
    tokens = str((None, model.tokens.n_tokens, model.tokens.n_features))
    inner = model.network._layers if nested else ()
    kept = model.power_averages
    kept_widths = f"averages of widths {', '.join(map(str, kept.widths))}"
    rows = [
        ("basis", model.basis, shape, _STATISTICS),
        ("prior", model.prior, shape, _STATISTICS),
        ("schedule", model.schedule, f"gamma {shape}", _STATISTICS),
        ("tokens", model.tokens, tokens, _STATISTICS),
        ("moments", model.moments, shape, f"{_STATISTICS} at t = 1"),
        *((f"region {i}", p, f"gamma {shape}", _STATISTICS) for i, p in enumerate(model.region)),
        ("network", model.network, shape, "weights"),
        *((f"  {layer.name}", layer, "-", "weights") for layer in inner),
        ("average", model.ema, "-", "their average, which samples"),
        *([("averages", kept, "-", kept_widths)] if kept.widths else []),
        ("objective", model.objective, "loss (None,)", "counters"),
    ]
    return [
        (
            name,
            f"{layer.name} ({type(layer).__name__})",
            out,
            f"{_count(layer.variables):,}",
            _kind(layer, what),
        )
        for name, layer, out, what in rows
    ]


def _kind(layer: keras.Layer, what: str) -> str:
    if not layer.variables:
        return "-"
    learned = getattr(layer, "learns", False)
    return "curves that training learns, and statistics" if learned else what


def _count(variables: list[keras.Variable]) -> int:
    return sum(math.prod(v.shape) for v in variables)
