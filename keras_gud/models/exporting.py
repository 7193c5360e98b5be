"""`model.export_sampler(path)`: sampling as one graph that runs without this package.

A method of `GUDModel`, which sets it as its attribute.
"""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud import backend
from keras_gud.backend import graphs
from keras_gud.conditioning.given import sampling_condition
from keras_gud.core import optional
from keras_gud.core.arguments import check_integer, require_built
from keras_gud.core.registry import require_one_of
from keras_gud.core.types import Identifier, Tensor
from keras_gud.models import onnx_steps
from keras_gud.samplers import Sampler
from keras_gud.samplers.sampler import STARTS

_TIMES = (np.float32(1.0), np.float32(0.0))


@backend.in_strategy_scope
def export_sampler(
    model: keras.Model,
    path: str | os.PathLike[str],
    *,
    sampler: str | dict | Sampler = "dpm++sde",
    steps: int | None = None,
    format: str | None = None,
    guidance: float = 1.0,
    denoise: bool = True,
    start: str = "matched",
    schedule: Identifier | None = None,
    **params: Any,
) -> None:
    """Writes a sampler as a graph, with averaged weights, that runs without Keras.

    The graph is a function ``(seed, labels) -> samples`` of a model with classes, and ``(seed,
    index) -> samples`` of others: an int32 scalar, and int32 ``(n,)`` of any n. `index` are the
    numbers of the samples, ``np.arange(n)``: sample i is that of ``model.sample(n, seed=seed)``.
    Integers of more than 16 bits come as float32.

    | format | file | written on | run by |
    |---|---|---|---|
    | ``"jax"`` | one file | jax | ``jax.export.deserialize(bytes).call`` |
    | ``"tf_saved_model"`` | a folder | tensorflow, jax | `sample` of ``tf.saved_model.load`` |
    | ``"onnx"`` | a folder | torch | ``sampler.py`` in it, with NumPy and onnxruntime alone |

    In ONNX a graph is one step, and the loop over the steps is in NumPy; to write that of a U-Net
    takes about a minute. Of a `LatentGUD` the decoder is in the graph.

    Args:
        path: The file, or the folder.
        sampler: As in `sample`, but for ``"adaptive"``, which chooses its steps.
        steps: As in `sample`; fixed in the graph.
        format: As in the table; default: the first of the backend.
        guidance: As in `sample`, one number for all samples.
        denoise: As in `sample`.
        start: As in `sample`.
        schedule: As in `sample`.
        **params: Parameters of the schedule, one number each.

    Raises:
        ValueError: for a format that this backend cannot write, or a sampler without fixed steps.
        ImportError: without a package that the format needs, onnx and onnxscript (extra ``onnx``)
            or tensorflow.

    Example:

    >>> import keras_gud
    >>> model = keras_gud.GUD(schedule="cosine", backbone="tiny")
    >>> model.adapt(np.random.default_rng(0).normal(size=(64, 4)), verbose=0)
    >>> model.export_sampler("sampler.jax", steps=8)  # doctest: +SKIP
    """
    require_built(model, "its sampler is exported")
    known = graphs.FORMATS[keras.backend.backend()]
    format = known[0] if format is None else format
    require_one_of("format", format, sorted({f for some in graphs.FORMATS.values() for f in some}))
    if format not in known:
        others = [name for name, some in graphs.FORMATS.items() if format in some]
        raise ValueError(
            f"Expected `format` to be one of {list(known)} on {keras.backend.backend()}; "
            f"{format!r} is written with KERAS_BACKEND={' or '.join(others)}, which loads the same "
            f"`.keras` file. Received: format={format!r}."
        )
    require_one_of("start", start, STARTS)
    for package in graphs.PACKAGES[format]:
        if importlib.util.find_spec(package) is None:
            extra = "tensorflow" if package == "tensorflow" else "onnx"
            raise optional.missing(package, f"format={format!r}", extra)
    graph = SamplerGraph(model, sampler, steps, guidance, denoise, start, schedule, params)
    path = Path(path)
    if format == "jax":
        graphs.save_jax(graph, graph.names, path)
    elif format == "tf_saved_model":
        graphs.save_tensorflow(graph, graph.names, path, graph.variables)
    else:
        onnx_steps.save(graph, path)


class SamplerGraph:
    """A sampler as one function of tensors, ``(seed, rows) -> samples``.

    Args:
        model: A `GUDModel`; further arguments as in `export_sampler`.

    Attributes:
        names: Names of the two arguments.
        steps: Number of steps.
        variables: The Keras variables that it reads.

    Raises:
        ValueError: for a sampler without fixed steps, or arguments that `sample` refuses.
    """

    def __init__(
        self,
        model: keras.Model,
        sampler: str | dict | Sampler,
        steps: int | None,
        guidance: float,
        denoise: bool,
        start: str,
        schedule: Identifier | None,
        params: dict[str, Any],
    ) -> None:
        found = model.session.sampler(sampler)
        if not found.fixed_steps:
            raise ValueError(
                "Expected a sampler with a fixed number of steps, such as 'dpm++sde' or 'tsit5'. "
                f"Received: sampler={sampler!r}, which chooses its steps."
            )
        self.steps = check_integer("steps", found.steps if steps is None else steps, 1)
        self.view = model.view_along(schedule, params=params)
        self.params = self.view.schedule.resolve(params)
        wide = [name for name, value in self.params.items() if len(value) != 1]
        if wide:
            raise ValueError(f"Expected one value for all samples. Received: more of {wide}.")
        self.model, self.denoise, self.guidance = model, denoise, float(guidance)
        self.labelled = model.classes is not None
        self.names = ("seed", "labels" if self.labelled else "index")
        if model.conditions.network_kinds:
            raise ValueError(
                "Expected a model without conditions but labels, of which the graph is a function. "
                f"Received: one with {list(model.conditions.network_kinds)}."
            )
        if not self.labelled or self.guidance != 1.0:  # which values are legal
            labels = [0] if self.labelled else None
            sampling_condition(model.conditions, 1, labels=labels, guidance=guidance)
        denoiser = model.denoiser.in_view(self.view)
        shape = self.view.basis.data_shape
        loop = found.loop_of(denoiser, self.view.schedule, shape, start == "matched")
        self.functions: dict[str, Callable[..., Any]] = loop.functions
        decoder = getattr(getattr(model.data_space, "autoencoder", None), "decoder", None)
        self.variables = [*loop.variables, *(decoder.variables if decoder is not None else ())]

    def __call__(self, seed: Tensor, rows: Tensor) -> Tensor:
        """Samples in the data's own units."""
        given = self.given(seed, rows)
        carry = self.advance(0, self.steps, self.begin(given), given)
        return self.finish(carry[0], given)

    def given(self, seed: Tensor, rows: Tensor) -> tuple[Any, ...]:
        """Keys, parameters and condition of the samples."""
        seed, rows = ops.cast(seed, "int32"), ops.cast(rows, "int32")
        index = ops.cumsum(ops.ones_like(rows)) - 1 if self.labelled else rows
        keys = ops.stack([seed + ops.zeros_like(index), index], axis=1)
        condition = {name: rows for name in self.model.conditions.names}
        if self.labelled and self.guidance == 0.0:
            condition = {name: self.model.classes + ops.zeros_like(rows) for name in condition}
        elif self.labelled and self.guidance != 1.0:
            condition["guidance"] = self.guidance + ops.cast(ops.zeros_like(rows), "float32")
        params = {name: ops.convert_to_tensor(value) for name, value in self.params.items()}
        return keys, params, condition

    def begin(self, given: tuple[Any, ...]) -> tuple[Tensor, ...]:
        """What the first step is given."""
        keys, params, condition = given
        z = self.functions["start"](keys, params)
        return self.functions["begin"](z, params, condition, _TIMES)

    def advance(
        self, first: Any, end: Any, carry: tuple[Tensor, ...], given: tuple[Any, ...]
    ) -> tuple[Tensor, ...]:
        """Takes the steps first, ..., end - 1."""
        bounds = [ops.convert_to_tensor(i, "int32") for i in (first, end, self.steps)]
        return self.functions["advance"](carry, *given, _TIMES, tuple(bounds))

    def advance_once(
        self, i: Tensor, carry: tuple[Tensor, ...], given: tuple[Any, ...]
    ) -> tuple[Tensor, ...]:
        """Takes step i, a tensor."""
        bounds = i, ops.convert_to_tensor(self.steps, "int32")
        return self.functions["advance_once"](carry, *given, _TIMES, bounds)

    def finish(self, z: Tensor, given: tuple[Any, ...]) -> Tensor:
        """Components at t = 0 to samples."""
        _, params, condition = given
        if self.denoise:
            z = self.functions["finish"](z, _TIMES[1], params, condition)
        return self.model.data_space.from_components(z, self.view.basis, self.view.prior)
